"""Parts of confs that have nothing for connections, where all calls that they are about are connections."""

from collections.abc import Iterable, Iterator, Mapping

from compiler.diagnostics import Code
from compiler.memo import Memo
from compiler.mesh.checks.again import Again
from compiler.mesh.checks.deciding import callers_of, conf_there
from compiler.mesh.checks.fitting import UNFIT_PROTOCOL, is_routed, list_meant
from compiler.mesh.checks.idle import Selected
from compiler.mesh.checks.sending import lets_through
from compiler.mesh.confs import ITEMS
from compiler.mesh.gateways.crossing import HAS_ABROAD
from compiler.mesh.graph import CARRIERS
from compiler.mesh.kinds import KINDS
from compiler.mesh.match import BUILTIN_GATEWAY
from compiler.mesh.order import Item, spec_of
from compiler.mesh.policy import Part, PolicyKind
from compiler.mesh.routing import HTTP, SPLITTING, Caller, Routing, routing_to
from compiler.mesh.services import PORT_PROTOCOL, SERVICE_TYPES, Port
from compiler.mesh.zones.gates import EGRESSES
from compiler.mesh.zones.views import is_outside
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Resource, ResourceKey
from compiler.resources.target_ref import includes_gateways


def check_parts(memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Calls are connections by the protocol of what is called, or by a route."""
    sending = ((proxy, found) for proxy, found in selected if proxy.key.mesh)
    callers = Again(callers_of(memo, kind, policy.key.mesh, sending))
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))):
        nothing_to_connections = kind.unheard(item.conf, "tcp")
        mute = kind.mute(item.conf, "tcp") if item.target.kind in SERVICE_TYPES else ""
        if not (nothing_to_connections or mute) or _may_be_elsewhere(memo, item):
            continue
        parts, protocols = _unheard(memo, kind, item) if nothing_to_connections else ({}, frozenset())
        if parts:
            message = f"all that it is about speaks {' and '.join(sorted(protocols))}"
            yield from _say(item, parts, UNFIT_PROTOCOL, message)
        elif (by := _turned(memo, kind, item, callers)) is not None:
            message = f"all calls that it is about are connections, by {by.type} {by.name!r}"
            yield from _say(item, nothing_to_connections, NO_EFFECT, message)
            if mute:
                at = join("", "to", item.index, "default")
                yield Finding(at, NO_EFFECT, f"{message}, of which it says nothing", mute, on_key=True)


def _say(item: Item, parts: Mapping[Part, str], code: Code, message: str) -> Iterator[Finding]:
    for part, why in parts.items():
        yield Finding(join("", "to", item.index, "default", *part), code, f"{message}: {why}", "take it out")


def _may_be_elsewhere(memo: Memo, item: Item) -> bool:
    """Whether it may be about calls to no destination that is known here: to what is outside, or by a gateway."""
    mesh = item.policy.key.mesh
    if memo.read(CARRIERS, (mesh, BUILTIN_GATEWAY)) and includes_gateways(spec_of(item.policy).target_ref):
        return True
    return item.target.kind == "Mesh" and (lets_through(memo, mesh) or memo.ask(HAS_ABROAD, mesh))


def _unheard(memo: Memo, kind: PolicyKind, item: Item) -> tuple[Mapping[Part, str], frozenset[str]]:
    """Destinations are looked at up to the first where every part says something."""
    parts: Mapping[Part, str] | None = None
    protocols = set[str]()
    for service, port in list_meant(memo, item):
        protocol = memo.ask(PORT_PROTOCOL, port)
        found = kind.unheard(item.conf, protocol)
        parts = {part: why for part, why in found.items() if parts is None or part in parts}
        if not parts or is_routed(memo, service, port):
            return {}, frozenset()
        protocols.add(protocol)
    return parts or {}, frozenset(protocols)


def _turned(memo: Memo, kind: PolicyKind, item: Item, callers: Iterable[Caller]) -> ResourceKey | None:
    """A route that makes connections of calls, where no caller sends requests to anything that the item is about.

    Callers and destinations are looked at up to the first requests: most often those are the first calls of all.
    """
    mesh = item.policy.key.mesh
    if memo.ask(SPLITTING, mesh) is None:
        return None
    ports, by = Again(port for _, port in list_meant(memo, item)), None
    for routing in (routing_to(memo, calling, port) for calling in callers for port in ports):
        own = conf_there(memo, routing, kind)
        if own is not None and item.origin in own.origins:
            route = _route_to(memo, routing, requests=False)
            if _are_requests(memo, routing, route):
                return None
            by = by or route
    return by


def _are_requests(memo: Memo, routing: Routing, route: ResourceKey | None) -> bool:
    """As in `routing.ROUTES`; what an egress calls for others is no matter of their routes."""
    if _route_to(memo, routing, requests=True) is not None:
        return True
    return memo.ask(PORT_PROTOCOL, routing.port) in HTTP and (route is None or _is_led_out(memo, routing.port))


def _route_to(memo: Memo, routing: Routing, *, requests: bool) -> ResourceKey | None:
    """The most specific route of some calls, of those for requests or for connections."""
    known = memo.read(KINDS, None)
    kinds = (one for one in known if (one.shape_routes if requests else one.shape_backends) is not None)
    found = (conf_there(memo, routing, one) for one in kinds)
    return next((one.origins[-1].policy for one in found if one is not None and one.origins), None)


def _is_led_out(memo: Memo, port: Port) -> bool:
    return bool(memo.ask(EGRESSES, port.service.mesh)) and is_outside(memo, port)


__all__ = ["check_parts"]
