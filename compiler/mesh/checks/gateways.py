"""What is wrong between gateways, their proxies, their routes and the policies about them."""

from collections.abc import Iterator, Mapping
from typing import cast

from compiler.memo import Memo
from compiler.mesh.gateways.choosing import GATEWAY, specificity
from compiler.mesh.gateways.confs import Place
from compiler.mesh.gateways.gateway import is_decided
from compiler.mesh.graph import CARRIERS, read_proxy
from compiler.mesh.match import BUILTIN_GATEWAY, listener_section, listener_tags
from compiler.mesh.selection import HOLDER
from compiler.mesh.shape import shape_of
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import (
    MeshGateway,
    MeshGatewayConfig,
    MeshGatewayInstance,
    MeshGatewayRoute,
    Policy,
    Resource,
)
from compiler.resources.specs.gateways import GatewayListener

GATEWAY_TYPES = MeshGateway | MeshGatewayRoute | MeshGatewayInstance | MeshGatewayConfig


def check_gateway(memo: Memo, resource: Resource) -> Iterator[Finding]:
    """What is there and does nothing."""
    match resource.spec:
        case MeshGateway() if all(one.key != resource.key for one, _ in _taking(memo, resource.key.mesh)):
            message = "no proxy takes requests by this gateway"
            hint = "give the Dataplane of one gateway.type BUILTIN, and the tags that the selectors ask for"
            yield Finding("/selectors", NO_EFFECT, message, hint)
        case MeshGatewayRoute():
            yield from _check_route(memo, resource)
        case MeshGatewayInstance() | MeshGatewayConfig():
            kind = resource.key.type
            message = f"nothing runs because of a {kind}: here a gateway's proxies are Dataplanes that somebody runs"
            hint = "write the Deployment and the Service, and a Dataplane or DataplaneSet with gateway.type BUILTIN"
            yield Finding("", NO_EFFECT, message, hint)


def _check_route(memo: Memo, route: Resource) -> Iterator[Finding]:
    spec = cast(MeshGatewayRoute, route.spec)
    wanted = ("HTTP", "HTTPS") if spec.conf.http is not None else ("TCP", "TLS")
    chosen = [
        Place(listener, gateway, proxy, memo.ask(HOLDER, shape_of(proxy)))
        for gateway, proxy in _taking(memo, route.key.mesh)
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


def check_narrowed(memo: Memo, policy: Resource) -> Iterator[Finding]:
    """What comes in to several HTTP listeners of one port comes to all of them: its host is not known yet."""
    spec = cast(Policy, policy.spec)
    target, part = spec.target_ref, "rules" if spec.rules else "from"
    if target.kind != "MeshGateway" or not target.tags or not (spec.rules or spec.from_):
        return
    for gateway, proxy in _taking(memo, policy.key.mesh):
        listeners = cast(MeshGateway, gateway.spec).conf.listeners
        chosen = {
            listener_section(one): one.port
            for one in listeners
            if target.name in (gateway.name, gateway.key.name)
            and target.tags.items() <= listener_tags(one, gateway, proxy).items()
        }
        left = [one for one in listeners if _is_beside(one, chosen)]
        if left:
            message = f"{part} has no effect at port {left[0].port}: its listeners share what comes in"
            yield Finding(f"/{part}", NO_EFFECT, message, "select all listeners of the port", on_key=True)
            return


def _is_beside(listener: GatewayListener, chosen: Mapping[str, int]) -> bool:
    is_chosen = listener_section(listener) in chosen
    return listener.protocol == "HTTP" and not is_chosen and listener.port in chosen.values()


def _taking(memo: Memo, mesh: str) -> Iterator[tuple[Resource, Resource]]:
    """Each builtin gateway's MeshGateway and its proxy."""
    for key in sorted(memo.read(CARRIERS, (mesh, BUILTIN_GATEWAY))):
        proxy = read_proxy(memo, key)
        gateway = memo.ask(GATEWAY, shape_of(proxy)) if proxy is not None else None
        if proxy is not None and gateway is not None:
            yield gateway, proxy
