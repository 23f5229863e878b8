"""The IR to Envoy's messages: each part of a proxy gives the resources that it alone decides."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.message import Message

from compiler.envoy.clusters import HTTP, empty_cluster, outbound_cluster, passthrough_cluster
from compiler.envoy.http_filters import http_permission
from compiler.envoy.listeners import (
    outbound_listener,
    outbound_site,
    passthrough_listener,
    tcp_extension,
    tcp_filter,
    tcp_slot,
)
from compiler.envoy.names import (
    NO_DESTINATION_OUTBOUND,
    PASSTHROUGH_INBOUND,
    PASSTHROUGH_OUTBOUND,
    bundle_secret,
    client_secret,
    gateway_secret,
    outside_authority_secret,
    own_secret,
    trust_secret,
)
from compiler.envoy.passthrough import (
    inspectors,
    passthrough_chains,
    passthrough_clusters,
    passthrough_routes,
)
from compiler.envoy.policy import Direction, Policies, Site
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import inbound_routes, outbound_routes
from compiler.mesh.calls import Inbound, Outbound, Upstream
from compiler.mesh.http_route import Backend
from compiler.mesh.proxy import Proxy, Transparent

Built = Iterator[tuple[ResourceType, Message]]

_ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # redirected connections come to any address
_LOOP_BREAKER = {4: "127.0.0.6", 6: "::6"}


def inbound_traffic(inbound: Inbound, policies: Policies) -> Built:
    """What does not depend on where the proxy or its workload listens."""
    if inbound.protocol in HTTP:
        yield ResourceType.ROUTE, inbound_routes(inbound, policies)
        if inbound.tls is not None:
            yield ResourceType.EXTENSION, http_permission(inbound.name, inbound.permission)


def outbound_resources(outbound: Outbound, policies: Policies) -> Built:
    yield ResourceType.LISTENER, outbound_listener(outbound, policies)
    if outbound.routes:
        yield ResourceType.ROUTE, outbound_routes(outbound, policies)
    else:
        targets = _targets(outbound)
        if NO_DESTINATION_OUTBOUND in dict(targets):
            yield ResourceType.CLUSTER, empty_cluster(NO_DESTINATION_OUTBOUND)
        yield ResourceType.EXTENSION, tcp_extension(targets, outbound.confs, policies, outbound_site(outbound))


def _targets(outbound: Outbound) -> tuple[tuple[str, int], ...]:
    return targets_of(outbound.backends) if outbound.backends else ((outbound.destination.name, 1),)


def targets_of(backends: Iterable[Backend]) -> tuple[tuple[str, int], ...]:
    """Clusters by weight, each once; the share of a backend that does not exist is refused."""
    weights: dict[str, int] = {}
    for backend in backends:
        name = backend.destination.name if backend.destination is not None else NO_DESTINATION_OUTBOUND
        weights[name] = weights.get(name, 0) + backend.weight
    return tuple((name, weight) for name, weight in weights.items() if weight) or ((NO_DESTINATION_OUTBOUND, 1),)


def upstream_resources(upstream: Upstream, policies: Policies) -> Built:
    yield ResourceType.CLUSTER, outbound_cluster(upstream, policies)


def transparent_resources(transparent: Transparent, policies: Policies) -> Built:
    """What redirected traffic meets that no listener of the mesh wants (kuma-core §7.2)."""
    if not transparent.passthrough:
        yield ResourceType.CLUSTER, empty_cluster(NO_DESTINATION_OUTBOUND)
    yield from ((ResourceType.CLUSTER, one) for one in passthrough_clusters(transparent, policies))
    yield from ((ResourceType.ROUTE, one) for one in passthrough_routes(transparent, policies))
    for version in (4, 6) if transparent.ipv6 else (4,):
        yield from _passed_out(f"{PASSTHROUGH_OUTBOUND}{version}", version, transparent, policies)
        yield from _passed_in(f"{PASSTHROUGH_INBOUND}{version}", version, transparent)


def _passed_out(name: str, version: int, transparent: Transparent, policies: Policies) -> Built:
    """What no chain lets through goes where the rest goes: to where it was sent, or nowhere."""
    if transparent.passthrough:
        yield ResourceType.CLUSTER, passthrough_cluster(name)
    target = name if transparent.passthrough else NO_DESTINATION_OUTBOUND
    port, rest = transparent.outbound_port, tcp_slot(name)
    listener = passthrough_listener(name, _ANY[version], port, TrafficDirection.OUTBOUND, rest)
    chains = list(passthrough_chains(transparent, version, policies))
    if chains:
        listener.default_filter_chain.CopyFrom(listener.filter_chains.pop())
        listener.filter_chains.extend(chains)
        listener.listener_filters.extend(inspectors(transparent.matches))
    yield ResourceType.LISTENER, listener
    site = Site(Direction.PASSTHROUGH, name, "tcp", owner=transparent.owner)
    yield ResourceType.EXTENSION, tcp_extension(((target, 1),), transparent.confs, policies, site)


def _passed_in(name: str, version: int, transparent: Transparent) -> Built:
    """No policy is about calls to ports that are no inbound."""
    yield ResourceType.CLUSTER, passthrough_cluster(name, loop_breaker=_LOOP_BREAKER[version])
    proxy, port = tcp_filter(name, name), transparent.inbound_port
    yield ResourceType.LISTENER, passthrough_listener(name, _ANY[version], port, TrafficDirection.INBOUND, proxy)


def secret_names(proxy: Proxy) -> tuple[str, ...]:
    """Named only where something uses them: Envoy never asks for the others."""
    if proxy.memberships:
        return tuple(dict.fromkeys(name for each in proxy.memberships for name in secret_names(each)))
    own = proxy.tls if uses_tls(proxy) and proxy.tls is not None and not proxy.tls.agent_id else None
    trust = (trust_secret(own),) if own is not None and _meets_own_mesh(proxy) else ()
    names = (*trust, own_secret(own)) if own is not None else ()
    bundles = (bundle_secret(one.mesh) for one in proxy.bundles)
    return *names, *bundles, *(one.name for one in user_secrets(proxy))


class UserSecret(NamedTuple):
    """What Envoy knows by `name`, made of these Secrets of the mesh: a certificate and its key, or whom to believe."""

    name: str
    sources: tuple[str, ...]
    is_certificate: bool


def user_secrets(proxy: Proxy) -> tuple[UserSecret, ...]:
    """Those of no authority of ours; by name."""
    return tuple(sorted({*_outside_secrets(proxy), *_gateway_secrets(proxy)}))


def _gateway_secrets(proxy: Proxy) -> Iterator[UserSecret]:
    """What a builtin gateway shows: one Secret holds a certificate and its key."""
    for listener in proxy.gateway:
        for name in (name for chain in listener.chains for name in chain.certificates):
            yield UserSecret(gateway_secret(proxy.mesh, name), (name,), True)


def _outside_secrets(proxy: Proxy) -> Iterator[UserSecret]:
    """For services outside of the mesh."""
    for upstream in proxy.called:
        tls = upstream.destination.outside.tls if upstream.destination.outside is not None else None
        if tls is not None and tls.authority_secret:
            yield UserSecret(outside_authority_secret(proxy.mesh, tls.authority_secret), (tls.authority_secret,), False)
        if tls is not None and tls.client is not None:
            yield UserSecret(client_secret(proxy.mesh, *tls.client), tls.client, True)


def uses_tls(proxy: Proxy) -> bool:
    """Whether anything of the proxy needs its certificate."""
    return proxy.tls is not None and (bool(proxy.bundles) or _meets_own_mesh(proxy))


def _meets_own_mesh(proxy: Proxy) -> bool:
    """Whether anything of the proxy checks a certificate of its own mesh."""
    called = (one.destination for one in proxy.upstreams)
    secured = any(one.secured and one.mesh == proxy.mesh for one in called)
    admits = proxy.direct is not None or (proxy.owner is not None and proxy.owner.admission is not None)
    return bool(proxy.inbounds) or secured or admits or any(gate.openings for gate in proxy.gates)


def name_of(message: Message) -> str:
    """The name by which the message is delivered."""
    return message.cluster_name if isinstance(message, ClusterLoadAssignment) else message.name  # type: ignore[attr-defined]  # every xDS resource has one
