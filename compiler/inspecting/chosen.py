"""The other way round: which proxies a policy selects, and which stand behind a service (kuma-core §9.2)."""

from collections.abc import Iterable, Iterator
from typing import Final, cast

from compiler.inspecting.shown import Json, Sources, show_meta, show_position
from compiler.memo import Memo
from compiler.mesh.generators import BY_ORIGIN, as_labelled
from compiler.mesh.graph import KEYS, RESOURCE, proxy_keys
from compiler.mesh.hostnames import hostnames
from compiler.mesh.kinds import KINDS
from compiler.mesh.members import MEMBERS, Member
from compiler.mesh.selection import SELECTS
from compiler.mesh.services import (
    MESH_SERVICE,
    OTHER_KEYS,
    SERVICE_KEYS,
    SERVICE_RESOURCE,
    SERVICE_TYPES,
    VIRTUAL_ADDRESS,
    Port,
    service_ports,
)
from compiler.mesh.shape import REPLICA
from compiler.resources.model import ORIGIN, Policy, Resource, ResourceKey

_ENDINGS: Final = (("y", "ies"), ("s", "ses"), ("ch", "ches"))


def collection(kind: str) -> str:
    """What Kuma's paths call the resources of a type: `meshtimeouts`."""
    word = kind.lower()
    return next((word.removesuffix(end) + plural for end, plural in _ENDINGS if word.endswith(end)), f"{word}s")


def list_policies(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    """All of a mesh, Kuma's initial ones among them."""
    return tuple(key for kind in memo.read(KINDS, None) for key in sorted(memo.read(KEYS, (kind.type, mesh))))


def list_services(memo: Memo, mesh: str) -> tuple[ResourceKey, ...]:
    """All that can be called in a mesh, services of 2.x that nobody wrote among them."""
    return (*memo.ask(SERVICE_KEYS, mesh), *memo.ask(OTHER_KEYS, mesh))


def selected_proxies(memo: Memo, key: ResourceKey) -> tuple[ResourceKey, ...]:
    """The proxies that a policy selects, or that offer a service; by name. Raises LookupError for what is neither."""
    if key.type in SERVICE_TYPES:
        return tuple(sorted({one.dataplane for one in _members(memo, _service(memo, key))}))
    resource = memo.read(RESOURCE, key)
    if resource is None or not isinstance(resource.spec, Policy):
        raise LookupError(f"no policy {key.type} {key.name!r} in mesh {key.mesh!r}")
    return tuple(_selected(memo, key))


def _service(memo: Memo, key: ResourceKey) -> Resource:
    service = memo.ask(SERVICE_RESOURCE, key) if key.type in SERVICE_TYPES else None
    if service is None:
        raise LookupError(f"no service {key.type} {key.name!r} in mesh {key.mesh!r}")
    return service


def _selected(memo: Memo, key: ResourceKey) -> Iterator[ResourceKey]:
    for proxy in sorted(proxy_keys(memo, key.mesh)):
        replica = memo.ask(REPLICA, proxy)
        if replica is not None and memo.ask(SELECTS, (replica.shape, key)) is not None:
            yield proxy


def _members(memo: Memo, service: Resource) -> Iterator[Member]:
    """Of any port; of a MeshService also those that none of its ports leads to."""
    sections = [one.section for one in service_ports(service)] if service.key.type != MESH_SERVICE else [""]
    for section in sections:
        yield from memo.ask(MEMBERS, Port(service.key, section))


def show_chosen(memo: Memo, key: ResourceKey) -> Json:
    """Kuma's `_resources/dataplanes` of a policy, and `_dataplanes` of a service."""
    return _page(show_meta(cast(Resource, memo.read(RESOURCE, one))) for one in selected_proxies(memo, key))


def show_hostnames(memo: Memo, key: ResourceKey) -> Json:
    """Kuma's `_hostnames`: by what names a service is called, and in which zones, where that is known.

    Raises LookupError for what is no service.
    """
    service = as_labelled(memo, _service(memo, key))
    if not service.zone or not memo.ask(BY_ORIGIN, None) or ORIGIN in service.labels:
        zones = [{"name": service.zone}] if service.zone else []
        return _page({"hostname": name, "zones": zones} for name in hostnames(memo, key, ""))
    known = sorted({service.zone, *(one.name for one in memo.read(KEYS, ("Zone", "")))})
    found: dict[str, list[str]] = {}
    for zone in known:
        for name in hostnames(memo, key, zone):
            found.setdefault(name, []).append(zone)
    return _page({"hostname": name, "zones": [{"name": zone} for zone in zones]} for name, zones in found.items())


def show_policy(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """A policy, where it was written, and the proxies that it selects."""
    dataplanes = show_chosen(memo, key)
    policy = cast(Resource, memo.read(RESOURCE, key))
    return {**_about(policy, sources), "dataplanes": dataplanes}


def show_service(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """A service: its address and names, and the proxies behind each of its ports."""
    service, hostnames, dataplanes = _service(memo, key), show_hostnames(memo, key), show_chosen(memo, key)
    ports = [
        {
            "name": one.section,
            "port": one.port,
            "protocol": one.app_protocol.lower(),
            "dataplanes": sorted({found.dataplane.name for found in memo.ask(MEMBERS, Port(key, one.section))}),
        }
        for one in service_ports(service)
    ]
    address = memo.ask(VIRTUAL_ADDRESS, key)
    about = _about(service, sources)
    return {**about, "address": address, "hostnames": hostnames, "ports": ports, "dataplanes": dataplanes}


def _about(resource: Resource, sources: Sources) -> Json:
    position = show_position(resource.key, "", sources)
    return {"resource": show_meta(resource), "kri": resource.kri(), "position": position}


def _page(found: Iterable[Json]) -> Json:
    items = list(found)
    return {"total": len(items), "items": items}
