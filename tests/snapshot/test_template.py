"""A filled template is what rendering the whole message would have given."""

from collections.abc import Sequence

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.common import socket_address
from compiler.envoy.packing import pack
from compiler.envoy.resources import ResourceType
from compiler.mesh.holes import fill, hole, owner_of, texts_of, zone_hole
from compiler.resources.model import Dataplane, Networking, Resource, ResourceKey
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.constraints import check_constraints
from compiler.snapshot.template import Template, fill_each, has_holes, make_template, with_addresses, without_holes
from tests.snapshot.sidecar import inbound_listener

LABELS = {"kuma.io/workload": "web", "kuma.io/zone": "east"}
WEB = Resource(ResourceKey("Dataplane", "default", "web"), LABELS, Dataplane(Networking(address="10.0.0.1")))
OWNER = owner_of(WEB)


def listener(address: str) -> Listener:
    message = Listener()
    message.CopyFrom(inbound_listener())
    message.address.CopyFrom(socket_address(address, 8080))
    return message


def cluster(*addresses: str) -> Cluster:
    message = Cluster(name="self")
    endpoints = message.load_assignment.endpoints.add()
    for address in addresses:
        endpoints.lb_endpoints.add().endpoint.address.CopyFrom(socket_address(address, 80))
    return message


def traced(address: str, service: str, workload: str, zone: str) -> Listener:
    """With names deep inside, next to what is as long as its number says, and in a map."""
    connections = HttpConnectionManager(stat_prefix="in", internal_address_config={})
    for name, value in (("zone", zone), ("workload", workload)):
        connections.tracing.custom_tags.add(tag=name).literal.value = f"<{value}>{'.' * 120}"
    connections.tracing.overall_sampling.value = 12.5
    connections.route_config.name = "in"
    host = connections.route_config.virtual_hosts.add(name="in", domains=["*"])
    host.metadata.filter_metadata["counted"].update({"service": service, "by": [workload, 1, zone]})
    message = Listener(name="in")
    message.address.CopyFrom(socket_address(address, 8080))
    message.filter_chains.add().filters.add(name="hcm", typed_config=pack(connections))
    return message


def template(kind: ResourceType, name: str, message: Message) -> Template:
    return make_template(render(kind, name, message))


def filled(made: Template, texts: Sequence[str]) -> Rendered:
    (one,) = fill_each([made], texts)
    return one


def rendered(message: Listener) -> Rendered:
    return render(ResourceType.LISTENER, "in", message)


@pytest.mark.parametrize("address", ["10.0.0.1", "10.200.30.4", "fd00:1:2::3"])
def test_a_filled_listener_is_the_rendered_one(address: str) -> None:
    version = 6 if ":" in address else 4
    made = template(ResourceType.LISTENER, "in", listener(hole(0, version)))
    assert filled(made, [address]) == rendered(listener(address))
    assert filled(made, ["10.9.9.9"]) == rendered(listener("10.9.9.9"))
    assert filled(made, [address]) == rendered(listener(address))


def test_each_hole_gets_its_own_address() -> None:
    made = template(ResourceType.CLUSTER, "self", cluster(hole(1, 6), "10.1.1.1", hole(0, 4), hole(1, 6)))
    whole = render(ResourceType.CLUSTER, "self", cluster("fd00::2", "10.1.1.1", "10.0.0.1", "fd00::2"))
    assert filled(made, ["10.0.0.1", "fd00::2"]) == whole


NAMES = st.text("abc-.:", min_size=1, max_size=255)


@given(st.tuples(st.sampled_from(["10.0.0.1", "10.100.200.250"]), NAMES, NAMES, NAMES))
def test_names_are_filled_in_wherever_they_are(texts: Sequence[str]) -> None:
    """Of every length: what says how long something is may grow by a byte at each level."""
    made = template(ResourceType.LISTENER, "in", traced(hole(0, 4), OWNER.service, OWNER.workload, OWNER.zone))
    address, workload, service, zone = texts
    found, whole = filled(made, texts), rendered(traced(address, service, workload, zone))
    assert (found, found.json, found.member) == (whole, whole.json, whole.member)


def test_only_what_has_an_address_is_each_replicas_own() -> None:
    own, shared = (traced(where, OWNER.service, "w", "z") for where in (hole(0, 4), "10.0.0.1"))
    assert template(ResourceType.LISTENER, "in", own).is_placed
    assert not template(ResourceType.LISTENER, "in", shared).is_placed


def test_only_a_message_with_a_hole_has_holes() -> None:
    assert has_holes(rendered(listener(hole(0, 4))))
    assert not has_holes(rendered(listener("10.0.0.1")))
    assert not has_holes(rendered(with_addresses(listener(hole(0, 4)))))


def test_an_address_of_the_same_version_stands_in_for_a_hole() -> None:
    assert with_addresses(listener(hole(0, 4))).address.socket_address.address == "0.0.0.0"  # nothing binds it
    assert with_addresses(listener(hole(0, 6))).address.socket_address.address == "::"


def test_a_name_stands_in_for_every_hole_of_a_name() -> None:
    holed = traced(hole(0, 4), OWNER.service, OWNER.workload, OWNER.zone)
    assert check_constraints(holed) == check_constraints(with_addresses(holed)) == ()
    assert without_holes(holed) == traced("0.0.0.0", "name", "name", "name")  # nothing binds it


def test_a_proxy_is_called_by_the_last_of_its_texts() -> None:
    texts = texts_of(WEB, ["10.0.0.1"], "east")
    said = f"{hole(0, 4)} {OWNER.workload} {OWNER.service} {OWNER.zone} {zone_hole(OWNER.zone)}"
    assert fill(said, texts) == "10.0.0.1 web web east east"
    assert zone_hole("") == ""
