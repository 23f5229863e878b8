"""HostnameGenerators, and what they see of a service: Kuma gives a service labels that are others in its own zone."""

from collections.abc import Mapping
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.graph import KEYS, RESOURCE, SERVICE_NAMES, read_proxy
from compiler.mesh.match import has_labels
from compiler.mesh.services import MESH_SERVICE
from compiler.resources.model import ENVIRONMENT, ORIGIN, ZONE, HostnameGenerator, LabelSelector, Resource, ResourceKey

GENERATOR: Final = "HostnameGenerator"


def _generators(memo: Memo, _: None) -> tuple[Resource, ...]:
    """A zone's own come first; among equals the name decides, since Git knows no time of creation."""
    keys = memo.read(KEYS, (GENERATOR, ""))
    found = (resource for key in keys if (resource := memo.read(RESOURCE, key)) is not None)
    return tuple(sorted(found, key=lambda one: (not one.zone, one.name, one.key)))


def _by_origin(memo: Memo, _: None) -> bool:
    """Whether a name depends on the zone of who calls by it."""
    selectors = (cast(HostnameGenerator, one.spec).selector for one in memo.ask(GENERATORS, None))
    written = (
        each for one in selectors for each in (one.mesh_service, one.mesh_external_service, one.mesh_multi_zone_service)
    )
    return any(one is not None and ORIGIN in one.match_labels for one in written)


def is_meant(generator: Resource, service: Resource, zone: str) -> bool:
    """Whether a generator is about a service as it is seen from a zone, whatever comes of it."""
    selector = selector_for(generator, service.key.type)
    if selector is None:
        return False
    wanted = {label: value for label, value in selector.match_labels.items() if label != ORIGIN}
    return has_labels(service, wanted) and _is_of(service, selector.match_labels.get(ORIGIN), zone)


def _is_of(service: Resource, origin: str | None, zone: str) -> bool:
    """A zone's own services are of the zone, all others come from the global control plane (kuma-core §1.4, §2.8).

    Of what is in no zone, and says nothing itself, nobody can tell: it is both.
    """
    if service.zone and zone:
        return origin in (None, "zone" if service.zone == zone else "global")
    return origin in (None, service.labels.get(ORIGIN, origin))


def selector_for(generator: Resource, kind: str) -> LabelSelector | None:
    """What a generator asks of services of a type; None where it is not about the type."""
    selector = cast(HostnameGenerator, generator.spec).selector
    match kind:
        case "MeshExternalService":
            return selector.mesh_external_service
        case "MeshMultiZoneService":
            return selector.mesh_multi_zone_service
        case _:
            return selector.mesh_service


def as_labelled(memo: Memo, service: Resource) -> Resource:
    """A MeshService that nobody wrote with the labels that Kuma's generator gives it, as far as its proxies agree."""
    if service.key.type != MESH_SERVICE or memo.read(RESOURCE, service.key) is not None:
        return service
    return Resource(service.key, {**service.labels, **memo.ask(SHARED_LABELS, service.key)}, service.spec)


def _shared_labels(memo: Memo, key: ResourceKey) -> Mapping[str, str]:
    proxies = [read_proxy(memo, one) for one in sorted(memo.read(SERVICE_NAMES, (key.mesh, key.name)))]
    found = [one.labels for one in proxies if one is not None]
    pairs = ((label, {labels.get(label, "") for labels in found}) for label in (ENVIRONMENT, ZONE))
    return {label: next(iter(values)) for label, values in pairs if len(values) == 1 and "" not in values}


GENERATORS: Final[Query[None, tuple[Resource, ...]]] = Query("hostname generators", _generators)
BY_ORIGIN: Final[Query[None, bool]] = Query("hostnames by origin", _by_origin)
SHARED_LABELS: Final[Query[ResourceKey, Mapping[str, str]]] = Query("shared labels", _shared_labels)
