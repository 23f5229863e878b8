"""What replicas have in common: a proxy without its name, its own addresses, and the labels that nothing asks about.

Everything that a proxy must do is resolved, translated, rendered and checked once for each shape. A name or a label
stays in the shape where some policy asks for it, so that a shape decides all that the proxy itself would; of a zone
that is only named, in a log or a span, the shape knows that there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.generators import BY_ORIGIN
from compiler.mesh.graph import ANY_ZONE, ASKED, RESOURCE, as_dataplane, is_proxy, is_shared
from compiler.mesh.holes import has_hole, hole, texts_of, zone_hole
from compiler.mesh.kinds import DECIDING, NAMED, SPEAKING
from compiler.mesh.names import SHARED
from compiler.mesh.zones.gates import EGRESSES
from compiler.resources.addresses import Address, parse_address
from compiler.resources.model import (
    DISPLAY_NAME,
    ENVIRONMENT,
    MESH,
    NAMESPACE,
    ORIGIN,
    SERVICE,
    WORKLOAD,
    ZONE,
    Dataplane,
    Inbound,
    Networking,
    Resource,
    ResourceKey,
)

_MEANINGFUL: Final = frozenset({MESH, ORIGIN, ENVIRONMENT, NAMESPACE, WORKLOAD})
"""Labels that more than policies look at; few workloads differ by them."""
_FOLDER_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """Equal where its content, the encoded form of `resource`, is; addresses that replicas do not share are holes."""

    content: bytes = field(repr=False)
    resource: Resource = field(compare=False)


class Replica(NamedTuple):
    """A proxy as one of its shape: `addresses` go into the holes, in this order."""

    shape: Shape
    addresses: tuple[str, ...]
    zone: str
    name: str

    @property
    def texts(self) -> tuple[str, ...]:
        """All that goes into its holes."""
        return texts_of(self.shape.resource, self.addresses, self.zone)


def version_of(address: str) -> int:
    """4 or 6; 0 for a loopback address and for what is no IP address."""
    if has_hole(address):
        return int(address[1])
    parsed = parse_address(address)
    return parsed.version if parsed is not None and not parsed.loopback else 0


def workload(resource: Resource) -> str:
    """The folder of a proxy's snapshot: its workload label, else the service of its first inbound, else its name."""
    named = resource.labels.get(WORKLOAD) or _first_service(resource)
    return named if _is_folder(named) else resource.key.name


def _first_service(resource: Resource) -> str:
    tag_sets = cast(Dataplane, resource.spec).tag_sets
    return tag_sets[0].get(SERVICE, "") if tag_sets else ""


def _is_folder(name: str) -> bool:
    """A tag may be `..` or longer than a file system takes; Git refuses a tree with such a name."""
    return 0 < len(name) <= _FOLDER_LENGTH and not name.startswith(".")


def _replica(memo: Memo, key: ResourceKey) -> Replica | None:
    written = memo.read(RESOURCE, key)
    if written is None or not is_proxy(written):
        return None
    resource = as_dataplane(written)
    networking = cast(Dataplane, resource.spec).networking
    versions = _own_addresses(networking, memo.ask(NAMED, resource.key.mesh))
    spec = replace(cast(Dataplane, resource.spec), networking=_with_holes(networking, versions))
    particular = _is_particular(memo, resource)
    shape = shape_of(Resource(key, resource.labels, spec) if particular else _common(memo, resource, spec))
    name = SHARED if is_shared(written) else key.name
    return Replica(shape, tuple(versions), resource.zone, name)


def shape_of(resource: Resource) -> Shape:
    """The shape that is all of a resource."""
    return Shape(msgspec.msgpack.encode((resource.key, resource.labels, resource.spec), enc_hook=str), resource)


def _common(memo: Memo, resource: Resource, spec: Dataplane) -> Resource:
    key = ResourceKey(resource.key.type, resource.key.mesh, "")
    labels = {
        name: value
        for name, value in resource.labels.items()
        if name in _MEANINGFUL or (name != DISPLAY_NAME and _is_asked(memo, key.mesh, name, value))
    }
    labels[DISPLAY_NAME] = ""
    if resource.zone and ZONE not in labels and memo.ask(OWNED, key.mesh):
        labels[ZONE] = zone_hole(resource.zone)
    return Resource(key, labels, spec)


def _is_asked(memo: Memo, mesh: str, label: str, value: str) -> bool:
    if label == ZONE and (memo.read(ASKED, (mesh, ANY_ZONE)) or memo.ask(EGRESSES, mesh) or memo.ask(BY_ORIGIN, None)):
        return True
    return label in memo.ask(DECIDING, mesh) or bool(memo.read(ASKED, (mesh, (f"label:{label}", value))))


def _is_particular(memo: Memo, resource: Resource) -> bool:
    """Whether its name decides something: a policy asks for it, or a service or folder is called by it.

    One that calls others by their addresses is told all but its own, so that no other is told the same.
    """
    if _calls_directly(cast(Dataplane, resource.spec).networking):
        return True
    if not resource.labels.get(WORKLOAD) and not _offers_by_tag(resource):
        return True
    if cast(Dataplane, resource.spec).networking.listeners:
        return True
    if workload(resource) == resource.key.name or DISPLAY_NAME in memo.ask(DECIDING, resource.key.mesh):
        return True
    return bool(memo.read(ASKED, (resource.key.mesh, (f"label:{DISPLAY_NAME}", resource.name))))


def _calls_directly(networking: Networking) -> bool:
    redirection = networking.transparent_proxying
    return redirection is not None and bool(redirection.direct_access_services)


def _offers_by_tag(resource: Resource) -> bool:
    return all(tags.get(SERVICE) for tags in cast(Dataplane, resource.spec).tag_sets or ({},))


def _own_addresses(networking: Networking, named: frozenset[str]) -> Mapping[str, int]:
    """With their versions, those that mean nothing but where this replica is: others are left as they are written."""
    if _calls_directly(networking):
        return {}
    written = {networking.address: None}
    for inbound in networking.inbound:
        written[inbound.address] = written[inbound.service_address] = None
    kept = {"", *(outbound.address for outbound in networking.outbound)} | named
    seen: dict[Address, str] = {}
    for address in written:
        parsed = parse_address(address) if address not in kept else None
        if parsed is not None and not parsed.special:
            seen.setdefault(parsed, address)
    return {address: parsed.version for parsed, address in seen.items()}


def _with_holes(networking: Networking, versions: Mapping[str, int]) -> Networking:
    symbols = {address: hole(place, version) for place, (address, version) in enumerate(versions.items())}
    return replace(
        networking,
        address=symbols.get(networking.address, networking.address),
        advertised_address="",
        inbound=tuple([_inbound_with_holes(inbound, symbols) for inbound in networking.inbound]),
    )


def _inbound_with_holes(inbound: Inbound, symbols: Mapping[str, str]) -> Inbound:
    if not inbound.address and not inbound.service_address:
        return inbound
    return replace(
        inbound,
        address=symbols.get(inbound.address, inbound.address),
        service_address=symbols.get(inbound.service_address, inbound.service_address),
    )


OWNED: Final[Query[str, bool]] = Query(
    "owned", lambda memo, mesh: any(kind.names_owner for kind in memo.ask(SPEAKING, mesh))
)
"""By mesh: whether some policy names the proxies that it holds for."""
REPLICA: Final[Query[ResourceKey, Replica | None]] = Query("replica", _replica)
