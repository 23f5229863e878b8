import pytest

from benchmarks.compile_bench import run
from benchmarks.effort import Effort
from benchmarks.proportion import PROPORTIONATE, compare, count_work
from benchmarks.tiers import Shape, Tier

Counters = dict[str, dict[str, float]]
SIZE_OF_THE_STORE = "stored bytes"
"""A folder that lists more proxies is longer, though no more of them are written."""

DOCUMENTS = {"E1": 1, "E3": 1, "E5": 3}
"""What each writes; a new service is three."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Counters]:
    """What the edits count in a mesh of ten services and in one of forty, alike in all but size."""
    found = {}
    for services in (10, 40):
        shape = Shape(Tier(f"{services} services", services, services * 10), even=True)
        effort = Effort(tries=4, seconds=0.0, cold=1, verify=False)
        measured = run(tmp_path_factory.mktemp("mesh"), shape, PROPORTIONATE, effort)
        found[services] = {one.operation: dict(one.counters) for one in measured}
    return found


@pytest.mark.parametrize("operation", PROPORTIONATE)
def test_an_edit_of_one_service_does_the_same_work_in_a_mesh_four_times_as_large(
    operation: str, counted: dict[int, Counters]
) -> None:
    """Every counter is equal, of every query and of the store: nothing that an edit does depends on what it does not
    touch."""
    smaller, larger = (counted[services][operation] for services in (10, 40))
    assert smaller["objects written"] > 0
    assert {name for name in smaller.keys() | larger.keys() if smaller.get(name) != larger.get(name)} <= {
        SIZE_OF_THE_STORE
    }


@pytest.mark.parametrize("operation", PROPORTIONATE)
def test_the_counters_that_prove_it_are_counted(operation: str, counted: dict[int, Counters]) -> None:
    """An endpoint that comes and goes is two contents of one file, which are both remembered."""
    work = count_work(counted[40][operation])
    assert work.keys() >= {"documents parsed", "verdicts computed", "proxies resolved", "resources built"}
    assert work["documents parsed"] == work["verdicts computed"] <= DOCUMENTS[operation]
    assert 0 < work["resources built"] < 100
    assert 0 < work["objects written"] < 100


def test_starting_from_nothing_does_grow(counted: dict[int, Counters]) -> None:
    """The counters can tell two sizes apart."""
    smaller, larger = (count_work(counted[services]["cold"]) for services in (10, 40))
    assert all(larger[name] > smaller[name] for name in ("proxies resolved", "resources built", "objects written"))


def test_a_counter_that_grows_is_named() -> None:
    smaller = {"E1": {"proxy": 10.0, "inbound listeners": 2.0, "load assignments": 1.0}, "E6": {"proxy": 30.0}}
    larger = {"E1": {"proxy": 10.0, "inbound listeners": 2.0, "load assignments": 2.0}, "E6": {"proxy": 90.0}}
    assert [str(step) for step in compare(smaller, larger) if step.grew] == ["E1 resources built: 3, then 4"]


def test_what_only_one_of_two_counted_is_not_compared() -> None:
    assert not list(compare({"E1": {"pushes": 3.0}}, {"E1": {"proxy": 3.0}}))
    assert [step.counter for step in compare({"E1": {"pushes": 3.0}}, {"E1": {"pushes": 3.0}})] == ["pushes sent"]


def test_the_compilers_own_count_of_resources_wins() -> None:
    assert count_work({"inbound listeners": 7, "resources built": 5})["resources built"] == 5
