import io

from rich.console import Console

from benchmarks.calibrate import Calibration
from benchmarks.measure import Measurement
from benchmarks.proportion import Step
from benchmarks.report import Result, print_goals, print_proportion, print_table
from benchmarks.tiers import TIERS, Shape


def make_console() -> Console:
    return Console(file=io.StringIO(), width=200)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(console: Console, start: str) -> list[str]:
    (line,) = (line for line in shown(console).splitlines() if line.startswith(f"│ {start}"))
    return [cell.strip() for cell in line.strip("│").split("│")]


def make_result(*, even: bool = False) -> Result:
    stored = {"stored bytes per proxy": 1_400}
    cold = Measurement("cold", "Git to durable", (9.0,), 8.0, counters=stored, peak_rss=10**9)
    edit = Measurement("E1", "inbound policy", (0.010, 0.011, 0.030), 0.01)
    return Result("compile", Shape(TIERS["L"], even=even), (cold, edit), Calibration(0.1, 0.1, {}), (0.0, 0.0))


def test_a_goal_is_shown_with_both_bounds_and_its_verdict() -> None:
    console = make_console()
    print_goals([make_result()], console, complete=True)
    assert row(console, "cold compile") == ["cold compile, Git to durable", "L", "9 s", "10 s", "3 s", "must"]
    assert row(console, "stored bytes")[-1] == "lead"
    assert row(console, "peak RSS, compiler")[-1] == "missed"
    assert row(console, "E9 converged")[2:] == ["-", "500 ms", "100 ms", "not measured"]


def test_a_run_of_a_few_operations_shows_their_goals_alone() -> None:
    console = make_console()
    print_goals([make_result()], console, complete=False)
    assert "E9" not in shown(console)
    assert row(console, "E1 commit to durable, p50")[-1] == "lead"


def test_beside_an_operation_stands_the_worst_of_its_verdicts() -> None:
    console = make_console()
    print_table(make_result(), console)
    assert row(console, "cold Git to durable")[8] == "missed"
    assert row(console, "E1 inbound policy")[8] == "lead"


def test_goals_are_about_the_default_workload() -> None:
    console = make_console()
    print_table(make_result(even=True), console)
    print_goals([make_result(even=True)], console, complete=False)
    assert "missed" not in shown(console)


def test_growth_is_marked_only_where_size_is_all_that_differs() -> None:
    steps = [Step("E1", "resources built", 3, 4)]
    even, other = make_console(), make_console()
    print_proportion("M", "L", steps, even, judged=True)
    print_proportion("M", "L", steps, other, judged=False)
    assert row(even, "E1") == ["E1", "resources built", "3", "4", "grew"]
    assert "grew" not in shown(other)
