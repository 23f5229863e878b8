"""Policies have no order (design D7): whichever comes first, the message is the same, and no field has two owners."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import combinations
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.envoy.policy import Hooks, Policy
from compiler.policies import POLICIES
from compiler.resources.values import decode
from tests.schematic import part

MESSAGES: dict[str, Callable[[], Any]] = {
    "cluster": Cluster,
    "http_options": HttpProtocolOptions,
    "route": RouteAction,
    "http": HttpConnectionManager,
    "tcp": TcpProxy,
}
OWNERS = [
    (name, policy) for name in MESSAGES for policy in POLICIES if getattr(policy.hooks, name) is not None
]
PAIRS = [
    (name, one, other)
    for name in MESSAGES
    for one, other in combinations([policy for owned, policy in OWNERS if owned == name], 2)
]
PROTOCOLS = ("http", "http2", "grpc")
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def ids(value: Any) -> str | None:
    return value.kind.type if isinstance(value, Policy) else None


def confs(policy: Policy) -> st.SearchStrategy[Any]:
    """Everything that the policy's schema allows, and the empty conf of a place where no policy speaks."""
    written = part(policy.kind.type, "conf").map(lambda conf: decode(policy.kind.conf, conf))
    return st.just(policy.kind.conf()) | written


def run(name: str, policy: Policy, conf: Any, message: Any, protocol: str) -> None:
    hook = getattr(policy.hooks, name)
    hook(conf, message, protocol) if name == "route" else hook(conf, message)


def written(message: Message, path: str = "") -> Iterator[str]:
    """The fields that are set; a list is one field, and so is a message without any."""
    for field, value in message.ListFields():
        step = f"{path}/{field.name}"
        if field.message_type is None or field.is_repeated or not value.ListFields():
            yield step
        else:
            yield from written(value, step)


def test_every_hook_has_its_message() -> None:
    assert {field.name for field in fields(Hooks)} == set(MESSAGES)
    assert len(PAIRS) >= 3


@pytest.mark.parametrize(("name", "one", "other"), PAIRS, ids=ids)
@quick
@given(drawn=st.data())
def test_the_order_of_two_policies_does_not_matter(name: str, one: Policy, other: Policy, drawn: st.DataObject) -> None:
    first, second = drawn.draw(confs(one)), drawn.draw(confs(other))
    protocol = drawn.draw(st.sampled_from(PROTOCOLS))
    forwards, backwards = MESSAGES[name](), MESSAGES[name]()
    run(name, one, first, forwards, protocol)
    run(name, other, second, forwards, protocol)
    run(name, other, second, backwards, protocol)
    run(name, one, first, backwards, protocol)

    assert forwards == backwards


@pytest.mark.parametrize(("name", "one", "other"), PAIRS, ids=ids)
@quick
@given(drawn=st.data())
def test_no_field_is_written_by_two_policies(name: str, one: Policy, other: Policy, drawn: st.DataObject) -> None:
    protocol = drawn.draw(st.sampled_from(PROTOCOLS))
    fields_of = []
    for policy in (one, other):
        message = MESSAGES[name]()
        run(name, policy, drawn.draw(confs(policy)), message, protocol)
        fields_of.append(set(written(message)))

    assert fields_of[0] & fields_of[1] == set()


@pytest.mark.parametrize(("name", "policy"), OWNERS, ids=ids)
@quick
@given(drawn=st.data())
def test_a_hook_leaves_its_conf_as_it_is_and_says_the_same_twice(
    name: str, policy: Policy, drawn: st.DataObject
) -> None:
    conf = drawn.draw(confs(policy))
    before, protocol = repr(conf), drawn.draw(st.sampled_from(PROTOCOLS))
    messages = MESSAGES[name](), MESSAGES[name]()
    for message in messages:
        run(name, policy, conf, message, protocol)

    assert repr(conf) == before
    assert messages[0] == messages[1]
    assert hash(conf) == hash(conf)
