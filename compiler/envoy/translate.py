"""The IR to Envoy's messages: each part of a proxy gives the resources that it alone decides."""

from collections.abc import Iterator, Mapping

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.message import Message

from compiler.envoy.clusters import HTTP, empty_cluster, outbound_cluster, passthrough_cluster
from compiler.envoy.http_filters import http_permission
from compiler.envoy.listeners import (
    outbound_listener,
    passthrough_listener,
    tcp_extension,
    tcp_filter,
    tcp_slot,
)
from compiler.envoy.names import (
    NO_DESTINATION_OUTBOUND,
    PASSTHROUGH_INBOUND,
    PASSTHROUGH_OUTBOUND,
    authority_secret,
    identity_secret,
)
from compiler.envoy.policy import Policy
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import inbound_routes, outbound_routes
from compiler.mesh.proxy import Inbound, Outbound, Proxy, Transparent, Upstream

Policies = Mapping[str, Policy]
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
        yield ResourceType.EXTENSION, tcp_extension(outbound.name, outbound.destination.name, outbound.confs, policies)


def upstream_resources(upstream: Upstream, policies: Policies) -> Built:
    yield ResourceType.CLUSTER, outbound_cluster(upstream, policies)


def transparent_resources(transparent: Transparent, policies: Policies) -> Built:
    """What redirected traffic meets that no listener of the mesh wants (kuma-core §7.2)."""
    if not transparent.passthrough:
        yield ResourceType.CLUSTER, empty_cluster(NO_DESTINATION_OUTBOUND)
    for version in (4, 6) if transparent.ipv6 else (4,):
        yield from _passed_out(f"{PASSTHROUGH_OUTBOUND}{version}", _ANY[version], transparent, policies)
        yield from _passed_in(f"{PASSTHROUGH_INBOUND}{version}", version, transparent)


def _passed_out(name: str, address: str, transparent: Transparent, policies: Policies) -> Built:
    if transparent.passthrough:
        yield ResourceType.CLUSTER, passthrough_cluster(name)
    target = name if transparent.passthrough else NO_DESTINATION_OUTBOUND
    listener = passthrough_listener(name, address, transparent.outbound_port, TrafficDirection.OUTBOUND, tcp_slot(name))
    yield ResourceType.LISTENER, listener
    yield ResourceType.EXTENSION, tcp_extension(name, target, transparent.confs, policies)


def _passed_in(name: str, version: int, transparent: Transparent) -> Built:
    """No policy is about calls to ports that are no inbound."""
    yield ResourceType.CLUSTER, passthrough_cluster(name, loop_breaker=_LOOP_BREAKER[version])
    proxy, port = tcp_filter(name, name), transparent.inbound_port
    yield ResourceType.LISTENER, passthrough_listener(name, _ANY[version], port, TrafficDirection.INBOUND, proxy)


def secret_names(proxy: Proxy) -> tuple[str, ...]:
    """Named only where something uses them: Envoy never asks for the others."""
    if not _uses_tls(proxy):
        return ()
    return authority_secret(proxy.mesh), identity_secret(proxy.mesh)


def _uses_tls(proxy: Proxy) -> bool:
    secured = any(upstream.destination.secured for upstream in proxy.upstreams)
    return proxy.tls is not None and (bool(proxy.inbounds) or secured)


def name_of(message: Message) -> str:
    """The name by which the message is delivered."""
    return message.cluster_name if isinstance(message, ClusterLoadAssignment) else message.name  # type: ignore[attr-defined]  # every xDS resource has one
