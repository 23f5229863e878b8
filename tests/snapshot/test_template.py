"""A filled template is what rendering the whole message would have given."""

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener

from compiler.envoy.common import socket_address
from compiler.envoy.resources import ResourceType
from compiler.mesh.shape import hole
from compiler.snapshot.canonical import render
from compiler.snapshot.template import has_holes, make_template, without_holes
from tests.snapshot.sidecar import inbound_listener


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


@pytest.mark.parametrize("address", ["10.0.0.1", "10.200.30.4", "fd00:1:2::3"])
def test_a_filled_listener_is_the_rendered_one(address: str) -> None:
    version = 6 if ":" in address else 4
    template = make_template(ResourceType.LISTENER, "in", listener(hole(0, version)))
    assert template.fill([address]) == render(ResourceType.LISTENER, "in", listener(address))
    assert template.fill(["10.9.9.9"]) == render(ResourceType.LISTENER, "in", listener("10.9.9.9"))
    assert template.fill([address]) == render(ResourceType.LISTENER, "in", listener(address))


def test_each_hole_gets_its_own_address() -> None:
    template = make_template(ResourceType.CLUSTER, "self", cluster(hole(1, 6), "10.1.1.1", hole(0, 4), hole(1, 6)))
    filled = template.fill(["10.0.0.1", "fd00::2"])
    assert filled == render(ResourceType.CLUSTER, "self", cluster("fd00::2", "10.1.1.1", "10.0.0.1", "fd00::2"))


def test_only_a_message_with_a_hole_has_holes() -> None:
    assert has_holes(listener(hole(0, 4)))
    assert not has_holes(listener("10.0.0.1"))
    assert not has_holes(without_holes(listener(hole(0, 4))))


def test_an_address_of_the_same_version_stands_in_for_a_hole() -> None:
    assert without_holes(listener(hole(0, 4))).address.socket_address.address == "0.0.0.0"  # nothing binds it
    assert without_holes(listener(hole(0, 6))).address.socket_address.address == "::"
