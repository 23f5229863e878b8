"""What is wrong between gateways, their proxies, their routes and the policies about them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.gateways.choosing import specificity, taking
from compiler.mesh.gateways.confs import Place
from compiler.mesh.gateways.domains import meet
from compiler.mesh.gateways.gateway import is_decided
from compiler.mesh.match import listener_section, listener_tags
from compiler.mesh.policy import PolicyKind
from compiler.mesh.selection import HOLDER
from compiler.mesh.shape import shape_of
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import (
    MeshGateway,
    MeshGatewayConfig,
    MeshGatewayInstance,
    MeshGatewayRoute,
    Policy,
    Resource,
    TargetRef,
)
from compiler.resources.specs.gateways import GatewayListener
from compiler.resources.target_ref import for_gateways

_READING: Final[Mapping[str, Sequence[str]]] = {"MeshHTTPRoute": ("HTTP", "HTTPS"), "MeshTCPRoute": ("TCP", "TLS")}
"""By kind of route the protocols of the listeners that it can be for."""
GATEWAY_TYPES = MeshGateway | MeshGatewayRoute | MeshGatewayInstance | MeshGatewayConfig


def check_gateway(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """What is there and does nothing."""
    match resource.spec:
        case MeshGateway() if all(one.key != resource.key for one, _ in taking(memo, resource.key.mesh)):
            message = "no proxy takes requests by this gateway"
            hint = "give the Dataplane of one gateway.type BUILTIN, and the tags that the selectors ask for"
            yield Finding("/selectors", NO_EFFECT, message, hint)
        case MeshGatewayRoute():
            yield from _check_route(memo, resource)
        case MeshGatewayInstance():
            message = "nothing runs because of a MeshGatewayInstance in a mesh's repository"
            hint = "make Deployment, Service and DataplaneSet of it: meshwright inject --gateways DIR --dataplanes DIR"
            yield Finding("", NO_EFFECT, message, hint)
        case MeshGatewayConfig():
            message = "nothing runs because of a MeshGatewayConfig: Gateways of Kubernetes' Gateway API are not read"
            hint = "write a MeshGateway and a MeshGatewayInstance"
            yield Finding("", NO_EFFECT, message, hint)


def _check_route(memo: Memo, route: Resource) -> Iterator[Finding]:
    spec = cast(MeshGatewayRoute, route.spec)
    wanted = _READING["MeshHTTPRoute" if spec.conf.http is not None else "MeshTCPRoute"]
    chosen = [
        Place(listener, gateway, proxy, memo.ask(HOLDER, shape_of(proxy)))
        for gateway, proxy in taking(memo, route.key.mesh)
        for listener in cast(MeshGateway, gateway.spec).conf.listeners
        if listener.protocol in wanted
        and specificity(spec.selectors, listener_tags(listener, gateway, proxy)) is not None
    ]
    if not chosen:
        message = f"no listener of {' or '.join(wanted)} is selected by this route"
        hint = "compare the tags with those of the listeners and their gateway"
        yield Finding("/selectors", NO_EFFECT, message, hint)
    elif all(is_decided(memo, place) for place in chosen):
        newer = "MeshHTTPRoute" if spec.conf.http is not None else "MeshTCPRoute"
        message = f"at every listener of this route a {newer} decides instead"
        yield Finding("/selectors", NO_EFFECT, message, f"write it as a {newer}, or take it out")
    elif spec.conf.http is not None:
        listening = [place.written.host for place in chosen if not is_decided(memo, place)]
        yield from _check_hosts(spec.conf.http.hostnames, listening, "/conf/http/hostnames")


def check_attached(memo: Memo, policy: Resource) -> Iterator[Finding]:
    """A MeshHTTPRoute or MeshTCPRoute for a gateway meets listeners that it can be for."""
    target, wanted = cast(Policy, policy.spec).target_ref, _READING.get(policy.key.type, ())
    if target.kind != "MeshGateway" or not wanted:
        return
    chosen = [
        listener
        for gateway, proxy in taking(memo, policy.key.mesh)
        for listener in cast(MeshGateway, gateway.spec).conf.listeners
        if _is_chosen(target, gateway, listener_tags(listener, gateway, proxy))
    ]
    fitting = [one.host for one in chosen if one.protocol in wanted]
    if chosen and not fitting:
        message = f"no listener of {' or '.join(wanted)} is selected by this route"
        yield Finding("/targetRef", NO_EFFECT, message, "select others, or route by another kind")
    for index, item in enumerate(cast(Policy, policy.spec).to if fitting else ()):
        yield from _check_hosts(item.hostnames, fitting, join("", "to", index, "hostnames"))


def _check_hosts(hostnames: Sequence[str], listening: Sequence[str], pointer: str) -> Iterator[Finding]:
    for index, name in enumerate(hostnames):
        if all(meet(name.lower(), host.lower()) is None for host in listening):
            message = f"no request for {name} comes in: the listeners are for {', '.join(sorted(set(listening)))}"
            yield Finding(join(pointer, index), NO_EFFECT, message, "add a listener, or take it out")


def _is_chosen(target: TargetRef, gateway: Resource, tags: Mapping[str, str]) -> bool:
    return target.name in (gateway.name, gateway.key.name) and target.tags.items() <= tags.items()


def check_coming_in(kind: PolicyKind, spec: Policy) -> Iterator[Finding]:
    """What policies for gateways alone say of incoming traffic, which there comes from strangers."""
    part = "rules" if spec.rules else "from"
    if not for_gateways(spec.target_ref) or not (spec.rules or spec.from_) or _is_refused(kind, spec, part):
        return
    if not kind.at_gateways:
        message = f"{part} of a {kind.type} has no effect at gateways: it is about callers of a workload"
        yield Finding(f"/{part}", NO_EFFECT, message, "select the proxies of a workload", on_key=True)
        return
    for index, rule in enumerate(spec.rules):
        if any(rule.matches):
            message = "nobody who calls a gateway shows an identity of the mesh: the rule is about no one"
            yield Finding(f"/rules/{index}/matches", NO_EFFECT, message, "take matches out", on_key=True)


def _is_refused(kind: PolicyKind, spec: Policy, part: str) -> bool:
    """Whether a finding says so already."""
    targets = kind.targets
    narrow = spec.target_ref.kind == "MeshGateway" and bool(targets.gateways_only)
    return narrow or part in targets.never_gateways or spec.target_ref.kind not in targets.top


def check_narrowed(memo: Memo, policy: Resource) -> Iterator[Finding]:
    """What comes in to several HTTP listeners of one port comes to all of them: its host is not known yet."""
    spec = cast(Policy, policy.spec)
    target, part = spec.target_ref, "rules" if spec.rules else "from"
    if target.kind != "MeshGateway" or not target.tags or not (spec.rules or spec.from_):
        return
    for gateway, proxy in taking(memo, policy.key.mesh):
        listeners = cast(MeshGateway, gateway.spec).conf.listeners
        chosen = {
            listener_section(one): one.port
            for one in listeners
            if _is_chosen(target, gateway, listener_tags(one, gateway, proxy))
        }
        left = [one for one in listeners if _is_beside(one, chosen)]
        if left:
            message = f"{part} has no effect at port {left[0].port}: its listeners share what comes in"
            yield Finding(f"/{part}", NO_EFFECT, message, "select all listeners of the port", on_key=True)
            return


def _is_beside(listener: GatewayListener, chosen: Mapping[str, int]) -> bool:
    is_chosen = listener_section(listener) in chosen
    return listener.protocol == "HTTP" and not is_chosen and listener.port in chosen.values()
