import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.fleet import OTHERS, Service, draw_fleet
from benchmarks.generate import make_repository, write_files
from benchmarks.repository import WorkloadRepository
from benchmarks.tiers import TIERS, Shape
from compiler.resources.schema import Schemas
from compiler.resources.validate import validate
from compiler.source.git import read_commit
from compiler.source.parse import parse

SHAPES = {
    "zipf": Shape(TIERS["S"]),
    "kong": Shape(TIERS["S"], graph="kong"),
    "full": Shape(TIERS["S"], graph="full"),
    "even": Shape(TIERS["S"], even=True),
    "a file for each proxy": Shape(TIERS["S"], per_dataplane=True),
    "M": Shape(TIERS["M"]),
}


def tree_of(path: Path, shape: Shape) -> str:
    make_repository(path, shape)
    return WorkloadRepository(path).tree


def test_the_same_shape_gives_the_same_tree(tmp_path: Path) -> None:
    assert tree_of(tmp_path / "one", Shape(TIERS["S"])) == tree_of(tmp_path / "two", Shape(TIERS["S"]))


def test_another_seed_gives_another_tree(tmp_path: Path) -> None:
    assert tree_of(tmp_path / "one", Shape(TIERS["S"])) != tree_of(tmp_path / "two", Shape(TIERS["S"], seed=2))


def test_git_finds_nothing_wrong_with_the_repository(tmp_path: Path) -> None:
    make_repository(tmp_path / "mesh.git", Shape(TIERS["S"]))
    subprocess.run(["git", "-C", tmp_path / "mesh.git", "fsck", "--strict"], check=True)


@pytest.mark.parametrize("name", SHAPES)
def test_a_workload_has_no_findings_and_exactly_its_proxies(name: str, tmp_path: Path) -> None:
    shape = SHAPES[name]
    make_repository(tmp_path / "mesh.git", shape)
    tree = read_commit(tmp_path / "mesh.git", "main")
    documents = parse(tree.value)
    resources = validate(documents.value, Schemas.load())
    assert (*tree.diagnostics, *documents.diagnostics, *resources.diagnostics) == ()
    dataplanes = {f"default.{resource.key.name}" for resource in resources.value.of_type("Dataplane")}
    assert dataplanes == set(draw_fleet(shape).node_ids)
    assert len(dataplanes) == shape.proxies


def test_a_file_for_each_proxy_says_what_the_sets_say(tmp_path: Path) -> None:
    found = []
    for shape in (SHAPES["zipf"], SHAPES["a file for each proxy"]):
        path = tmp_path / str(shape.per_dataplane)
        make_repository(path, shape)
        resources = validate(parse(read_commit(path, "main").value).value, Schemas.load()).value
        found.append({resource.key: resource for resource in resources.of_type("Dataplane")})
    assert found[0] == found[1]


def test_calls_are_spread_as_in_the_field() -> None:
    services = draw_fleet(Shape(TIERS["K"])).services
    calls = sorted(len(service.calls) for service in services)
    assert sum(calls) / len(calls) == pytest.approx(4, rel=0.15)
    assert calls.count(0) / len(calls) == pytest.approx(0.39, abs=0.05)
    assert calls[len(calls) * 99 // 100] == pytest.approx(30, rel=0.25)
    assert max(len(service.callers) for service in services) / len(calls) == pytest.approx(0.30, abs=0.05)


def test_in_kongs_graph_an_edge_is_the_rarer_the_farther() -> None:
    services = draw_fleet(Shape(TIERS["K"], graph="kong")).services
    for distance, tolerance in ((1, 0.05), (2, 0.05), (10, 0.025)):
        linked = sum(service.index + distance in service.calls for service in services)
        assert linked / (len(services) - distance) == pytest.approx(0.5 / distance, abs=tolerance)


@pytest.mark.parametrize("graph", ["zipf", "kong"])
def test_ten_times_as_many_services_are_drawn_in_some_ten_times_the_time(graph: Literal["zipf", "kong"]) -> None:
    """Looking at all pairs of them would take a hundred times as long."""

    def draw(tier: str) -> float:
        begun = time.process_time()
        draw_fleet(Shape(TIERS[tier], graph=graph))
        return time.process_time() - begun

    assert draw("XL") < 35 * min(draw("L") for _ in range(3))


def test_nobody_calls_itself_and_callers_mirror_calls() -> None:
    for shape in SHAPES.values():
        services = draw_fleet(shape).services
        edges = {(service.index, target) for service in services for target in service.calls}
        assert edges == {(caller, service.index) for service in services for caller in service.callers}
        assert all(caller != target for caller, target in edges)


def test_policies_are_as_many_as_the_specification_says() -> None:
    names = [path.rpartition("/")[2] for path in write_files(draw_fleet(Shape(TIERS["K"])))]
    wanted = {"permission": 1.0, "retry": 0.3, "route": 0.3, **OTHERS}
    per_service = {name: names.count(f"{name}.yaml") / 1000 for name in wanted}
    assert per_service == pytest.approx(wanted, abs=0.05)
    assert 0 < per_service["proxy-patch"] < 0.04
    assert (names.count("timeout.yaml") + names.count("timeout-to.yaml")) / 1000 == pytest.approx(0.5, abs=0.05)
    assert sum(path.startswith("mesh/") for path in write_files(draw_fleet(SHAPES["zipf"]))) == 8 + 2


def test_in_even_workloads_only_the_size_differs() -> None:
    for tier in ("S", "M"):
        services = draw_fleet(Shape(TIERS[tier], even=True)).services
        counts = [(len(service.replicas), len(service.calls), len(service.callers)) for service in services]
        assert set(counts) == {(10, 4, 4)}


@pytest.mark.parametrize("tier", ["M", "K", "L"])
def test_in_even_workloads_the_edited_service_and_its_neighbours_are_alike(tier: str) -> None:
    def describe(services: Sequence[Service], index: int) -> tuple[object, ...]:
        one = services[index]
        policies = (one.inbound_timeout, one.outbound_timeout, one.route, one.retry, sorted(one.others))
        return one.name, one.protocol, one.two_ports, *policies

    small, large = (draw_fleet(Shape(TIERS[name], even=True)) for name in ("S", tier))
    assert large.shape.proxies == TIERS[tier].proxies
    assert describe(small.services, small.median.index) == describe(large.services, large.median.index)
    for calls in zip(small.median.calls, large.median.calls, strict=True):
        one, other = (describe(fleet.services, call) for fleet, call in zip((small, large), calls, strict=True))
        assert one[1:] == other[1:]
