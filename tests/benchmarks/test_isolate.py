from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import isolate
from benchmarks.effort import Effort
from benchmarks.measure import Measurement
from benchmarks.tiers import TIERS, Shape


def test_what_came_before_a_failure_is_kept_and_the_failure_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> Iterator[Measurement]:
        yield Measurement("E1", "", (0.01,), 0.01)
        raise TimeoutError("nobody came")

    monkeypatch.setattr(isolate, "KINDS", {"serve": run})
    result = isolate.measure("serve", Shape(TIERS["S"]), (), Effort(3, 1.0), tmp_path)
    assert [one.operation for one in result.measurements] == ["E1"]
    assert result.broken == "TimeoutError after E1: nobody came"
