"""Names of Meshes and Zones: which there are, which documents name, and what is said of one that is missing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from compiler.diagnostics import Diagnostic, Severity, Subject
from compiler.resources.findings import UNKNOWN_MESH, UNKNOWN_ZONE, Finding, join
from compiler.resources.model import ZONE, Dataplane, DataplaneSet, Resource
from compiler.resources.page import Page, diagnose, name_subject
from compiler.resources.resource_set import Source
from compiler.resources.suggest import did_you_mean

Judge = Callable[[Page, frozenset[str]], Iterable[Diagnostic]]


class Mentions:
    """Of one type of resource; pages are looked at again when they change or when the set of names did."""

    def __init__(self, kind: str, mentioned: Callable[[Page], Iterable[str]], judge: Judge) -> None:
        self._kind = kind
        self._mentioned = mentioned
        self._judge = judge
        self._names: Counter[str] = Counter()
        self._paths: dict[str, set[str]] = {}
        self._found: dict[str, tuple[Diagnostic, ...]] = {}

    @property
    def found(self) -> Iterator[Diagnostic]:
        """What is wrong now."""
        return (finding for findings in self._found.values() for finding in findings)

    def update(self, gone: Sequence[Page], come: Sequence[Page], pages: Mapping[str, Page]) -> None:
        """`pages` are all there are now, by path."""
        before = frozenset(self._names)
        for page in gone:
            self._remove(page)
        for page in come:
            self._add(page)
        names = frozenset(self._names)
        again = {page.path for page in come}
        if names != before:
            self._found.clear()
            again.update(*(self._paths[name] for name in self._paths.keys() - names))
        for path in again:
            if found := tuple(self._judge(pages[path], names)):
                self._found[path] = found

    def _remove(self, page: Page) -> None:
        self._names -= Counter(self._defined(page))
        for name in set(self._mentioned(page)):
            self._paths[name].discard(page.path)
            if not self._paths[name]:
                del self._paths[name]
        self._found.pop(page.path, None)

    def _add(self, page: Page) -> None:
        for name in self._defined(page):
            self._names[name] += 1
        for name in set(self._mentioned(page)):
            self._paths.setdefault(name, set()).add(page.path)

    def _defined(self, page: Page) -> Iterator[str]:
        """One with mistakes counts as there, so that its mistake is not told once for each resource that names it."""
        return (envelope.name for _, envelope in page.envelopes if envelope.type == self._kind)


def mentions_of_meshes() -> Mentions:
    """Each document names its mesh."""
    return Mentions("Mesh", _meshes, _unknown_meshes)


def mentions_of_zones() -> Mentions:
    """A label names the zone of a resource, or the field of a zone proxy of 2.x."""
    return Mentions("Zone", _zones, _unknown_zones)


def _meshes(page: Page) -> Iterator[str]:
    return (envelope.mesh for _, envelope in page.envelopes if envelope.mesh)


def _unknown_meshes(page: Page, meshes: frozenset[str]) -> Iterator[Diagnostic]:
    """Where there is no Mesh at all, a part of a repository is being looked at: a warning then."""
    for passage, envelope in page.envelopes:
        if envelope.mesh and envelope.mesh not in meshes:
            hint = did_you_mean(envelope.mesh, meshes) or f"add a document of type Mesh with name: {envelope.mesh}"
            message, severity = f"there is no Mesh {envelope.mesh}", None if meshes else Severity.WARNING
            found = Finding(envelope.mesh_pointer, UNKNOWN_MESH, message, hint, severity=severity)
            yield diagnose(passage, found, name_subject(envelope))


def _zones(page: Page) -> Iterator[str]:
    return (zone for resource, _ in page.definitions if (zone := _zone_of(resource)))


def _unknown_zones(page: Page, zones: frozenset[str]) -> Iterator[Diagnostic]:
    """Only in a repository that has Zones at all."""
    for resource, source in page.definitions if zones else ():
        zone = _zone_of(resource)
        if zone and zone not in zones:
            hint = did_you_mean(zone, zones) or f"add a document of type Zone with name: {zone}"
            found = Finding(_zone_pointer(resource, source), UNKNOWN_ZONE, f"there is no Zone {zone}", hint)
            yield diagnose(source.passage, found, Subject(*resource.key))


def _zone_of(resource: Resource) -> str:
    written: str = getattr(resource.spec, "zone", "")
    return written or resource.zone


def _zone_pointer(resource: Resource, source: Source) -> str:
    """Of several places that say it the one that counts."""
    first, *others = _zone_pointers(resource, source)
    return next((pointer for pointer in (first, *others) if source.passage.has(pointer)), first)


def _zone_pointers(resource: Resource, source: Source) -> Iterator[str]:
    """An instance of a set has its own; a proxy of 2.x has it in the tags of all its inbounds."""
    if source.placement.elsewhere:
        yield join(source.path(), "zone")
        yield join(source.path(), "labels", ZONE)
    if getattr(resource.spec, "zone", ""):
        yield source.path("/zone")
    yield join(source.placement.labels, ZONE)
    match resource.spec:
        case Dataplane(networking=networking):
            at = source.path("/networking")
        case DataplaneSet(template=template):
            at, networking = source.path("/template/networking"), template.networking
        case _:
            return
    yield join(at, "gateway", "tags", ZONE)
    yield from (join(at, "inbound", index, "tags", ZONE) for index in range(len(networking.inbound)))


__all__ = ["Mentions", "mentions_of_meshes", "mentions_of_zones"]
