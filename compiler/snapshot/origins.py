"""The policies behind each part of a proxy, the most telling first."""

from compiler.mesh.calls import Admission, Inbound, Outbound, Tls, Upstream
from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Direct, Transparent
from compiler.mesh.value import Confs
from compiler.mesh.zones.passing import Opening, ZoneGate


def inbound_origins(inbound: Inbound) -> list[Origin]:
    return [*_of_confs(inbound.confs), *(entry.origin for entry in inbound.permission.entries)]


def outbound_origins(outbound: Outbound) -> list[Origin]:
    routes = [origin for route in outbound.routes for origin in (*route.origins, *_of_confs(route.confs))]
    return [*routes, *outbound.backend_origins, *_of_confs(outbound.confs)]


def upstream_origins(upstream: Upstream) -> list[Origin]:
    return [*_of_confs(upstream.confs), *tls_origins(upstream.tls)]


def transparent_origins(transparent: Transparent) -> list[Origin]:
    return [*transparent.origins, *_of_confs(transparent.confs)]


def gate_origins(gate: ZoneGate) -> list[Origin]:
    confs = (*(one.confs for one in gate.openings), *(one.confs for one in gate.passages))
    return [origin for one in confs for origin in _of_confs(one)]


def opening_origins(opening: Opening) -> list[Origin]:
    return [*inbound_origins(opening), *upstream_origins(opening.upstream)]


def gateway_origins(listener: GatewayListener) -> list[Origin]:
    hosts = [host for chain in listener.chains for host in chain.hosts]
    routes = (route for host in hosts for route in host.routes)
    own = [origin for route in routes for origin in (*route.origins, *_of_confs(route.confs))]
    own += [origin for host in hosts for origin in _of_confs(host.confs)]
    confs = (origin for chain in listener.chains for origin in _of_confs(chain.outgoing + chain.incoming))
    return [*own, *(origin for chain in listener.chains for origin in chain.origins), *listener.origins, *confs]


def direct_origins(direct: Direct) -> list[Origin]:
    return [*tls_origins(direct.tls), *_of_confs(direct.confs)]


def admission_origins(admission: Admission | None) -> tuple[Origin, ...]:
    return tuple(entry.origin for entry in admission.permission.entries) if admission is not None else ()


def tls_origins(tls: Tls | None) -> tuple[Origin, ...]:
    return tls.origins if tls is not None else ()


def _of_confs(confs: Confs) -> list[Origin]:
    """Of each kind the item that overrides the others."""
    return [applied.origins[-1] for applied in confs if applied.origins]
