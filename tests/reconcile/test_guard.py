"""What is held as an accidental wipe, and what is not."""

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.reconcile.guard import Census, judge_removal, take_census
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.snapshot import Generation, NodeId, Snapshot

KINDS = ("mesh", "proxy", "listener", "endpoint", "meshtimeout", "dataplane")
CENSUSES = st.dictionaries(st.sampled_from(KINDS), st.integers(min_value=0, max_value=60))


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ({"proxy": 100}, {"proxy": 81}, False),
        ({"proxy": 100}, {"proxy": 80}, False),
        ({"proxy": 100}, {"proxy": 79}, True),
        ({"proxy": 20}, {"proxy": 11}, False),
        ({"proxy": 20}, {"proxy": 10}, True),
        ({"proxy": 5}, {"proxy": 1}, False),
        ({"proxy": 5}, {}, True),
        ({"mesh": 3, "proxy": 9}, {"mesh": 2, "proxy": 8}, True),
        ({"meshtimeout": 2}, {}, True),
        ({"meshtimeout": 20}, {"meshtimeout": 1}, False),
        ({"meshtrafficpermission": 4}, {}, False),
        ({"endpoint": 10}, {"endpoint": 10}, False),
    ],
)
def test_a_whole_kind_a_mesh_or_more_than_a_fifth_and_ten_is_held(before: Census, after: Census, held: bool) -> None:
    assert bool(judge_removal(before, after, "")) is held


@given(CENSUSES, CENSUSES)
def test_the_trailers_that_the_sentence_asks_for_let_the_commit_pass(before: Census, after: Census) -> None:
    reason = judge_removal(before, after, "a commit\n")
    if reason:
        asked = reason.partition("add to the commit message ")[2].replace("'", "").split(" and ")
        assert judge_removal(before, after, "a commit\n\n" + "\n".join(asked)) == ""
        too_few = [f"{kind}/{int(count) - 1}" for kind, _, count in (one.rpartition("/") for one in asked)]
        assert judge_removal(before, after, "a commit\n\n" + "\n".join(too_few)) != ""


@given(CENSUSES, CENSUSES)
def test_growth_is_never_held(before: Census, more: Census) -> None:
    after = {kind: before.get(kind, 0) + more.get(kind, 0) for kind in KINDS}
    assert judge_removal(before, after, "") == ""


def test_a_trailer_stands_on_a_line_of_its_own_and_minds_no_case() -> None:
    before, after = {"proxy": 40}, {"proxy": 10}
    assert judge_removal(before, after, "x\n\nallow-removal: Proxy/30\n") == ""
    assert judge_removal(before, after, "not Allow-Removal: proxy/30") != ""


def test_the_census_counts_proxies_listeners_meshes_and_endpoints() -> None:
    load = ClusterLoadAssignment(cluster_name="web")
    for port in (1, 2, 3):
        load.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.port_value = port
    shared = {ResourceType.ENDPOINT: {"web": render(ResourceType.ENDPOINT, "web", load)}}
    snapshots = {f"{mesh}.a": _snapshot(mesh, shared) for mesh in ("one", "two")}
    census = take_census(Generation(None, "", "", snapshots), ["Mesh", "Mesh", "MeshTimeout"])
    assert census == {"proxy": 2, "listener": 0, "endpoint": 6, "mesh": 2, "meshtimeout": 1}


def _snapshot(mesh: str, resources: dict[ResourceType, dict[str, Rendered]]) -> Snapshot:
    return Snapshot(NodeId(mesh, "", "a", "a"), resources)
