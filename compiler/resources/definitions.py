"""Resources by key and the places that define them: of several the first by path and index counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from compiler.diagnostics import Diagnostic, Subject
from compiler.resources.by_key import ByKey
from compiler.resources.findings import DUPLICATE_RESOURCE
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.page import Definition
from compiler.resources.resource_set import Source


class Definitions:
    """All that pages define; `resources` and `sources` are other mappings after each change."""

    def __init__(self) -> None:
        self.resources: ByKey[ResourceKey, Resource] = ByKey()
        self.sources: ByKey[ResourceKey, Source] = ByKey()
        self.kinds: Mapping[str, int] = {}
        self._rivals: dict[ResourceKey, Sequence[Definition]] = {}
        self._found: dict[ResourceKey, Sequence[Diagnostic]] = {}

    @property
    def found(self) -> Iterator[Diagnostic]:
        """Every definition after the first, with the place of the first."""
        return (finding for findings in self._found.values() for finding in findings)

    def update(self, gone: Iterable[Definition], come: Iterable[Definition]) -> Iterable[ResourceKey]:
        """The keys that may mean something else now, or stand somewhere else."""
        touched = self._gather(gone, come)
        first = {key: _first(definitions) for key, definitions in touched.items() if definitions}
        for key, definitions in touched.items():
            self._compare(key, definitions)
        lost = [key for key in touched if key not in first and key in self.resources]
        self._count([key for key in first if key not in self.resources], lost)
        self.resources = self.resources.with_changes({key: one for key, (one, _) in first.items()}, lost)
        self.sources = self.sources.with_changes({key: source for key, (_, source) in first.items()}, lost)
        return touched.keys()

    def _gather(self, gone: Iterable[Definition], come: Iterable[Definition]) -> dict[ResourceKey, list[Definition]]:
        """All definitions of each key that is concerned."""
        touched: dict[ResourceKey, list[Definition]] = {}
        for resource, source in gone:
            known = self._known(touched, resource.key)
            touched[resource.key] = [one for one in known if one[1] is not source]
        for definition in come:
            key = definition[0].key
            touched[key] = [*self._known(touched, key), definition]
        return touched

    def _known(self, touched: Mapping[ResourceKey, list[Definition]], key: ResourceKey) -> Sequence[Definition]:
        if key in touched:
            return touched[key]
        if key in self._rivals:
            return self._rivals[key]
        return ((self.resources[key], self.sources[key]),) if key in self.resources else ()

    def _compare(self, key: ResourceKey, definitions: Sequence[Definition]) -> None:
        if len(definitions) > 1:
            self._rivals[key] = tuple(definitions)
            self._found[key] = tuple(_refuse_later(key, sorted(definitions, key=_order)))
        else:
            self._rivals.pop(key, None)
            self._found.pop(key, None)

    def _count(self, added: Iterable[ResourceKey], lost: Iterable[ResourceKey]) -> None:
        counts = Counter(self.kinds)
        counts.update(key.type for key in added)
        counts.subtract(key.type for key in lost)
        self.kinds = +counts


def _first(definitions: Sequence[Definition]) -> Definition:
    return definitions[0] if len(definitions) == 1 else min(definitions, key=_order)


def _order(definition: Definition) -> tuple[str, int, int]:
    return definition[1].order


def _refuse_later(key: ResourceKey, definitions: Sequence[Definition]) -> Iterator[Diagnostic]:
    (_, first), *later = definitions
    for _, source in later:
        message = f"{key.type} {key.name} is already defined at {first.position()}"
        subject = Subject(key.type, key.mesh, key.name)
        yield Diagnostic(source.position(), DUPLICATE_RESOURCE, message, "keep one of the two", subject, source.path())
