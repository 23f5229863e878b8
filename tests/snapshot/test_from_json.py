"""From canonical JSON the very message comes back that it was rendered from."""

from typing import Any

import orjson
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.envoy.packing import message_type, pack
from compiler.envoy.resources import ResourceType
from compiler.snapshot import from_json
from compiler.snapshot.canonical import render
from compiler.snapshot.from_json import Pieces, fill_message
from tests.snapshot.arbitrary import messages
from tests.snapshot.sidecar import sidecar

RESOURCES = [(kind, name, message) for kind, each in sidecar().messages.items() for name, message in each.items()]


def quick(json: bytes, kind: ResourceType, pieces: Pieces) -> Message:
    message = message_type(kind.type_url)()
    fill_message(message, orjson.loads(json), pieces)
    return message


def assert_the_same(kind: ResourceType, message: Message, pieces: Pieces) -> None:
    rendered = render(kind, "it", message)
    made = quick(rendered.json, kind, pieces).SerializeToString(deterministic=True)
    assert made == message.SerializeToString(deterministic=True)


def test_a_whole_sidecar_comes_back() -> None:
    pieces: Pieces = {}
    for _ in range(2):
        for kind, _name, message in RESOURCES:
            assert_the_same(kind, message, pieces)


PIECES: Pieces = {}


@pytest.mark.parametrize("kind", [kind for kind in ResourceType if kind is not ResourceType.SECRET])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_any_message_comes_back(kind: ResourceType, draw: st.DataObject) -> None:
    assert_the_same(kind, draw.draw(messages(kind.type_url)), PIECES)


@pytest.mark.parametrize("plain", [None, True, 0, -1e300, "", "x", [], {}, [None, [False], {"a": {}}], {"@type": 1}])
def test_a_struct_may_hold_anything(plain: Any) -> None:
    message = Cluster(name="it")
    message.metadata.filter_metadata["com.example"].update({"held": plain})
    assert_the_same(ResourceType.CLUSTER, message, {})


def test_an_any_may_hold_what_has_a_form_of_its_own_or_nothing() -> None:
    struct = struct_pb2.Struct()
    struct.update({"@type": "nothing", "value": {"value": 1}})
    for inner in (pack(struct), pack(pack(struct)), pack(any_pb2.Any()), any_pb2.Any()):
        assert_the_same(ResourceType.EXTENSION, TypedExtensionConfig(name="it", typed_config=inner), {})


def test_endpoints_that_differ_in_an_address_come_back_each_with_its_own() -> None:
    assignment = ClusterLoadAssignment(cluster_name="it")
    locality = assignment.endpoints.add()
    for place, address in enumerate(("10.0.0.1", "10.0.0.2", "::1", "10.0.0.1", "")):
        for hostname in ("", "a", "b"):
            one = locality.lb_endpoints.add(health_status=place % 2)
            one.endpoint.hostname = hostname
            one.endpoint.address.socket_address.address = address
            one.endpoint.address.socket_address.port_value = 80
    locality.lb_endpoints.add().endpoint.address.pipe.path = "/a"
    locality.lb_endpoints.add().endpoint_name = "10.0.0.1"
    locality.lb_endpoints.add()
    assert_the_same(ResourceType.ENDPOINT, assignment, {})


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_json, "_REMEMBERED", 3)
    pieces: Pieces = {}
    for number in range(10):
        struct = struct_pb2.Struct()
        struct.update({"number": number})
        assert_the_same(ResourceType.EXTENSION, TypedExtensionConfig(name="it", typed_config=pack(struct)), pieces)
        assert len(pieces) <= 3
