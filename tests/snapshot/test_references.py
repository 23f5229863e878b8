from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.core.v3.address_pb2 import SocketAddress
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import HttpGrpcAccessLogConfig
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute

from compiler.envoy.packing import pack, rewrite, unpack
from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.mesh.holes import hole
from compiler.snapshot.references import (
    Links,
    Reference,
    check_links,
    check_references,
    links_of,
    references_of,
)

from .sidecar import (
    AUTHORITY,
    HTTP_OUTBOUND,
    IDENTITY,
    INBOUND,
    PERMISSIONS,
    TCP_OUTBOUND,
    TCP_ROUTE,
    http_manager,
    inbound_listener,
    load_assignment,
    outbound_route,
    set_address,
    sidecar,
)

CLUSTER, ENDPOINT, EXTENSION = ResourceType.CLUSTER, ResourceType.ENDPOINT, ResourceType.EXTENSION
LISTENER, ROUTE, SECRET = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.SECRET

Spoil = Callable[[dict[ResourceType, dict[str, Any]]], object]


def _share_address(messages: dict[ResourceType, dict[str, Any]]) -> None:
    set_address(messages[LISTENER][TCP_OUTBOUND], "241.0.0.1", 80)


def _override(messages: dict[ResourceType, dict[str, Any]]) -> None:
    host = messages[ROUTE][HTTP_OUTBOUND].virtual_hosts[0]
    host.typed_per_filter_config["envoy.filters.http.nothing"].CopyFrom(pack(RBACPerRoute()))


def _retype(messages: dict[ResourceType, dict[str, Any]]) -> None:
    other = messages[EXTENSION][TCP_ROUTE].typed_config
    messages[EXTENSION][PERMISSIONS] = TypedExtensionConfig(name=PERMISSIONS, typed_config=other)


def _double_filter(messages: dict[ResourceType, dict[str, Any]]) -> None:
    def add(message: Any) -> None:
        if message.DESCRIPTOR.name == "HttpConnectionManager":
            message.http_filters.insert(0, message.http_filters[0])

    rewrite(messages[LISTENER][HTTP_OUTBOUND], add)


def _mirror(messages: dict[ResourceType, dict[str, Any]]) -> None:
    messages[ROUTE][INBOUND].virtual_hosts[0].routes[0].route.request_mirror_policies.add(cluster="nowhere")


def _weigh(messages: dict[ResourceType, dict[str, Any]]) -> None:
    weighted = messages[ROUTE][HTTP_OUTBOUND].virtual_hosts[0].routes[0].route.weighted_clusters
    weighted.clusters[1].name = "nowhere"


SPOILT: dict[str, tuple[Spoil, set[tuple[ResourceType, str, str]]]] = {
    "an EDS cluster without its load assignment": (
        lambda m: m[ENDPOINT].pop("backend_v1"),
        {(CLUSTER, "backend_v1", "dangling")},
    ),
    "a listener without its route configuration": (
        lambda m: m[ROUTE].pop(HTTP_OUTBOUND),
        {(LISTENER, HTTP_OUTBOUND, "dangling")},
    ),
    "an HTTP filter's slot without its extension": (
        lambda m: m[EXTENSION].pop(PERMISSIONS),
        {(LISTENER, INBOUND, "dangling")},
    ),
    "a network filter's slot without its extension": (
        lambda m: m[EXTENSION].pop(TCP_ROUTE),
        {(LISTENER, TCP_OUTBOUND, "dangling")},
    ),
    "a cluster that only an extension names": (
        lambda m: (m[CLUSTER].pop("redis"), m[ENDPOINT].pop("redis")),
        {(EXTENSION, TCP_ROUTE, "dangling")},
    ),
    "a mirror that is nowhere": (_mirror, {(ROUTE, INBOUND, "dangling")}),
    "a weighted cluster that is nowhere": (_weigh, {(ROUTE, HTTP_OUTBOUND, "dangling")}),
    "a load assignment for nobody": (
        lambda m: m[ENDPOINT].update(lonely=load_assignment("lonely")),
        {(ENDPOINT, "lonely", "orphan")},
    ),
    "a listener that went and left its route and permissions": (
        lambda m: m[LISTENER].pop(INBOUND),
        {(ROUTE, INBOUND, "orphan"), (EXTENSION, PERMISSIONS, "orphan")},
    ),
    "two listeners on one address": (
        _share_address,
        {(LISTENER, HTTP_OUTBOUND, "address"), (LISTENER, TCP_OUTBOUND, "address")},
    ),
    "an override for a filter that the chain lacks": (_override, {(ROUTE, HTTP_OUTBOUND, "override")}),
    "an extension of another type than its slot": (_retype, {(LISTENER, INBOUND, "extension_type")}),
    "two filters of one name": (_double_filter, {(LISTENER, HTTP_OUTBOUND, "unique")}),
    "an inner name that differs": (
        lambda m: setattr(m[CLUSTER]["local_8080"], "name", "other"),
        {(CLUSTER, "local_8080", "name")},
    ),
}


def test_a_whole_sidecar_fits_together() -> None:
    assert check_references(sidecar()) == ()


@pytest.mark.parametrize("fault", SPOILT)
def test_what_does_not_fit_is_found_where_it_is(fault: str) -> None:
    resources = sidecar()
    spoil, expected = SPOILT[fault]
    spoil(resources.messages)  # type: ignore[arg-type]  # the example's are dicts

    found = check_references(resources)
    assert {(each.owner.type, each.owner.name, each.rule) for each in found} == expected


def test_secrets_are_named_by_what_uses_them() -> None:
    resources = EnvoyResources(sidecar().messages, (AUTHORITY, "unused"))

    found = {(each.owner.type, each.owner.name, each.rule) for each in check_references(resources)}
    assert (SECRET, "unused", "orphan") in found
    assert (LISTENER, INBOUND, "dangling") in found
    assert (CLUSTER, "redis", "dangling") in found
    assert len(found) == 5


def test_a_cluster_of_the_bootstrap_is_no_dangling_name() -> None:
    resources = sidecar()
    resources.messages[ROUTE][INBOUND].virtual_hosts[0].routes[0].route.cluster = "ads"  # type: ignore[attr-defined]  # a RouteConfiguration

    assert [each.rule for each in check_references(resources)] == ["dangling"]
    assert check_references(resources, outside=frozenset({"ads"})) == ()


def test_an_access_log_service_names_its_cluster() -> None:
    log = HttpGrpcAccessLogConfig()
    log.common_config.grpc_service.CopyFrom(GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name="logs")))
    manager = http_manager(INBOUND)
    manager.access_log.add(name="grpc", typed_config=pack(log))
    listener = inbound_listener()
    listener.filter_chains[0].filters[0].typed_config.CopyFrom(pack(manager))

    assert Reference(CLUSTER, "logs") in references_of(LISTENER, listener)


def test_the_references_of_a_listener_are_all_that_it_waits_for() -> None:
    assert references_of(LISTENER, inbound_listener()) == {
        Reference(ROUTE, INBOUND),
        Reference(EXTENSION, PERMISSIONS),
        Reference(SECRET, IDENTITY),
        Reference(SECRET, AUTHORITY),
    }


def test_the_override_of_an_inline_route_is_held_to_its_own_filters() -> None:
    listener = inbound_listener()
    manager: Any = unpack(listener.filter_chains[0].filters[0].typed_config)
    manager.route_config.CopyFrom(outbound_route())
    weighted = manager.route_config.virtual_hosts[0].routes[0].route.weighted_clusters
    weighted.clusters[0].typed_per_filter_config["nothing"].CopyFrom(pack(RBACPerRoute()))
    listener.filter_chains[0].filters[0].typed_config.CopyFrom(pack(manager))

    assert [rule for rule, _ in links_of(LISTENER, INBOUND, listener).problems] == ["override"]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (("::1", 80), ("0:0:0:0:0:0:0:1", 80), True),
        (("127.0.0.1", 80), ("127.0.0.1", 81), False),
        (("127.0.0.1", 80), ("127.0.0.2", 80), False),
        (("127.0.0.1", 0), ("127.0.0.1", 0), False),
    ],
)
def test_one_address_is_one_however_it_is_written(one: tuple[str, int], other: tuple[str, int], shared: bool) -> None:
    listeners = {}
    for name, (address, port) in (("a", one), ("b", other)):
        listener = inbound_listener()
        listener.name = name
        set_address(listener, address, port)
        listeners[name] = listener
    links = {
        Reference(LISTENER, name): Links(addresses=links_of(LISTENER, name, each).addresses)
        for name, each in listeners.items()
    }

    assert bool(check_links(links, ())) is shared


def _at(
    name: str, address: str, *, binds: bool = True, shares: bool = False, udp: bool = False, compat: bool = False
) -> Any:
    listener = inbound_listener()
    listener.name = name
    set_address(listener, address, 15006)
    listener.address.socket_address.protocol = SocketAddress.UDP if udp else SocketAddress.TCP
    listener.address.socket_address.ipv4_compat = compat
    listener.enable_reuse_port.value = shares
    listener.bind_to_port.value = binds
    return listener


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        (_at("a", "0.0.0.0"), _at("b", "10.0.0.1"), ["b"]),
        (_at("a", "10.0.0.1"), _at("b", "0.0.0.0"), ["a"]),
        (_at("a", "::"), _at("b", "fd00::1"), ["b"]),
        (_at("a", "0.0.0.0"), _at("b", hole(0, 4)), ["b"]),
        (_at("a", "::", compat=True), _at("b", "10.0.0.1"), ["b"]),
        (_at("a", "::", compat=True), _at("b", "0.0.0.0"), ["a", "b"]),
        (_at("a", "0.0.0.0", udp=True), _at("b", "10.0.0.1", udp=True), ["b"]),
        (_at("a", "0.0.0.0", shares=True), _at("b", "10.0.0.1"), ["b"]),
        (_at("a", "0.0.0.0", shares=True), _at("b", "10.0.0.1", shares=True), []),
        (_at("a", "0.0.0.0"), _at("b", "10.0.0.1", binds=False), []),
        (_at("a", "0.0.0.0"), _at("b", "10.0.0.1", udp=True), []),
        (_at("a", "0.0.0.0"), _at("b", "::"), []),
        (_at("a", "::"), _at("b", "10.0.0.1"), []),
        (_at("a", "0.0.0.0"), _at("b", hole(0, 6)), []),
        (_at("a", hole(0, 4)), _at("b", hole(1, 4)), []),
        (_at("a", "0.0.0.0"), _at("b", "0.0.0.0"), ["a", "b"]),
    ],
)
def test_who_listens_on_every_address_has_the_port_of_each(one: Any, other: Any, refused: list[str]) -> None:
    """As Envoy 1.40 has it, asked about each of these."""
    links = {
        Reference(LISTENER, each.name): Links(addresses=found.addresses, bound=found.bound)
        for each in (one, other)
        for found in (links_of(LISTENER, each.name, each),)
    }

    assert [(found.owner.name, found.rule) for found in check_links(links, ())] == [
        (name, "address") for name in refused
    ]


def test_remembered_links_give_the_same_verdict() -> None:
    resources = sidecar()
    resources.messages[ENDPOINT].pop("redis")  # type: ignore[attr-defined]  # the example's are dicts
    links = {
        Reference(kind, name): links_of(kind, name, message)
        for kind, messages in resources.messages.items()
        for name, message in messages.items()
    }

    assert check_links(links, resources.secrets) == check_references(resources) != ()
