from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fleet import draw_fleet
from benchmarks.generate import write_files
from benchmarks.tiers import TIERS, Shape
from compiler.envoy.packing import UndecodableError, message_type, pack
from compiler.envoy.resources import ResourceType
from compiler.pipeline import compile_tree
from compiler.snapshot import reading as module
from compiler.snapshot.canonical import Rendered, parse, render
from compiler.snapshot.constraints import Violation, check_constraints
from compiler.snapshot.reading import read
from compiler.snapshot.references import links_of
from compiler.snapshot.traps import known_traps
from tests.trees import SCHEMAS, tree_of

from .arbitrary import messages
from .everything import everything
from .sidecar import local_cluster, network_filter, sidecar

GOLDENS = Path(__file__).parents[1] / "golden"
KINDS = {f"{kind.file}.json": kind for kind in ResourceType if kind is not ResourceType.SECRET}
LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
ENDPOINTS = "loadAssignment.endpoints"


def by_json_format(message: Message) -> bytes:
    """The reference that our own writer is held to."""
    return orjson.dumps(json_format.MessageToDict(message), option=LAYOUT)


def forget() -> None:
    module._WHOLE._readings.clear()
    module._PIECES._readings.clear()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=everything())
def test_every_kind_of_field_is_written_as_json_format_writes_it_or_refused_like_it(message: Message) -> None:
    reading = read(message)

    try:
        expected = by_json_format(message)
    except json_format.SerializeToJsonError:
        assert reading.unwritten
    else:
        assert not reading.unwritten
        assert orjson.dumps(reading.plain, option=LAYOUT) == expected


@pytest.mark.parametrize("kind", KINDS.values())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_any_resource_is_written_as_json_format_writes_it(kind: ResourceType, draw: st.DataObject) -> None:
    message = draw.draw(messages(kind.type_url))

    assert render(kind, "it", message).json == by_json_format(message)


@pytest.mark.parametrize("scenario", sorted(GOLDENS.glob("*/expected")), ids=lambda path: path.parent.name)
def test_the_goldens_are_written_as_json_format_writes_them(scenario: Path) -> None:
    found = [(KINDS[path.name], path) for path in scenario.rglob("*.json") if path.name in KINDS]
    written = [
        (kind, name, orjson.dumps(plain, option=LAYOUT))
        for kind, path in found
        for name, plain in orjson.loads(path.read_bytes()).items()
    ]
    assert written
    for kind, name, json in written:
        message = parse(json, kind)
        assert render(kind, name, message).json == by_json_format(message) == json


def test_a_generated_workload_is_written_as_json_format_writes_it() -> None:
    resources = {one.version: one for one in _compile_small_tier()}

    assert len(resources) > 100
    for one in resources.values():
        message = message_type(one.type.type_url).FromString(any_pb2.Any.FromString(one.body).value)
        assert one.json == by_json_format(message)
        assert render(one.type, one.name, message) == one


def _compile_small_tier() -> Iterator[Rendered]:
    files = write_files(draw_fleet(Shape(TIERS["S"])))
    generation = compile_tree(tree_of({path: text.decode() for path, text in files.items()}), SCHEMAS).value.generation
    assert generation is not None
    for snapshot in generation.snapshots.values():
        for resources in snapshot.resources.values():
            yield from resources.values()


@pytest.mark.parametrize("number", [0.1, 3.4028234663852886e38, 1e-45, 1.17549435e-38, 16777216.0, -0.0, 1 / 3])
def test_a_float_of_four_bytes_is_written_in_the_fewest_digits_that_bring_it_back(number: float) -> None:
    message = message_type("x/google.protobuf.FloatValue")(value=number)

    assert orjson.dumps(read(message).plain) == orjson.dumps(json_format.MessageToDict(message))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_it_is_all_the_same_whether_pieces_are_remembered_or_not(draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(list(KINDS.values())))
    message = draw.draw(messages(kind.type_url))

    forget()
    anew = read(message)
    module._WHOLE._readings.clear()

    assert read(message) == anew


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = [(kind, name, one) for kind, named in sidecar().messages.items() for name, one in named.items()]
    expected = [_everything_said(*each) for each in resources]

    forget()
    for remembered in (module._WHOLE, module._PIECES):
        monkeypatch.setattr(remembered, "_limit", 2)

    assert [_everything_said(*each) for each in resources] == expected
    assert len(module._WHOLE._readings) <= 2
    assert len(module._PIECES._readings) <= 2


def _everything_said(kind: ResourceType, name: str, message: Message) -> tuple[Any, ...]:
    return render(kind, name, message), links_of(kind, name, message), check_constraints(message), known_traps(message)


def test_a_reading_at_hand_gives_what_would_have_been_read() -> None:
    for kind, named in sidecar().messages.items():
        for name, message in named.items():
            reading = read(message)
            given = (
                render(kind, name, message, reading),
                links_of(kind, name, message, reading),
                check_constraints(message, reading),
                known_traps(message, reading),
            )
            assert given == _everything_said(kind, name, message)


def test_a_message_that_was_changed_is_read_anew() -> None:
    cluster = local_cluster()
    before = render(ResourceType.CLUSTER, "it", cluster)
    assert check_constraints(cluster) == ()

    cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value = 99_999

    assert render(ResourceType.CLUSTER, "it", cluster).version != before.version
    assert [each.rule for each in check_constraints(cluster)] == ["uint32.lte"]


def test_what_is_wrong_in_a_piece_is_reported_at_each_of_its_places() -> None:
    cluster = local_cluster()
    endpoint = cluster.load_assignment.endpoints[0].lb_endpoints[0]
    endpoint.endpoint.address.socket_address.port_value = 99_999
    endpoint.metadata.typed_filter_metadata["it"].CopyFrom(pack(TcpProxy(cluster="redis")))
    cluster.load_assignment.endpoints.add().lb_endpoints.add().CopyFrom(endpoint)

    inner = 'metadata.typedFilterMetadata["it"].statPrefix'
    empty = "must be at least 1 characters long"
    for _ in range(2):  # the second time it is remembered
        assert check_constraints(cluster) == tuple(
            violation
            for place in (f"{ENDPOINTS}[0].lbEndpoints[0]", f"{ENDPOINTS}[1].lbEndpoints[0]")
            for violation in (
                Violation(
                    f"{place}.endpoint.address.socketAddress.portValue",
                    "uint32.lte",
                    "must be at most 65535",
                    blocks_answer=True,
                ),
                Violation(f"{place}.{inner}", "string.min_len", empty, blocks_answer=False),
            )
        )
        module._WHOLE._readings.clear()


def test_a_contradiction_and_a_trap_in_a_piece_are_reported_at_each_of_its_places() -> None:
    manager = HttpConnectionManager(stat_prefix="it")
    for _ in range(2):
        manager.http_filters.add(name="twice", is_optional=True)
    listener = Listener(name="it")
    for _ in range(2):
        listener.filter_chains.add().filters.append(network_filter("http", manager))

    places = [f"filterChains[{index}].filters[0].typedConfig" for index in range(2)]
    assert links_of(ResourceType.LISTENER, "it", listener).problems == tuple(
        ("unique", f"has 2 HTTP filters in {place} called 'twice'") for place in places
    )
    assert {each.path for each in known_traps(listener)} >= {"filterChains[0]", "filterChains[1]"}


def test_what_json_has_no_form_for_is_refused_when_it_is_written_but_its_rules_are_checked() -> None:
    cluster = Cluster(name="")
    cluster.connect_timeout.seconds = 10**15

    with pytest.raises(json_format.SerializeToJsonError):
        render(ResourceType.CLUSTER, "it", cluster)
    assert [each.path for each in check_constraints(cluster)] == ["name"]


def test_an_any_that_cannot_be_read_is_a_violation_and_refused_when_it_is_written() -> None:
    torn = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Duration", value=b"\x08")
    extension = TypedExtensionConfig(name="it", typed_config=torn)

    with pytest.raises(UndecodableError):
        render(ResourceType.EXTENSION, "it", extension)
    assert [(each.path, each.rule) for each in check_constraints(extension)] == [("typedConfig", "any.type")]
    assert links_of(ResourceType.EXTENSION, "it", extension).problems == ()
