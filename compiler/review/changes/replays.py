"""A tree without one of its edits: what would be compiled if a document still were as it was.

A file often holds several documents, so they are put back one by one. Where a file cannot be taken apart so, all its
documents that differ are put back together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.review.changes.documents import Document, Place
from compiler.review.variants import with_files
from compiler.source.tree import SourceTree

__all__ = ["without"]

_SEPARATOR: Final = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_EMPTY: Final = re.compile(rb"(?:[ \t\r]*(?:#[^\n]*|%[^\n]*)?(?:\n|\Z))*")


def without(document: Document, tree: SourceTree, former: SourceTree) -> SourceTree:
    """The tree with a document as the former tree has it: not there, elsewhere, or in other words."""
    now, then = _Files(tree), _Files(former)
    changes: dict[str, bytes | None] = {}
    if document.after is not None:
        changes |= now.replaced(document.after, _text(document.before, then) if _stays(document) else b"")
    if document.before is not None and not _stays(document):
        changes |= now.with_more(document.before.file, _text(document.before, then) or b"", changes)
    return with_files(tree, changes)


def _stays(document: Document) -> bool:
    """Whether it stands in one file on both sides."""
    one, other = document.before, document.after
    return one is not None and other is not None and one.file == other.file


def _text(place: Place | None, files: "_Files") -> bytes | None:
    return files.documents(place.file)[place.index] if place is not None else None


@dataclass(frozen=True)
class _Files:
    tree: SourceTree

    def read(self, path: str) -> bytes:
        """Nothing where there is no such file."""
        return next((self.tree.read(file) for file in self.tree.files if file.path == path), b"")

    def documents(self, path: str) -> Sequence[bytes]:
        return tuple(split(self.read(path)))

    def replaced(self, place: Place, text: bytes | None) -> Mapping[str, bytes | None]:
        """An empty document is none; a file without any is not there."""
        parts = [*self.documents(place.file)]
        parts[place.index] = text or b"\n"
        return {place.file: _joined(parts)}

    def with_more(self, path: str, text: bytes, changes: Mapping[str, bytes | None]) -> Mapping[str, bytes | None]:
        content = changes.get(path) or self.read(path)
        return {path: _joined([*split(content), text]) if content else text}


def split(content: bytes) -> Iterator[bytes]:
    """The texts of a file's documents, in order; what stands before the first of them belongs to it."""
    starts = [found.start() for found in _SEPARATOR.finditer(content)]
    if not starts or not _EMPTY.fullmatch(content[: starts[0]]):
        starts = [0, *starts]
    else:
        starts[0] = 0
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        yield content[start:end]


def _joined(parts: Sequence[bytes]) -> bytes | None:
    """A document that is not the first begins with its separator."""
    if all(_EMPTY.fullmatch(_SEPARATOR.sub(b"", part)) for part in parts):
        return None
    ended = [part if part.endswith(b"\n") else part + b"\n" for part in parts]
    return ended[0] + b"".join(part if _SEPARATOR.search(part) else b"---\n" + part for part in ended[1:])
