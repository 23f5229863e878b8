"""Kuma's own examples of modifications, where the acceptance corpus is at hand."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from compiler.envoy.packing import message_type
from compiler.envoy.patching import Seen, Thing
from compiler.envoy.resources import ResourceType
from compiler.mesh.order import items_of
from compiler.policies.mesh_proxy_patch.apply import apply
from compiler.policies.mesh_proxy_patch.conf import collect
from compiler.policies.mesh_proxy_patch.values import from_plain
from compiler.resources.model import Policy, Resource, ResourceKey
from compiler.resources.values import decode

FOLDER = Path(__file__).parents[3].parent / "shared" / "corpus" / "proxypatch-modifications"
CASES = sorted(path.parent for path in FOLDER.glob("*/expected.json"))

pytestmark = pytest.mark.skipif(not CASES, reason="the acceptance corpus is not at hand")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_modification_does_what_kuma_does(case: Path) -> None:
    written = yaml.safe_load((case / "input" / "policy.yaml").read_text())
    policy = Resource(ResourceKey("MeshProxyPatch", "default", "mods"), {}, decode(Policy, written["spec"]))
    things = list(_things(yaml.safe_load((case / "input" / "envoy-resources.yaml").read_text()) or []))

    outcome = apply(collect(items_of(policy, "default")), things)

    expected = json.loads((case / "expected.json").read_text())["expect"]["resources"]
    assert outcome.mistakes == ()
    assert [_plain(thing.message) for thing in outcome.things] == [_plain(_read(one)) for one in expected]


def _things(resources: list[Mapping[str, Any]]) -> Iterator[Thing]:
    for one in resources:
        message: Any = _read(one["resource"])
        kind = ResourceType.CLUSTER if message.DESCRIPTOR.name == "Cluster" else ResourceType.LISTENER
        tags = json_format.MessageToDict(message).get("metadata", {}).get("filterMetadata", {}).get("io.kuma.tags", {})
        origin = _origin(message.name, one["origin"])
        yield Thing(Seen(kind, message.name, (origin,), tags=tuple(tags.items())), message)


def _origin(name: str, written: str) -> str:
    """The corpus says inbound of everything; the name says it better."""
    return name.partition(":")[0] if ":" in name else written


def _read(plain: Mapping[str, Any]) -> Message:
    """A resource without `@type` is a listener, unless it has what only a cluster has."""
    fields = {name: value for name, value in plain.items() if name != "@type"}
    cluster = not fields.keys().isdisjoint({"connectTimeout", "loadAssignment", "edsClusterConfig", "type", "lbPolicy"})
    url = plain.get("@type", ResourceType.CLUSTER.type_url if cluster else ResourceType.LISTENER.type_url)
    return from_plain(fields, message_type(url))


def _plain(message: Message | None) -> Any:
    assert message is not None
    return json_format.MessageToDict(message)
