import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.envoy.packing import UnknownTypeError, pack, repack, unpack
from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import file_bytes, parse, render

from .arbitrary import messages
from .sidecar import PERMISSIONS, eds_cluster, permissions, sidecar

RESOURCES = [(kind, name, message) for kind, each in sidecar().messages.items() for name, message in each.items()]
_PRINT_ALL = """
from compiler.snapshot.canonical import render
from {sidecar} import sidecar
for kind, each in sidecar().messages.items():
    for name, message in each.items():
        resource = render(kind, name, message)
        print(resource.version, resource.body.hex(), resource.json.decode())
"""


@pytest.mark.parametrize(("kind", "name", "message"), RESOURCES, ids=[name for _, name, _ in RESOURCES])
def test_a_resource_comes_back_byte_for_byte_from_its_json(kind: ResourceType, name: str, message: Message) -> None:
    rendered = render(kind, name, message)

    assert render(kind, name, parse(rendered.json, kind)) == rendered


@pytest.mark.parametrize("kind", [kind for kind in ResourceType if kind is not ResourceType.SECRET])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_any_message_comes_back_byte_for_byte_from_its_json(kind: ResourceType, draw: st.DataObject) -> None:
    rendered = render(kind, "it", draw.draw(messages(kind.type_url)))

    assert render(kind, "it", parse(rendered.json, kind)) == rendered


def test_every_process_renders_the_same_whatever_its_hash_seed() -> None:
    program = _PRINT_ALL.format(sidecar=sidecar.__module__)
    root = str(Path(__file__).parents[2])

    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }

    assert len(outputs) == 1
    assert outputs.pop().count(b"\n") > 100


def test_the_order_in_which_a_map_was_filled_does_not_show() -> None:
    forward, backward = permissions(), permissions()
    inner: Any = unpack(forward.typed_config)
    reordered = RBAC()
    for name in sorted(inner.rules.policies, reverse=True):
        reordered.rules.policies[name].CopyFrom(inner.rules.policies[name])
    backward.typed_config.CopyFrom(pack(reordered))

    kind = ResourceType.EXTENSION
    assert render(kind, PERMISSIONS, forward) == render(kind, PERMISSIONS, backward)


def test_an_any_packed_elsewhere_is_repacked_to_the_same_bytes() -> None:
    struct = struct_pb2.Struct()
    struct.update({str(number): number for number in range(20)})
    shuffled = struct_pb2.Struct()
    shuffled.update({str(number): number for number in reversed(range(20))})
    packed = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Struct", value=shuffled.SerializeToString())
    elsewhere = TypedExtensionConfig(name="it", typed_config=packed)
    repack(elsewhere)

    assert elsewhere == TypedExtensionConfig(name="it", typed_config=pack(struct))


def test_the_body_is_the_message_in_an_any() -> None:
    cluster = eds_cluster("backend")
    body = any_pb2.Any.FromString(render(ResourceType.CLUSTER, "backend", cluster).body)

    assert body.type_url == ResourceType.CLUSTER.type_url
    assert Cluster.FromString(body.value) == cluster


def test_the_version_changes_with_the_content_and_with_nothing_else() -> None:
    version = render(ResourceType.CLUSTER, "backend", eds_cluster("backend")).version
    changed = eds_cluster("backend")
    changed.connect_timeout.nanos = 1

    assert len(version) == 32
    assert version == render(ResourceType.CLUSTER, "backend", eds_cluster("backend")).version
    assert version != render(ResourceType.CLUSTER, "backend", changed).version


def test_json_has_sorted_keys_one_field_a_line_and_nested_types_spelt_out() -> None:
    text = render(ResourceType.EXTENSION, PERMISSIONS, permissions()).json

    assert orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) == text
    assert b'"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"' in text
    assert b'"principalName"' in text


def test_a_file_is_what_one_dump_of_all_its_resources_would_be() -> None:
    resources = {name: render(kind, name, each) for kind, name, each in RESOURCES}
    resources['b"\\\n'] = render(ResourceType.CLUSTER, 'b"\\\n', Cluster())
    whole = {name: orjson.loads(each.json) for name, each in resources.items()}

    expected = orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    assert file_bytes(resources) == expected
    assert file_bytes({}) == b"{}\n"


def test_a_struct_may_hold_a_key_that_looks_like_a_type_url() -> None:
    cluster = Cluster(name="it")
    cluster.metadata.filter_metadata["com.example"].update({"@type": "nothing", "huge": 1e20})
    rendered = render(ResourceType.CLUSTER, "it", cluster)

    assert render(ResourceType.CLUSTER, "it", parse(rendered.json, ResourceType.CLUSTER)) == rendered


def test_a_nested_type_that_nobody_knows_is_refused_by_name() -> None:
    unknown = any_pb2.Any(type_url="type.googleapis.com/envoy.extensions.nowhere.v3.Nothing")
    extension = TypedExtensionConfig(name="it", typed_config=unknown)

    with pytest.raises(UnknownTypeError, match=r"envoy\.extensions\.nowhere\.v3\.Nothing"):
        render(ResourceType.EXTENSION, "it", extension)
