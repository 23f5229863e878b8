"""Files to documents: libyaml's events, our own YAML 1.2, and limits that hold before anything hurts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.source.build import Limits, Stopped, build_documents
from compiler.source.document import Document
from compiler.source.places import Places
from compiler.source.text import control_characters, decode, hidden_characters
from compiler.source.tree import SourceFile, SourceTree, too_large

__all__ = ["Limits", "Parsed", "name_file", "parse", "parse_blob", "parse_file", "parse_source"]

GIT_LFS_POINTER = Code(
    "git-lfs-pointer",
    Severity.ERROR,
    "a file is a Git LFS pointer",
    "Configuration is read from Git's own objects; what Git LFS keeps elsewhere is not part of the commit.",
)

_LFS_HEADER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a blob means, whatever its path: documents by index, and findings without a file name."""

    documents: tuple[tuple[int, dict[str, object]], ...]
    diagnostics: tuple[Diagnostic, ...]
    places: Places

    def under(self, path: str, blob: str) -> Checked[tuple[Document, ...]]:
        """The same as found in one file."""
        return Checked(
            tuple(Document(path, blob, index, self.places, value) for index, value in self.documents),
            name_file(path, self.diagnostics),
        )


def parse(tree: SourceTree, limits: Limits = Limits()) -> Checked[tuple[Document, ...]]:
    """Every document of the tree by path and index; machine errors of reading are raised, findings returned."""
    parsed: dict[str, Parsed] = {}
    for file in tree.files:
        if file.blob not in parsed:
            parsed[file.blob] = parse_source(tree, file, limits)
    checked = [parsed[file.blob].under(file.path, file.blob) for file in tree.files]
    return Checked(
        tuple(document for one in checked for document in one.value),
        tuple(finding for one in checked for finding in one.diagnostics),
    )


def parse_source(tree: SourceTree, file: SourceFile, limits: Limits = Limits()) -> Parsed:
    """A file of a tree; one that is too large is not even read."""
    if file.size > limits.max_bytes:
        return _refused(too_large("", file.size, limits.max_bytes))
    return parse_blob(tree.read(file), limits)


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
    return Parsed(documents, tuple(findings), Places(data))


def name_file(path: str, findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Findings of a blob as those of one file."""
    return tuple(replace(finding, position=replace(finding.position, file=path)) for finding in findings)


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
    return Parsed((), findings, Places(b""))
