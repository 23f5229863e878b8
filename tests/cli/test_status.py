"""What `meshwright status` says, from what a reconciler answers."""

from collections.abc import Mapping

import pytest

from compiler.cli import status
from compiler.cli.main import run

COMMIT = "867a62f82646323a0bd778fe26690c7ab9262970"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"worker": {"running": True, "phase": "start"}}, "nothing yet: the compiler starts"),
        (
            {"worker": {"running": True, "phase": "compile", "commit": COMMIT}},
            "nothing yet: the compiler compiles commit 867a62f826",
        ),
        ({"worker": {"running": True, "phase": "idle", "commit": None}}, "nothing yet"),
        ({"worker": {"running": False}, "troubles": ["data cannot be written"]}, "nothing yet: data cannot be written"),
        ({"worker": {"running": False}, "troubles": []}, "nothing yet: the compiler starts"),
        ({}, "nothing yet: the compiler starts"),
    ],
)
def test_before_the_first_snapshot_it_says_what_is_done_about_it(
    found: Mapping[str, object], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "_fetch", lambda _: {"serving": None, **found})
    assert run(["status"]) == 0
    assert capsys.readouterr().out == f"serving    {line}\n"


def test_what_is_served_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(status, "_fetch", lambda _: {"serving": {"digest": "d1", "commit": COMMIT}})
    assert run(["status"]) == 0
    assert capsys.readouterr().out == f"serving    d1  commit {COMMIT}\n"
