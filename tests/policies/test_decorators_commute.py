"""Policies have no order (design D7): whichever comes first, the message is the same, and no field has two owners."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import combinations
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.envoy.policy import Direction, Hooks, Policy, Site
from compiler.mesh.value import Owner
from compiler.policies import POLICIES
from compiler.resources.model import MeshOpenTelemetryBackend, Resource, ResourceKey
from compiler.resources.values import decode
from tests.schematic import part

MESSAGES: dict[str, Callable[[], Any]] = {
    "cluster": Cluster,
    "http_options": HttpProtocolOptions,
    "route": RouteAction,
    "route_filters": Route,
    "http": HttpConnectionManager,
    "http_routed": HttpConnectionManager,
    "routed": Route,
    "untaken": VirtualHost,
    "tcp": TcpProxy,
}
OWNERS = [(name, policy) for name in MESSAGES for policy in POLICIES if getattr(policy.hooks, name) is not None]
PAIRS = [
    (name, one, other)
    for name in MESSAGES
    for one, other in combinations([policy for owned, policy in OWNERS if owned == name], 2)
]
_PANIC = "/common_lb_config/healthy_panic_threshold"
GIVEN_WAY = {
    frozenset({"MeshCircuitBreaker", "MeshHealthCheck"}): {_PANIC, f"{_PANIC}/value"},
}
"""Fields that one of two policies writes where the other does not; a threshold of 0 has no value that is set."""
GIVING = {"http_filters", "network_filters", "resources", "patching"}
"""Hooks that give something instead of writing it, each its own filters and resources; patches come after them all."""
SITES = st.builds(
    Site,
    st.sampled_from(Direction),
    st.just("backend"),
    st.sampled_from(("http", "http2", "grpc", "tcp")),
    st.just("backend"),
    owner=st.just(Owner("default", "east", "frontend", "frontend")),
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def ids(value: Any) -> str | None:
    return value.kind.type if isinstance(value, Policy) else None


def confs(policy: Policy) -> st.SearchStrategy[Any]:
    """Everything that the policy's schema allows, and the empty conf of a place where no policy speaks."""
    resolve = policy.kind.resolve or (lambda conf, _: conf)
    written = part(policy.kind.type, "conf").map(lambda conf: decode(policy.kind.conf, resolve(conf, _find_collector)))
    return st.just(policy.kind.conf()) | written


def _find_collector(reference: Mapping[str, Any]) -> Resource | None:
    """What a conf refers to is there, or it is not."""
    spec = MeshOpenTelemetryBackend(protocol="http" if "name" in reference else "grpc")
    return Resource(ResourceKey(reference["kind"], "default", "otel"), {}, spec) if len(reference) > 1 else None


def run(name: str, policy: Policy, conf: Any, message: Any, site: Site) -> None:
    getattr(policy.hooks, name)(conf, message, site)


def written(message: Message, path: str = "") -> Iterator[str]:
    """The fields that are set; a list is one field, and so are a message without any and an entry of a mapping."""
    for field, value in message.ListFields():
        step = f"{path}/{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from (f"{step}/{key}" for key in value)
            continue
        if field.message_type is None or field.is_repeated or not value.ListFields():
            yield step
        else:
            yield from written(value, step)


def test_every_hook_has_its_message() -> None:
    assert {field.name for field in fields(Hooks)} == set(MESSAGES) | GIVING
    assert len(PAIRS) >= 3


@pytest.mark.parametrize(("name", "one", "other"), PAIRS, ids=ids)
@quick
@given(drawn=st.data())
def test_the_order_of_two_policies_does_not_matter(name: str, one: Policy, other: Policy, drawn: st.DataObject) -> None:
    first, second = drawn.draw(confs(one)), drawn.draw(confs(other))
    site = drawn.draw(SITES)
    forwards, backwards = MESSAGES[name](), MESSAGES[name]()
    run(name, one, first, forwards, site)
    run(name, other, second, forwards, site)
    run(name, other, second, backwards, site)
    run(name, one, first, backwards, site)

    assert forwards == backwards


@pytest.mark.parametrize(("name", "one", "other"), PAIRS, ids=ids)
@quick
@given(drawn=st.data())
def test_no_field_is_written_by_two_policies(name: str, one: Policy, other: Policy, drawn: st.DataObject) -> None:
    site = drawn.draw(SITES)
    fields_of = []
    for policy in (one, other):
        message = MESSAGES[name]()
        run(name, policy, drawn.draw(confs(policy)), message, site)
        fields_of.append(set(written(message)))

    assert fields_of[0] & fields_of[1] <= GIVEN_WAY.get(frozenset({one.kind.type, other.kind.type}), set())


@pytest.mark.parametrize(("name", "policy"), OWNERS, ids=ids)
@quick
@given(drawn=st.data())
def test_a_hook_leaves_its_conf_as_it_is_and_says_the_same_twice(
    name: str, policy: Policy, drawn: st.DataObject
) -> None:
    conf = drawn.draw(confs(policy))
    before, site = repr(conf), drawn.draw(SITES)
    messages = MESSAGES[name](), MESSAGES[name]()
    for message in messages:
        run(name, policy, conf, message, site)

    assert repr(conf) == before
    assert messages[0] == messages[1]
    assert hash(conf) == hash(conf)
