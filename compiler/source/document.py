"""One YAML document of a source tree, and where in its file each of its values stands."""

from dataclasses import dataclass, field
from functools import cached_property

from compiler.diagnostics import Position
from compiler.source.places import Places


@dataclass(frozen=True)
class Document:
    """The index-th document (from 0, empty ones counted) of a file; equal where file, blob and index are.

    Nobody changes `value`: an alias shares the object of its anchor, and documents of equal blobs share theirs.
    """

    file: str
    blob: str
    index: int
    value: dict[str, object] = field(compare=False)
    text: bytes = field(compare=False, repr=False)
    places: Places | None = field(default=None, compare=False, repr=False)

    def position(self, pointer: str = "", *, key: bool = False) -> Position:
        """The place of the value at a JSON pointer, or of its key; the nearest ancestor's where there is none."""
        return Position(self.file, *self._places.find(self.index, pointer, key=key))

    @cached_property
    def _places(self) -> Places:
        return self.places or Places(self.text)
