"""Files to documents: libyaml's events, our own YAML 1.2, and limits that hold before anything hurts."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.source.build import Limits, Stopped, build_documents
from compiler.source.document import Document
from compiler.source.places import Places
from compiler.source.text import control_characters, decode, hidden_characters
from compiler.source.tree import SourceFile, SourceTree, too_large

__all__ = ["Limits", "ParseCache", "parse", "parse_file"]

GIT_LFS_POINTER = Code(
    "git-lfs-pointer",
    Severity.ERROR,
    "a file is a Git LFS pointer",
    "Configuration is read from Git's own objects; what Git LFS keeps elsewhere is not part of the commit.",
)

_LFS_HEADER = b"version https://git-lfs.github.com/spec/"
_DEFAULT_CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a blob means, whatever its path: documents by index, and findings without a file name."""

    documents: tuple[tuple[int, dict[str, object]], ...]
    diagnostics: tuple[Diagnostic, ...]
    text: bytes
    places: Places

    def under(self, path: str, blob: str) -> Checked[tuple[Document, ...]]:
        """The same as found in one file."""
        return Checked(
            tuple(Document(path, blob, index, value, self.text, self.places) for index, value in self.documents),
            tuple(_at(path, finding) for finding in self.diagnostics),
        )


class _Kept:
    """A parsed blob, and its documents as they were last asked for: unchanged files give the very same ones."""

    __slots__ = ("checked", "limits", "parsed", "path")

    def __init__(self, parsed: Parsed, limits: Limits) -> None:
        self.parsed = parsed
        self.limits = limits
        self.path: str | None = None
        self.checked: Checked[tuple[Document, ...]] = Checked(())

    def under(self, path: str, blob: str) -> Checked[tuple[Document, ...]]:
        if self.path != path:
            self.path, self.checked = path, self.parsed.under(path, blob)
        return self.checked


class ParseCache:
    """Parsed blobs, the longest unused dropped first; bounded by bytes of YAML, the values take more."""

    def __init__(self, max_bytes: int = _DEFAULT_CACHE_BYTES) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0

    def find(self, file: SourceFile, limits: Limits) -> Checked[tuple[Document, ...]] | None:
        """What was kept of the file's blob, if it was parsed within the same limits."""
        kept = self._kept.get(file.blob)
        if kept is None or kept.limits != limits:
            return None
        self._kept.move_to_end(file.blob)
        return kept.under(file.path, file.blob)

    def keep(self, file: SourceFile, limits: Limits, parsed: Parsed) -> Checked[tuple[Document, ...]]:
        """Drops what exceeds the bound, this blob too if it alone does."""
        self._drop(self._kept.pop(file.blob, None))
        kept = self._kept[file.blob] = _Kept(parsed, limits)
        self._bytes += len(parsed.text)
        while self._bytes > self._max_bytes:
            self._drop(self._kept.popitem(last=False)[1])
        return kept.under(file.path, file.blob)

    def _drop(self, kept: _Kept | None) -> None:
        self._bytes -= len(kept.parsed.text) if kept else 0


def parse(
    tree: SourceTree, cache: ParseCache | None = None, limits: Limits = Limits()
) -> Checked[tuple[Document, ...]]:
    """Every document of the tree by path and index; machine errors of reading are raised, findings returned."""
    kept = ParseCache() if cache is None else cache
    checked = [_parse_kept(tree, file, kept, limits) for file in tree.files]
    return Checked(
        tuple(document for one in checked for document in one.value),
        tuple(finding for one in checked for finding in one.diagnostics),
    )


def parse_file(path: str, blob: str, data: bytes, limits: Limits = Limits()) -> Checked[tuple[Document, ...]]:
    """The documents of one file; whatever the bytes are, the answer is documents and findings, never an exception."""
    return parse_blob(data, limits).under(path, blob)


def parse_blob(data: bytes, limits: Limits) -> Parsed:
    """What the bytes mean; nothing walks them before their number and their characters are known to be harmless."""
    if len(data) > limits.max_bytes:
        return _refused(too_large("", len(data), limits.max_bytes))
    if data.startswith(_LFS_HEADER):
        return _refused(
            Diagnostic(
                Position("", 1, 1),
                GIT_LFS_POINTER,
                "the file is a Git LFS pointer, its content is not in the commit",
                "keep configuration in Git itself: git lfs untrack, then commit the file again",
            )
        )
    text = decode(data)
    if isinstance(text, Diagnostic):
        return _refused(text)
    if unreadable := _first(control_characters(text), limits):
        return _refused(*unreadable)
    findings = _first(hidden_characters(text), limits)
    documents = tuple(_build(text, data, limits, findings))
    return Parsed(documents, tuple(findings), data, Places(data))


def _parse_kept(tree: SourceTree, file: SourceFile, cache: ParseCache, limits: Limits) -> Checked[tuple[Document, ...]]:
    if file.size > limits.max_bytes:
        return _refused(too_large("", file.size, limits.max_bytes)).under(file.path, file.blob)
    found = cache.find(file, limits)
    return cache.keep(file, limits, parse_blob(tree.read(file), limits)) if found is None else found


def _build(
    text: str, data: bytes, limits: Limits, findings: list[Diagnostic]
) -> Iterator[tuple[int, dict[str, object]]]:
    """The documents before the first thing that ends the reading, which is then the last finding."""
    try:
        yield from build_documents(text, data, limits, findings)
    except Stopped as stopped:
        findings.append(stopped.finding)


def _first(found: Iterable[Diagnostic], limits: Limits) -> list[Diagnostic]:
    return [finding for finding, _ in zip(found, range(limits.max_findings), strict=False)]


def _refused(*findings: Diagnostic) -> Parsed:
    return Parsed((), findings, b"", Places(b""))


def _at(path: str, finding: Diagnostic) -> Diagnostic:
    return replace(finding, position=replace(finding.position, file=path))
