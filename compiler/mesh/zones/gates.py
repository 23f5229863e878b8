"""Where a zone is entered and left: the addresses of its zone proxies, as other proxies are told them (kuma-core §2.4).

A zone that nobody wrote an ingress for has none: its proxies are reached where they are (docs/decisions/0007).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, cast

from compiler.memo import Memo, Query
from compiler.mesh.graph import ALL_ENABLED, KEYS, RESOURCE, ZONE_LISTENERS, as_dataplane, read_proxy, service_name
from compiler.mesh.identity import accepted_uris, has_tls
from compiler.mesh.value import Value
from compiler.resources.model import (
    MESH,
    WORKLOAD,
    Dataplane,
    MeshZoneAddress,
    Resource,
    ResourceKey,
    ZoneIngress,
)
from compiler.resources.specs.dataplane import ZoneListener

INGRESS: Final = "ZoneIngress"
EGRESS: Final = "ZoneEgress"
ZONE_ADDRESS: Final = "MeshZoneAddress"
EGRESS_SERVICE: Final = "zone-egress"
"""What every ZoneEgress is called in its certificates, one for each mesh (Kuma 2.x)."""


class Gate(Value, frozen=True, order=True):
    """`identities` are what the proxy there may show, where it ends the caller's TLS."""

    address: str
    port: int
    identities: tuple[str, ...] = ()


Gates = Mapping[str, tuple[Gate, ...]]
"""By zone, each address once."""


def _ingresses(memo: Memo, mesh: str) -> Gates:
    """What a MeshZoneAddress says of a zone stands in for its ZoneIngresses."""
    return _by_zone(_advertised(memo)) | _by_zone(_written(memo, mesh))


def _by_zone(gates: Iterator[tuple[str, Gate]]) -> dict[str, tuple[Gate, ...]]:
    found: dict[str, set[Gate]] = defaultdict(set)
    for zone, gate in gates:
        found[zone].add(gate)
    return {zone: tuple(sorted(there)) for zone, there in sorted(found.items())}


def _written(memo: Memo, mesh: str) -> Iterator[tuple[str, Gate]]:
    for resource in _resources(memo, ZONE_ADDRESS, mesh):
        spec = cast(MeshZoneAddress, resource.spec)
        if resource.zone:
            yield resource.zone, Gate(spec.address, spec.port)


def _advertised(memo: Memo) -> Iterator[tuple[str, Gate]]:
    for resource in _resources(memo, INGRESS, ""):
        spec = cast(ZoneIngress, resource.spec)
        if spec.networking.advertised_address:
            yield zone_of(resource), Gate(spec.networking.advertised_address, spec.networking.advertised_port)


def _egresses(memo: Memo, mesh: str) -> Gates:
    """Only TLS of the mesh can be led through one: by it the egress knows who calls what."""
    return _by_zone((zone_of(proxy), gate) for proxy in _egress_proxies(memo, mesh) for gate in _led(memo, proxy))


def _egress_proxies(memo: Memo, mesh: str) -> Iterator[Resource]:
    """A proxy that registers itself is told apart by its address, which no commit knows: none leads through it."""
    for key in sorted(memo.read(ZONE_LISTENERS, mesh)):
        proxy = read_proxy(memo, key) if key.type == "Dataplane" else None
        if proxy is not None:
            yield proxy
    yield from (stand_in(as_dataplane(resource), mesh) for resource in _resources(memo, EGRESS, ""))


def _led(memo: Memo, proxy: Resource) -> Iterator[Gate]:
    networking = cast(Dataplane, proxy.spec).networking
    tags = (cast(Dataplane, proxy.spec).tag_sets or ({},))[0]
    for listener in zone_listeners(proxy, EGRESS) if has_tls(memo, proxy) else ():
        if listener.state == "Ready":
            address = networking.advertised_address or listener.address or networking.address
            shown = tuple(accepted_uris(memo, proxy, service_name(proxy, tags)))
            yield Gate(address, listener.port, shown)


def stand_in(proxy: Resource, mesh: str) -> Resource:
    """A zone proxy of 2.x as one of a mesh, in which all of them are called alike."""
    key = ResourceKey(proxy.key.type, mesh, proxy.key.name)
    return Resource(key, {**proxy.labels, MESH: mesh, WORKLOAD: EGRESS_SERVICE}, proxy.spec)


def zone_listeners(proxy: Resource, kind: str) -> tuple[ZoneListener, ...]:
    """Those of a kind that take calls now or may again."""
    listeners = cast(Dataplane, proxy.spec).networking.listeners
    return tuple(one for one in listeners if one.type == kind and one.state != "Ignored")


def zone_of(resource: Resource) -> str:
    """The field of a zone proxy of 2.x, else the label."""
    return getattr(resource.spec, "zone", "") or resource.zone


def _resources(memo: Memo, kind: str, mesh: str) -> Iterator[Resource]:
    keys: list[ResourceKey] = sorted(memo.read(KEYS, (kind, mesh)))
    yield from (resource for key in keys if (resource := memo.read(RESOURCE, key)) is not None)


INGRESSES: Final[Query[str, Gates]] = Query("ingresses", _ingresses)
EGRESSES: Final[Query[str, Gates]] = Query("egresses", _egresses)
"""By mesh: where external services, and with `routing.zoneEgress` other zones, are called through."""
IS_GATED: Final[Query[str, bool]] = Query(
    "gated",
    lambda memo, mesh: bool(memo.ask(INGRESSES, mesh) or memo.ask(EGRESSES, mesh) or not memo.ask(ALL_ENABLED, None)),
)
"""By mesh: whether zones see different endpoints of the same service."""
