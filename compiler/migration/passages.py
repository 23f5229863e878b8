"""A file's text cut into its documents, so that one can be replaced and the others stay byte for byte."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.source.parse import parse_file

_BEGINNING: Final = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)
_END: Final = re.compile(r"^\.\.\.(?=[ \t\r\n]|$)", re.MULTILINE)
_EMPTY: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*|%[^\n]*)?(?:\n|$))*")
_NOTES: Final = r"(?:[ \t]*(?:#[^\n]*)?\n)*"
_MARKER: Final = "---\n"
_HEAD: Final = re.compile(rf"(?:\ufeff)?{_NOTES}(?:---[ \t]*(?:#[^\n]*)?\n)?{_NOTES}")


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

    def with_changes(self, changes: Mapping[int, Sequence[str]], form: Callable[[str], str] = str) -> str:
        """Every document that is named replaced by these, in this form; none takes it away."""
        kept = [
            self._replaced(index, changes[index], form) if index in changes else part
            for index, part in enumerate(self.parts)
        ]
        return "".join(kept) if kept[0] else "".join(kept).removeprefix(_MARKER)

    def _replaced(self, index: int, documents: Sequence[str], form: Callable[[str], str]) -> str:
        """What was noted above a document stays above the first of those that take its place."""
        if not documents:
            return ""
        found = _HEAD.match(self.parts[index])
        written = form((found[0] if found else "") + _MARKER.join(documents))
        return written if not index or written.startswith("---") else _MARKER + written


def cut(text: str) -> Passages | None:
    """None where the end of documents is marked, which nobody needs and no cut here knows."""
    if _END.search(text):
        return None
    starts = [found.start() for found in _BEGINNING.finditer(text)]
    if not starts or not _EMPTY.fullmatch(text[: starts[0]]):
        starts = [0, *starts]
    starts[0] = 0
    return Passages(tuple(text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)))
