"""Confs that have nothing for the protocol of any destination that they are about."""

from collections.abc import Iterator, Mapping
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.checks.references import services_of
from compiler.mesh.confs import ITEMS, items_about
from compiler.mesh.graph import CARRIERS, KEYS
from compiler.mesh.kinds import find_kind
from compiler.mesh.match import BUILTIN_GATEWAY
from compiler.mesh.merge import merge_confs
from compiler.mesh.order import Item, spec_of
from compiler.mesh.policy import PolicyKind
from compiler.mesh.rules import outbound_items, refers
from compiler.mesh.services import OFFERED, PORT_PROTOCOL, SERVICE_RESOURCE, SERVICE_TYPES, Port, service_ports
from compiler.resources.findings import Finding, join
from compiler.resources.model import Conf, Resource
from compiler.resources.target_ref import includes_gateways
from compiler.resources.values import decode

UNFIT_PROTOCOL: Final = Code(
    "unfit-protocol",
    Severity.WARNING,
    "a conf that has nothing for the protocol of any destination",
    "Every destination that the item is about speaks a protocol that it has no part for, so it changes nothing. "
    "A MeshRetry has `http` for http and http2, `grpc`, and `tcp` for connections; `http` of a MeshTimeout is about "
    "requests. So are `hashPolicies` of a MeshLoadBalancingStrategy by header, cookie or query; of a connection one "
    "thing is hashed, the first that it has. A MeshHealthCheck asks each destination by the check that fits its "
    "protocol: `http` where it speaks http or http2, `grpc` where it speaks grpc, `tcp` elsewhere, or where the "
    "fitting one is there and `disabled`. A destination that no check fits is not asked, as in Kuma; what other "
    "policies of its kind say of it counts too.",
)
_ROUTES: Final = ("MeshHTTPRoute", "MeshTCPRoute")
_CHECKS: Final = {"http2": "http", "tls": "tcp", "kafka": "tcp"}
"""What a check is called that fits a protocol of another name."""


def check_fitting(memo: Memo, kind: PolicyKind, policy: Resource) -> Iterator[Finding]:
    """Destinations are looked at up to the first that an item fits: most often that is the first of all."""
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))) if kind.misses is not None else ():
        protocols = _missed(memo, kind, item)
        if protocols:
            spoken, wanted = (
                " and ".join(sorted(words)) for words in (protocols, {_CHECKS.get(one, one) for one in protocols})
            )
            message = f"all that it is about speaks {spoken}, for which it has no check: nothing is asked"
            yield Finding(join("", "to", item.index, "default"), UNFIT_PROTOCOL, message, f"add {wanted}", on_key=True)


def check_spoken(memo: Memo, kind: PolicyKind, policy: Resource) -> Iterator[Finding]:
    """The same of items that say by themselves what becomes of requests or of connections to named services."""
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))):
        if item.target.kind in SERVICE_TYPES and any(kind.mute(item.conf, one) for one in ("http", "grpc", "tcp")):
            hints = _unsaid(memo, kind, item)
            if hints:
                spoken = " and ".join(sorted(hints))
                message = f"all that it is about speaks {spoken}, of which it says nothing"
                hint = " and ".join(sorted(set(hints.values())))
                yield Finding(join("", "to", item.index, "default"), UNFIT_PROTOCOL, message, hint, on_key=True)


def check_inline(memo: Memo, kind: PolicyKind, policy: Resource) -> Iterator[Finding]:
    """The same of the retries that a rule of a route has itself; requests by a route are of HTTP at least."""
    for item in memo.ask(ITEMS, ((policy.key,), ("to",))) if kind.shape_routes is not None else ():
        rules = [] if item.item is None or item.target.kind == "Mesh" else list(enumerate(item.item.rules or ()))
        retried = [(place, conf) for place, rule in rules if (conf := (rule.get("default") or {}).get("retry"))]
        spoken = {memo.ask(PORT_PROTOCOL, port) for _, port in list_meant(memo, item)} if retried else set()
        for place, conf in retried:
            hints = {find_kind(memo, "MeshRetry").mute(conf, "grpc" if one == "grpc" else "http") for one in spoken}
            if hints and all(hints):
                message = f"all that it is about speaks {' and '.join(sorted(spoken))}, of which it says nothing"
                at = join("", "to", item.index, "rules", place, "default", "retry")
                yield Finding(at, UNFIT_PROTOCOL, message, " and ".join(sorted(hints)), on_key=True)


def _unsaid(memo: Memo, kind: PolicyKind, item: Item) -> Mapping[str, str]:
    """What lacks, by protocol; nothing where some call is made otherwise, or by something that the item is about."""
    mesh, found = item.policy.key.mesh, dict[str, str]()
    if memo.read(CARRIERS, (mesh, BUILTIN_GATEWAY)) and includes_gateways(spec_of(item.policy).target_ref):
        return {}
    for service, port in list_meant(memo, item):
        protocol = memo.ask(PORT_PROTOCOL, port)
        hint = kind.mute(item.conf, protocol)
        if not hint or is_routed(memo, service, port):
            return {}
        found[protocol] = hint
    return found


def is_routed(memo: Memo, service: Resource, port: Port) -> bool:
    """Whether a route may have it called by another protocol than its own."""
    routes = (key for kind in _ROUTES for key in sorted(memo.read(KEYS, (kind, port.service.mesh))))
    items = items_about(memo, tuple(routes), (service.name, port.service.name))
    return bool(outbound_items(items, service, port.section, port.service.name))


def _missed(memo: Memo, kind: PolicyKind, item: Item) -> frozenset[str]:
    """The protocols of everything that an item is about; none where there is one that it does something for."""
    found = set[str]()
    for service, port in list_meant(memo, item):
        protocol = memo.ask(PORT_PROTOCOL, port)
        if not _misses(kind, item.conf, protocol) or _is_met(memo, kind, service, port, protocol):
            return frozenset()
        found.add(protocol)
    return frozenset(found)


def list_meant(memo: Memo, item: Item) -> Iterator[tuple[Resource, Port]]:
    """Ports, and of what is called by its tag in Kuma 2 all ports as one."""
    for key in services_of(memo, item.policy, item.target):
        service = memo.ask(SERVICE_RESOURCE, key)
        sections = [one.section for one in service_ports(service)] if service is not None else []
        for section in [*sections, ""] if memo.ask(OFFERED, key) else sections:
            if service is not None and refers(item.target, item.policy, service, section, key.name) is not None:
                yield service, Port(key, section)


def _is_met(memo: Memo, kind: PolicyKind, service: Resource, port: Port, protocol: str) -> bool:
    """Whether another item fits, or all together do: who says less may say it for one that says more."""
    policies = tuple(sorted(memo.read(KEYS, (kind.type, port.service.mesh))))
    items = items_about(memo, policies, (service.name, port.service.name))
    confs = [item.conf for item in outbound_items(items, service, port.section, port.service.name)]
    return any(not _misses(kind, conf, protocol) for conf in (*confs, merge_confs(confs)))


def _misses(kind: PolicyKind, conf: Conf, protocol: str) -> bool:
    return kind.misses is not None and kind.misses(decode(kind.conf, conf), protocol)
