"""A file's text cut into its documents, so that one can be replaced and the others stay byte for byte."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compiler.source.parse import parse_file

_BEGINNING: Final = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)
_END: Final = re.compile(r"^\.\.\.(?=[ \t\r\n]|$)", re.MULTILINE)
_EMPTY: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*|%[^\n]*)?(?:\n|$))*")
_HEAD: Final = re.compile(r"(?:\ufeff)?(?:---[ \t]*(?:#[^\n]*)?\n)?(?:[ \t]*(?:#[^\n]*)?\n)*")


@dataclass(frozen=True, slots=True)
class Passages:
    """The documents of a file as they are written; put together they are the file."""

    parts: tuple[str, ...]

    def holds(self, index: int, value: object) -> bool:
        """Whether the document of that number says this, read by itself."""
        if index >= len(self.parts):
            return False
        alone = parse_file("", "", self.parts[index].encode()).value
        return len(alone) == 1 and alone[0].value == value

    def with_changes(self, changes: dict[int, Sequence[str]]) -> str:
        """Every document that is named replaced by these; none takes it away."""
        kept = [
            self._replaced(index, changes[index]) if index in changes else part for index, part in enumerate(self.parts)
        ]
        return "".join(kept)

    def _replaced(self, index: int, documents: Sequence[str]) -> str:
        """What was noted above a document stays above the first of those that take its place."""
        if not documents:
            return ""
        part = self.parts[index]
        found = _HEAD.match(part)
        head = found[0] if found else ""
        if part.startswith("---") and not head:
            head = "---\n"
        return head + "---\n".join(documents)


def cut(text: str) -> Passages | None:
    """None where the end of documents is marked, which nobody needs and no cut here knows."""
    if _END.search(text):
        return None
    starts = [found.start() for found in _BEGINNING.finditer(text)]
    if not starts or not _EMPTY.fullmatch(text[: starts[0]]):
        starts = [0, *starts]
    starts[0] = 0
    return Passages(tuple(text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)))
