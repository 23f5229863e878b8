"""Chains of what is let through to the outside of the mesh."""

import json
from typing import Any

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import parse
from tests.trees import compile_texts

CALLER = """
type: Dataplane
mesh: default
name: web
networking: {address: 10.0.0.1, transparentProxying: {}}
"""
LISTENER = "self_transparentproxy_passthrough_outbound_ipv4"


def test_many_networks_and_many_domains_are_no_product_of_chains() -> None:
    """Each domain has a chain, and one more with all networks: Envoy keeps some kilobytes for every chain."""
    networks = [{"type": "CIDR", "value": f"10.{number}.0.0/16", "port": 443} for number in range(20)]
    domains = [{"type": "Domain", "value": f"a{n}.example", "protocol": "tls", "port": 443} for n in range(30)]
    spec = {"default": {"appendMatch": networks + domains}}
    policy = json.dumps({"type": "MeshPassthrough", "mesh": "default", "name": "outside", "spec": spec})
    checked = compile_texts("{type: Mesh, name: default}", CALLER, policy)
    assert checked.value.generation is not None, checked.diagnostics
    listeners = checked.value.generation.snapshots["default.web"].resources[ResourceType.LISTENER]
    listener: Any = parse(listeners[LISTENER].json, ResourceType.LISTENER)
    chains = listener.filter_chains
    assert len(chains) == 20 + 2 * 30
    assert {len(chain.filter_chain_match.prefix_ranges) for chain in chains} == {0, 1, 20}
