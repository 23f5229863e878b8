"""What a proxy has beside its inbounds and outbounds: an answer to who asks for it, probes, direct calls."""

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from typing import Final, cast

from msgspec.structs import replace

from compiler.memo import Memo
from compiler.mesh.calls import Inbound, Outbound, Tls
from compiler.mesh.graph import NAMES, SERVICE_NAMES, WILDCARD, proxy_keys, read_proxy, service_name
from compiler.mesh.holes import has_hole
from compiler.mesh.offers import OFFERED, list_offers
from compiler.mesh.proxy import Asked, Direct, ProbedPath, Probes, Transparent
from compiler.resources.model import Dataplane, Networking, Resource

EVERY_SERVICE: Final = "*"


def asked(networking: Networking) -> Asked | None:
    """Only where the document says on which port: a host may have many proxies."""
    if networking.admin is None:
        return None
    return Asked(_own_address(networking), networking.admin.port, networking.transparent_proxying is not None)


def probes(dataplane: Dataplane, inbounds: Iterable[Inbound]) -> Probes | None:
    """Of a port that is no inbound's the probe itself is told where to go, as Kuma has it."""
    written, networking = dataplane.probes, dataplane.networking
    if written is None or not written.port:
        return None
    clusters = {inbound.workload_port: inbound.name for inbound in inbounds}
    return Probes(
        address=_own_address(networking),
        port=written.port,
        transparent=networking.transparent_proxying is not None,
        paths=tuple(
            ProbedPath(one.path, one.inbound_path, one.inbound_port, clusters.get(one.inbound_port, ""))
            for one in written.endpoints
        ),
    )


def direct(
    memo: Memo, resource: Resource, tls: Tls | None, calls: Iterable[Outbound], passed: Transparent | None
) -> Direct | None:
    """Every address of the services that are named, but those at which the proxy listens already.

    What somebody says of calls that are `passed` through holds for these, too.
    """
    networking = cast(Dataplane, resource.spec).networking
    redirection = networking.transparent_proxying
    if redirection is None or not redirection.direct_access_services:
        return None
    mesh = resource.key.mesh
    taken = {(one.address or networking.address, one.port) for one in networking.inbound}
    taken |= {(call.address, call.port) for call in calls}
    wanted = redirection.direct_access_services
    names = memo.read(NAMES, mesh) if EVERY_SERVICE in wanted else frozenset(wanted)
    found = {endpoint for name in names for endpoint in _endpoints(memo, resource, name)}
    found |= set(_offered(memo, resource, wanted))
    confs = tuple(one for one in passed.confs if one.origins) if passed is not None else ()
    return Direct(
        tuple(sorted(found - taken)),
        replace(tls, permissive=False) if tls is not None else None,
        confs,
        passed.owner if passed is not None and confs else None,
    )


def _endpoints(memo: Memo, caller: Resource, name: str) -> Iterator[tuple[str, int]]:
    """Of proxies in the caller's zone whose address a commit knows: those of another are behind its ingress."""
    for key in memo.read(SERVICE_NAMES, (caller.key.mesh, name)):
        proxy = read_proxy(memo, key)
        if proxy is None or proxy.zone != caller.zone:
            continue
        networking = cast(Dataplane, proxy.spec).networking
        for inbound in networking.inbound:
            address = inbound.address or networking.address
            if service_name(proxy, inbound.tags) == name and inbound.healthy and address != WILDCARD:
                yield address, inbound.port


def _offered(memo: Memo, caller: Resource, wanted: Collection[str]) -> Iterator[tuple[str, int]]:
    """What proxies of the caller's zone have for others of the mesh beside their inbounds, but its own."""
    mesh = caller.key.mesh
    every, services = EVERY_SERVICE in wanted, {offer.service for _, offer in list_offers(memo, mesh)}
    chosen = services if every else services.intersection(wanted)
    own = {(one.address, one.port) for one in memo.ask(OFFERED, caller.key)} if chosen else ()
    for key in sorted(proxy_keys(memo, mesh)) if chosen else ():
        for one in memo.ask(OFFERED, key):
            if one.service in chosen and one.zone == caller.zone and (one.address, one.port) not in own:
                yield one.address, one.port


def _own_address(networking: Networking) -> str:
    """Of a proxy with a host name every address: a listener has none that is looked up."""
    address = networking.address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address if has_hole(address) else WILDCARD
