"""One YAML document of a source tree, and where in its file each of its values stands."""

from dataclasses import dataclass, field

from compiler.diagnostics import Position
from compiler.source.places import Places


@dataclass(frozen=True)
class Passage:
    """Where a document stands: the index-th (from 0, empty ones counted) of a file; equal where file and blob are."""

    file: str
    blob: str
    index: int
    places: Places = field(compare=False, repr=False)

    def position(self, pointer: str = "", *, key: bool = False) -> Position:
        """The place of the value at a JSON pointer, or of its key; the nearest ancestor's where there is none."""
        return Position(self.file, *self.places.find(self.index, pointer, key=key))

    def has(self, pointer: str) -> bool:
        """Whether the document writes a value there, in either spelling of its key."""
        return self.places.has(self.index, pointer)

    def spell(self, pointer: str) -> str:
        """A JSON pointer as the document's author would write it: a proto type has snake_case for camelCase."""
        return self.places.spell(self.index, pointer)


@dataclass(frozen=True)
class Document(Passage):
    """A passage with what it says.

    Nobody changes `value`: an alias shares the object of its anchor, and documents of equal blobs share theirs.
    """

    value: dict[str, object] = field(compare=False)
