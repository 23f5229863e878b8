"""What is wrong with a proxy in its mesh: its tags, its addresses, the services that it wants to call."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.beside import EVERY_SERVICE
from compiler.mesh.checks.crossing import check_called_abroad
from compiler.mesh.checks.references import dangling, missing
from compiler.mesh.gateways.crossing import HAS_ABROAD, is_abroad, reachable_abroad
from compiler.mesh.graph import (
    RESOURCE,
    SERVICE_NAMES,
    is_shared,
    mesh_spec,
    proxy_keys,
)
from compiler.mesh.offers import OFFERED, list_offers
from compiler.mesh.routing import resolve_reference
from compiler.mesh.services import MESH_SERVICE, SERVICE_RESOURCE, service_key, tag_port
from compiler.resources.addresses import parse_address
from compiler.resources.findings import DUPLICATE_NAME, NO_EFFECT, PORT_CONFLICT, Finding
from compiler.resources.model import (
    SERVICE,
    BackendReference,
    Dataplane,
    Inbound,
    MeshZoneAddress,
    Networking,
    Resource,
    TagSet,
    TransparentProxying,
)

CONSTRAINT_VIOLATED: Final = Code(
    "constraint-violated",
    Severity.ERROR,
    "a Dataplane that its Mesh does not admit",
    "`constraints.dataplaneProxy` of the Mesh lists what every tag set must have (one of the requirements) and must "
    "not have (any of the restrictions).",
)
HOST_ADDRESS: Final = Code(
    "host-address",
    Severity.ERROR,
    "a host name where Envoy needs an IP address",
    "Listeners and the endpoints that are sent to other proxies are IP addresses: a name would be resolved at another "
    "time on every machine, and the same commit would not give the same bytes.",
)
_BY_TAGS: Final = "Disabled"
_BY_PORTS: Final = "Exclusive"
_MUST_BE_IP: Final = "an address that listens or that other proxies are sent must be an IP address"


def check_membership(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    rules = mesh_spec(memo, proxy.key.mesh).constraints.dataplane_proxy
    if not rules.requirements and not rules.restrictions:
        return
    for index, tags in enumerate(cast(Dataplane, proxy.spec).tag_sets):
        gateway = cast(Dataplane, proxy.spec).networking.gateway is not None
        pointer = "/networking/gateway" if gateway else f"/networking/inbound/{index}"
        if rules.requirements and not any(_carries(tags, one) for one in rules.requirements):
            yield Finding(pointer, CONSTRAINT_VIOLATED, "its tags meet none of the mesh's requirements")
        if any(_carries(tags, one) for one in rules.restrictions):
            yield Finding(pointer, CONSTRAINT_VIOLATED, "its tags are among the mesh's restrictions")


def _carries(tags: Mapping[str, str], wanted: TagSet) -> bool:
    """A star stands for any value."""
    return all(tags.get(key) and value in {"*", tags[key]} for key, value in wanted.tags.items())


def check_addresses(proxy: Resource) -> Iterator[Finding]:
    networking = cast(Dataplane, proxy.spec).networking
    yield from _check_outbounds(networking)
    yield from _check_hosts(networking)
    yield from _check_sections(networking)


def _check_outbounds(networking: Networking) -> Iterator[Finding]:
    if not networking.outbound:
        return
    own = {(_written(inbound.address or networking.address), inbound.port) for inbound in networking.inbound}
    for index, outbound in enumerate(networking.outbound):
        if (_written(outbound.address), outbound.port) in own:
            message = f"{outbound.address}:{outbound.port} is an inbound of this proxy already"
            yield Finding(f"/networking/outbound/{index}/port", PORT_CONFLICT, message)


def _check_hosts(networking: Networking) -> Iterator[Finding]:
    """A listener binds to the one, and other proxies are sent the other."""
    fields = (("address", networking.address), ("advertisedAddress", networking.advertised_address))
    for field, address in fields if networking.inbound or networking.listeners else ():
        if address and not _is_ip(address):
            yield Finding(f"/networking/{field}", HOST_ADDRESS, _MUST_BE_IP)


def check_told(place: MeshZoneAddress) -> Iterator[Finding]:
    if not _is_ip(place.address):
        yield Finding("/address", HOST_ADDRESS, _MUST_BE_IP)


def _check_sections(networking: Networking) -> Iterator[Finding]:
    """Envoy's resources are called by the section; two inbounds that both have a name were compared before."""
    first: dict[str, Inbound] = {}
    for index, inbound in enumerate(networking.inbound):
        earlier = first.setdefault(inbound.section, inbound)
        if earlier is not inbound and not (earlier.name and inbound.name):
            message = f"two inbounds go by the name {inbound.section!r}: without a name it is the port"
            yield Finding(f"/networking/inbound/{index}", DUPLICATE_NAME, message, "give it a name of its own")


def _is_ip(address: str) -> bool:
    return parse_address(address) is not None


def _written(address: str) -> str:
    """An IP address in the one form in which equal ones are equal; empty for anything else."""
    parsed = parse_address(address)
    return parsed.text if parsed is not None else ""


def check_backends_called(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    networking = cast(Dataplane, proxy.spec).networking
    mesh = proxy.key.mesh
    for index, outbound in enumerate(networking.outbound):
        pointer = f"/networking/outbound/{index}"
        if outbound.backend_ref is not None:
            if not resolve_reference(memo, outbound.backend_ref, mesh, proxy.namespace):
                yield missing(memo, outbound.backend_ref, proxy, f"{pointer}/backendRef")
        elif is_abroad(mesh, outbound.tags):
            yield from check_called_abroad(memo, proxy, outbound, pointer)
        elif memo.ask(SERVICE_RESOURCE, tag_port(mesh, outbound.tags).service) is None:
            yield dangling("service", outbound.tags.get(SERVICE, ""), {}, f"{pointer}/tags", mesh)
    yield from _check_reachable(memo, proxy, "/networking/transparentProxying")


def _check_reachable(memo: Memo, proxy: Resource, pointer: str) -> Iterator[Finding]:
    proxying = cast(Dataplane, proxy.spec).networking.transparent_proxying
    if proxying is None:
        return
    yield from _check_direct(memo, proxy.key.mesh, proxying.direct_access_services, f"{pointer}/directAccessServices")
    for index, name in enumerate(proxying.reachable_services or ()):
        if memo.ask(SERVICE_RESOURCE, service_key(proxy.key.mesh, name)) is not None:
            continue
        if not reachable_abroad(memo, proxy.key.mesh, (name,)):
            yield dangling("service", name, {}, f"{pointer}/reachableServices/{index}", proxy.key.mesh)
    references = proxying.reachable_backends.refs if proxying.reachable_backends is not None else ()
    for index, reference in enumerate(references):
        if not resolve_reference(memo, reference, proxy.key.mesh, proxy.namespace):
            yield missing(memo, reference, proxy, f"{pointer}/reachableBackends/refs/{index}")
    idle = tuple(_check_idle(memo, proxy, proxying, pointer))
    yield from idle or _check_mode(memo, proxy.key.mesh, references, f"{pointer}/reachableBackends")


def _check_idle(memo: Memo, proxy: Resource, proxying: TransparentProxying, pointer: str) -> Iterator[Finding]:
    """Lists of what is reachable choose among virtual addresses, of which there may be none (kuma-core §6.2)."""
    written = cast(Dataplane, proxy.spec).networking.outbound
    listed = {"reachableServices": proxying.reachable_services, "reachableBackends": proxying.reachable_backends}
    said = [name for name, value in listed.items() if value is not None]
    if any(one.backend_ref is not None for one in written):
        message = "an outbound has a backendRef, and then those that are written are all that is called"
        for name in said:
            yield Finding(f"{pointer}/{name}", NO_EFFECT, message, "take out this or the outbounds", on_key=True)
    elif (
        len(said) == len(listed)
        and mesh_spec(memo, proxy.key.mesh).mesh_services.mode == _BY_PORTS
        and not memo.ask(HAS_ABROAD, proxy.key.mesh)
    ):
        message = f"meshServices.mode is {_BY_PORTS}: nothing is called by tags, and reachableBackends says the rest"
        yield Finding(f"{pointer}/reachableServices", NO_EFFECT, message, "take it out", on_key=True)


def _check_mode(memo: Memo, mesh: str, references: Sequence[BackendReference], pointer: str) -> Iterator[Finding]:
    """Where services are called by their tags alone, MeshServices are neither called nor left out (kuma-core §5.1)."""
    if mesh_spec(memo, mesh).mesh_services.mode != _BY_TAGS or all(one.kind != MESH_SERVICE for one in references):
        return
    message = (
        f"meshServices.mode of mesh {mesh!r} is {_BY_TAGS}: services are called by their tags, so this trims nothing"
    )
    hint = "list the tags in reachableServices, or set meshServices.mode: Exclusive"
    yield Finding(pointer, NO_EFFECT, message, hint, on_key=True)


def _check_direct(memo: Memo, mesh: str, names: tuple[str, ...], pointer: str) -> Iterator[Finding]:
    """Services of which a commit does not know, or not yet, where their proxies are."""
    offered = {offer.service for _, offer in list_offers(memo, mesh)}
    for index, name in enumerate(names):
        if name == EVERY_SERVICE:
            continue
        if name in offered:
            if all(one.service != name for key in sorted(proxy_keys(memo, mesh)) for one in memo.ask(OFFERED, key)):
                message = f"no proxy whose address is known offers {name!r} by mutual TLS"
                yield Finding(f"{pointer}/{index}", NO_EFFECT, message)
            continue
        offering = [memo.read(RESOURCE, key) for key in memo.read(SERVICE_NAMES, (mesh, name))]
        if not offering:
            yield dangling("service", name, {}, f"{pointer}/{index}", mesh)
        elif any(one is not None and is_shared(one) for one in offering):
            message = f"proxies of {name!r} register themselves: no commit knows the addresses to call them at"
            yield Finding(f"{pointer}/{index}", NO_EFFECT, message)
