"""Parts computed in other processes are those that would have been computed here, and are remembered as such."""

import pytest

from compiler.pipeline import Compiler
from compiler.snapshot import ahead
from tests.golden.test_golden import SCENARIOS
from tests.trees import SCHEMAS, tree_of

FILES = {
    path.name: "---\n".join([one.read_text() for one in sorted((path / "input").glob("*.yaml"))]) for path in SCENARIOS
}


@pytest.fixture(autouse=True)
def _however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "ENOUGH", 1)
    monkeypatch.setattr(ahead, "MANY", 1)


@pytest.mark.parametrize("scenario", FILES)
def test_any_number_of_processes_gives_one_digest(scenario: str) -> None:
    tree = tree_of({"mesh.yaml": FILES[scenario]})
    compiled = [Compiler(SCHEMAS, processes=processes).compile(tree) for processes in (1, 2, 5)]
    generations = [one.value.generation for one in compiled]
    assert generations[0] is not None
    assert generations[0] == generations[1] == generations[2]
    assert len({repr(one.diagnostics) for one in compiled}) == 1


@pytest.mark.parametrize("scenario", FILES)
def test_what_was_computed_elsewhere_follows_edits(scenario: str) -> None:
    """The same counters: nothing is computed anew, and nothing is forgotten, for having come from a child."""
    text = FILES[scenario]
    edited = text.replace("10.0.", "10.9.").replace("192.168.", "10.8.").replace("15s", "16s")
    assert edited != text
    alone, together = Compiler(SCHEMAS, processes=1), Compiler(SCHEMAS, processes=3)
    for step in (text, edited, text):
        first, second = (one.compile(tree_of({"mesh.yaml": step})) for one in (alone, together))
        assert first.value.generation is not None
        assert first.value.generation == second.value.generation
        assert first.value.counters == second.value.counters
