"""The joined bytes are those that protobuf itself would write, for any resource and any length."""

import pytest
from envoy.config.core.v3.base_pb2 import Node as NodeMessage
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from compiler.xds import delta, sotw
from compiler.xds.events import DeltaRequest, Response, SotwRequest
from compiler.xds.framing import encode_varint
from compiler.xds.served import CDS, LDS, ProxyConfig, Resource

TEXTS = st.text(max_size=20)
SIZES = st.sampled_from((0, 1, 100, 127, 128, 16_383, 16_384, 70_000))


@st.composite
def resources(draw: st.DrawFn) -> Resource:
    packed = Any()
    packed.Pack(BytesValue(value=b"x" * draw(SIZES)))
    body = draw(st.sampled_from((packed.SerializeToString(deterministic=True), b"")))
    return Resource(draw(TEXTS), draw(TEXTS), body)


RESPONSES = st.builds(
    Response, TEXTS, TEXTS, TEXTS, st.lists(resources(), max_size=4).map(tuple), st.lists(TEXTS, max_size=3).map(tuple)
)


@given(RESPONSES)
def test_a_delta_response_is_byte_for_byte_what_protobuf_writes(response: Response) -> None:
    message = DeltaDiscoveryResponse(
        system_version_info=response.version,
        type_url=response.type_url,
        nonce=response.nonce,
        removed_resources=response.removals,
    )
    for resource in response.resources:
        each = message.resources.add(name=resource.name, version=resource.version)
        each.resource.CopyFrom(Any.FromString(resource.body))
    assert delta.write_response(response) == message.SerializeToString(deterministic=True)


@given(RESPONSES)
def test_a_sotw_response_is_byte_for_byte_what_protobuf_writes(response: Response) -> None:
    message = DiscoveryResponse(version_info=response.version, type_url=response.type_url, nonce=response.nonce)
    message.resources.extend(Any.FromString(resource.body) for resource in response.resources)
    assert sotw.write_response(response) == message.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (1 << 32, b"\x80\x80\x80\x80\x10")],
)
def test_a_varint_has_seven_bits_a_byte(number: int, encoded: bytes) -> None:
    assert encode_varint(number) == encoded


def test_a_delta_request_says_what_is_subscribed_claimed_and_answered() -> None:
    message = DeltaDiscoveryRequest(
        type_url=CDS,
        resource_names_subscribe=["*", "a"],
        resource_names_unsubscribe=["b"],
        initial_resource_versions={"c": "1"},
        response_nonce="7",
    )
    message.error_detail.message = "no"
    event, node = delta.read_request(message.SerializeToString())
    assert event == DeltaRequest(CDS, ("*", "a"), ("b",), {"c": "1"}, "7", "no")
    assert node is None


def test_an_ack_has_no_error_and_an_error_without_a_text_is_still_one() -> None:
    accepted, _ = sotw.read_request(
        DiscoveryRequest(type_url=LDS, version_info="1", response_nonce="2").SerializeToString()
    )
    refusal = DiscoveryRequest(type_url=LDS, response_nonce="2")
    refusal.error_detail.SetInParent()
    refused, _ = sotw.read_request(refusal.SerializeToString())
    assert accepted == SotwRequest(LDS, (), "1", "2", None)
    assert refused == SotwRequest(LDS, (), "", "2", "")


def test_of_a_node_four_things_are_kept_and_the_extensions_are_not() -> None:
    message = NodeMessage(id="default.web", cluster="web", user_agent_name="envoy")
    message.user_agent_build_version.version.major_number = 1
    message.user_agent_build_version.version.minor_number = 40
    message.metadata["zone"] = "east"
    message.metadata["nested"] = {"a": 1}
    for number in range(1000):
        message.extensions.add(name=f"envoy.filters.{number}")
    _, node = sotw.read_request(DiscoveryRequest(type_url=LDS, node=message).SerializeToString())
    assert node is not None
    assert (node.id, node.cluster, node.version, dict(node.metadata)) == (
        "default.web",
        "web",
        "1.40.0",
        {"zone": "east"},
    )


def test_bytes_that_are_no_request_are_refused() -> None:
    with pytest.raises(DecodeError):
        delta.read_request(b"\xff\xff\xff")


def test_configs_are_the_same_by_content_not_only_by_identity() -> None:
    one, same, other = (ProxyConfig("d", {CDS: {"a": Resource("a", version, b"x")}}) for version in ("1", "1", "2"))
    assert one.same_as(same)
    assert not one.same_as(other)
    assert not one.same_as(ProxyConfig("d", one.resources, ("secret",)))


def test_a_resource_does_not_print_its_body() -> None:
    assert "hush" not in repr(Resource("a", "1", b"hush"))


@given(st.sampled_from((CDS, LDS, "", "x" * 200)), st.text(max_size=200))
def test_an_ack_is_read_from_its_bytes_as_protobuf_would_read_it(type_url: str, nonce: str) -> None:
    message = DeltaDiscoveryRequest(type_url=type_url, response_nonce=nonce)
    assert delta.read_request(message.SerializeToString()) == (DeltaRequest(type_url, nonce=nonce), None)


@given(st.binary(max_size=40), st.integers(0, 40))
def test_bytes_that_are_no_plain_ack_are_left_to_protobuf(junk: bytes, place: int) -> None:
    """Whatever an ACK is spoilt with, the quick reading gives what protobuf gives, or nothing."""
    ack = DeltaDiscoveryRequest(type_url="a.b", response_nonce="7").SerializeToString()
    spoilt = ack[:place] + junk + ack[place:]
    try:
        expected = DeltaDiscoveryRequest.FromString(spoilt)
    except DecodeError:
        with pytest.raises(DecodeError):
            delta.read_request(spoilt)
        return
    request, _ = delta.read_request(spoilt)
    assert (request.type_url, request.nonce) == (expected.type_url, expected.response_nonce)
    assert request.subscribe == tuple(expected.resource_names_subscribe)
    assert (request.error is not None) == expected.HasField("error_detail")
