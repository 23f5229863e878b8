"""What replicas have in common: a proxy without its name, its own addresses, and the labels that nothing asks about.

Everything that a proxy must do is resolved, translated, rendered and checked once for each shape. A name or a label
stays in the shape where some policy asks for it, so that a shape decides all that the proxy itself would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.graph import ANY_ZONE, ASKED, RESOURCE, is_shared, read_proxy
from compiler.mesh.proxy import SHARED
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
_UNSPECIFIED: Final[Mapping[int, str]] = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # nothing binds it
_HOLE: Final = "\0"
"""No YAML can hold it, so an address that has one is an address to be filled in."""


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


def hole(place: int, version: int) -> str:
    """What stands for a replica's address of this place, of an IP version."""
    return f"{_HOLE}{version}{place}{_HOLE}"


def has_hole(text: str) -> bool:
    return _HOLE in text


def hole_place(symbol: str) -> int:
    """Which of a replica's addresses it stands for."""
    return int(symbol[2:-1])


def stand_in(symbol: str) -> str:
    """An address of the version of those that the hole stands for."""
    return _UNSPECIFIED[int(symbol[1])]


def fill(text: str, addresses: Sequence[str]) -> str:
    """The text with a replica's addresses."""
    if _HOLE in text:
        for place, address in enumerate(addresses):
            text = text.replace(hole(place, ip_address(address).version), address)
    return text


def version_of(address: str) -> int:
    """4 or 6; 0 for a loopback address and for what is no IP address."""
    if address.startswith(_HOLE):
        return int(address[1])
    parsed = _parse(address)
    return parsed.version if parsed is not None and not parsed.is_loopback else 0


def workload(resource: Resource) -> str:
    """The folder of a proxy's snapshot: its workload label, else the service of its first inbound, else its name."""
    tag_sets = cast(Dataplane, resource.spec).tag_sets
    first = tag_sets[0].get(SERVICE, "") if tag_sets else ""
    named = resource.labels.get(WORKLOAD) or first
    return named if _is_folder(named) else resource.key.name


def _is_folder(name: str) -> bool:
    """A tag may be `..` or longer than a file system takes; Git refuses a tree with such a name."""
    return 0 < len(name) <= _FOLDER_LENGTH and not name.startswith(".")


def _replica(memo: Memo, key: ResourceKey) -> Replica | None:
    resource = read_proxy(memo, key)
    if resource is None:
        return None
    networking = cast(Dataplane, resource.spec).networking
    versions = _own_addresses(networking)
    spec = Dataplane(_with_holes(networking, versions))
    particular = _is_particular(memo, resource)
    shape = shape_of(Resource(key, resource.labels, spec) if particular else _common(memo, resource, spec))
    name = SHARED if is_shared(cast(Resource, memo.read(RESOURCE, key))) else key.name
    return Replica(shape, tuple(versions), resource.zone, name)


def shape_of(resource: Resource) -> Shape:
    """The shape that is all of a resource."""
    return Shape(msgspec.msgpack.encode((resource.key, resource.labels, resource.spec)), resource)


def _common(memo: Memo, resource: Resource, spec: Dataplane) -> Resource:
    key = ResourceKey(resource.key.type, resource.key.mesh, "")
    labels = {name: value for name, value in resource.labels.items() if _matters(memo, key.mesh, name, value)}
    return Resource(key, labels | {DISPLAY_NAME: ""}, spec)


def _matters(memo: Memo, mesh: str, label: str, value: str) -> bool:
    if label in _MEANINGFUL:
        return True
    if label == ZONE and memo.read(ASKED, (mesh, ANY_ZONE)):
        return True
    return label != DISPLAY_NAME and bool(memo.read(ASKED, (mesh, (f"label:{label}", value))))


def _is_particular(memo: Memo, resource: Resource) -> bool:
    """Whether its name decides something: a policy asks for it, or a service or folder is called by it."""
    tag_sets = cast(Dataplane, resource.spec).tag_sets or ({},)
    if not resource.labels.get(WORKLOAD) and not all(tags.get(SERVICE) for tags in tag_sets):
        return True
    if workload(resource) == resource.key.name:
        return True
    return bool(memo.read(ASKED, (resource.key.mesh, (f"label:{DISPLAY_NAME}", resource.name))))


def _own_addresses(networking: Networking) -> Mapping[str, int]:
    """With their versions, those that mean nothing but where this replica is: others are left as they are written."""
    inbounds = networking.inbound
    written = [networking.address, *(each for one in inbounds for each in (one.address, one.service_address))]
    kept = {outbound.address for outbound in networking.outbound}
    seen: dict[IPv4Address | IPv6Address, str] = {}
    for address in dict.fromkeys(written):
        parsed = _parse(address) if address and address not in kept else None
        if parsed is not None and not _is_special(parsed):
            seen.setdefault(parsed, address)
    return {address: parsed.version for parsed, address in seen.items()}


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    """Virtual addresses of services are of a reserved block."""
    return address.is_loopback or address.is_unspecified or address.is_reserved


def _with_holes(networking: Networking, versions: Mapping[str, int]) -> Networking:
    symbols = {address: hole(place, version) for place, (address, version) in enumerate(versions.items())}
    return replace(
        networking,
        address=symbols.get(networking.address, networking.address),
        advertised_address="",
        inbound=tuple(_inbound_with_holes(inbound, symbols) for inbound in networking.inbound),
    )


def _inbound_with_holes(inbound: Inbound, symbols: Mapping[str, str]) -> Inbound:
    if not inbound.address and not inbound.service_address:
        return inbound
    return replace(
        inbound,
        address=symbols.get(inbound.address, inbound.address),
        service_address=symbols.get(inbound.service_address, inbound.service_address),
    )


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


REPLICA: Final[Query[ResourceKey, Replica | None]] = Query("replica", _replica)
