"""All resources of a tree, and where each was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compiler.diagnostics import Position, Subject
from compiler.resources.model import Resource, ResourceKey
from compiler.source.document import Passage


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a spec stands in its document: below `prefix`, but for the pointers that `elsewhere` names."""

    prefix: str = ""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    labels: str = "/labels"

    def locate(self, pointer: str) -> str:
        """A pointer into the spec as a pointer into the document."""
        return self.elsewhere.get(pointer, self.prefix + pointer)


@dataclass(frozen=True, slots=True)
class Source:
    """The document that a resource came from; `number` counts the resources of one document."""

    passage: Passage
    placement: Placement = Placement()
    number: int = 0

    @property
    def order(self) -> tuple[str, int, int]:
        """Of two definitions of one resource the first counts."""
        return self.passage.file, self.passage.index, self.number

    def path(self, pointer: str = "") -> str:
        """The pointer inside the document of a pointer inside the spec."""
        return self.placement.locate(pointer)

    def position(self, pointer: str = "", *, on_key: bool = False) -> Position:
        """Of a value of the spec, or of its key; the nearest ancestor's where it is not written."""
        return self.passage.position(self.path(pointer), key=on_key)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was read: `ignored` are documents that are not the mesh's."""

    files: int = 0
    documents: int = 0
    resources: int = 0
    ignored: int = 0


@dataclass(frozen=True)
class ResourceSet:
    """Resources and their sources, both sorted by key; `kinds` is how many there are of each type."""

    resources: Mapping[ResourceKey, Resource] = field(default_factory=dict)
    sources: Mapping[ResourceKey, Source] = field(default_factory=dict, compare=False)
    counts: Counts = field(default=Counts(), compare=False)
    kinds: Mapping[str, int] = field(default_factory=dict, compare=False)

    def of_type(self, kind: str, mesh: str | None = None) -> Iterator[Resource]:
        """The resources of a type, of one mesh where it is given, by key."""
        for key, resource in self.resources.items():
            if key.type == kind and mesh in (None, key.mesh):
                yield resource

    def position(self, key: ResourceKey, pointer: str = "", *, on_key: bool = False) -> Position:
        """Where a value of a resource's spec was written."""
        return self.sources[key].position(pointer, on_key=on_key)

    def subject(self, key: ResourceKey) -> Subject:
        """How a diagnostic names the resource."""
        return Subject(key.type, key.mesh, key.name)
