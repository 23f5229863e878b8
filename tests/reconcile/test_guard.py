"""What is held as an accidental wipe, and what is not."""

from functools import cache

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.reconcile import guard
from compiler.reconcile.guard import Census, CensusTaker, judge_removal
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Snapshot

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
    files = GenerationTree.build(_snapshot(mesh, "a", _load(3)) for mesh in ("one", "two"))
    census = CensusTaker().take(files, {"Mesh": 2, "MeshTimeout": 1})
    assert census == {"proxy": 2, "listener": 0, "endpoint": 6, "mesh": 2, "meshtimeout": 1}


@given(st.lists(st.dictionaries(st.tuples(st.sampled_from("mn"), st.sampled_from("abc")), st.integers(1, 4))))
def test_after_any_changes_the_census_is_that_of_the_tree_alone(trees: list[dict[tuple[str, str], int]]) -> None:
    taker, files = CensusTaker(), GenerationTree()
    for tree in trees:
        files = files.holding({str(place): _snapshot(*place, _load(count)) for place, count in tree.items()})
        assert taker.take(files, {}) == CensusTaker().take(files, {})
        assert taker.take(files, {})["endpoint"] == sum(tree.values())


def test_what_did_not_change_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def count(load: Rendered) -> int:
        counted.append(load.version)
        return 1

    monkeypatch.setattr(guard, "_count_endpoints", count)
    files = GenerationTree.build(_snapshot("m", f"p{n}", _load(1 + n % 2)) for n in range(100))
    taker = CensusTaker()
    taker.take(files, {})
    assert len(counted) == 2
    census = taker.take(files.with_changes([_snapshot("m", "p7", _load(3))], ()), {})
    assert (len(counted), census["endpoint"]) == (3, 100)


@cache
def _load(endpoints: int) -> Rendered:
    load = ClusterLoadAssignment(cluster_name="web")
    for port in range(1, endpoints + 1):
        load.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.port_value = port
    return render(ResourceType.ENDPOINT, "web", load)


def _snapshot(mesh: str, proxy: str, load: Rendered) -> Snapshot:
    return Snapshot(NodeId(mesh, "", "a", proxy), {ResourceType.ENDPOINT: {"web": load}})
