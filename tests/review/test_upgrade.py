"""What a new release changes of the same commit, and where a plan can be kept."""

import json
import sys
from pathlib import Path

import pytest

from compiler.cli.main import run
from compiler.review.other_compiler import OtherCompilerError, find_compiler
from tests.review.repositories import BACKEND, MESH, WEB, Repository, timeout

FILES = {"mesh.yaml": MESH, "backend.yaml": BACKEND, "web.yaml": WEB, "timeout.yaml": timeout(20)}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "mesh")
    made.commit(FILES)
    return made


@pytest.fixture
def kept(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Snapshots as another release would have made them: it gave half the time."""
    assert run(["compile", str(repository.folder), "--ref", "HEAD", "--out", str(tmp_path / "kept")]) == 0
    for file in (tmp_path / "kept").rglob("routes.json"):
        file.write_text(file.read_text().replace('"20s"', '"10s"'))
    capsys.readouterr()
    return tmp_path / "kept"


def test_the_same_release_changes_nothing(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    program = Path(sys.executable).parent / "meshwright"
    asked = ["plan", str(repository.folder), "--compiler-version", str(program), "--detailed-exitcode"]
    assert run(asked) == 0
    assert capsys.readouterr().out.startswith("no proxy changes")


def test_what_another_release_made_otherwise_is_shown(
    repository: Repository, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["plan", str(repository.folder), "--compiler-version", str(kept), "-o", "json", "--detailed-exitcode"]
    assert run(asked) == 2
    plan = json.loads(capsys.readouterr().out)
    assert [group["title"] for group in plan["groups"]] == ["request timeout of service backend: 10s → 20s"]
    assert plan["base"]["commit"] == plan["head"]["commit"] == repository.git("rev-parse", "HEAD")
    assert plan["base"]["digest"] != plan["head"]["digest"]


def test_uncommitted_edits_are_no_part_of_it(
    repository: Repository, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write({"timeout.yaml": timeout(1)})
    assert run(["plan", str(repository.folder), "--compiler-version", str(kept)]) == 0
    assert "10s → 20s" in capsys.readouterr().out


def test_a_release_that_is_not_here_says_how_to_get_it(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHWRIGHT_COMPILERS", str(tmp_path))
    assert run(["plan", str(repository.folder), "--compiler-version", "0.0.1"]) == 65
    assert f"python3 -m venv {tmp_path}/0.0.1 && " in capsys.readouterr().err


def test_something_else_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(OtherCompilerError, match="neither a version, nor"):
        find_compiler(str(tmp_path))


def test_a_release_that_refuses_the_commit_is_quoted(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "meshwright"
    program.write_text("#!/bin/sh\necho 'mesh.yaml:1:1: no such thing' >&2\nexit 1\n")
    program.chmod(0o755)
    assert run(["plan", str(repository.folder), "--compiler-version", str(program)]) == 65
    assert "mesh.yaml:1:1: no such thing" in capsys.readouterr().err


def test_a_plan_is_kept_in_the_forms_of_its_suffixes(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write({"timeout.yaml": timeout(5)})
    names = ["plan.md", "plan.json", "plan.html", "plan.sarif", "plan.txt"]
    saved = [word for name in names for word in ("--save", str(tmp_path / name))]
    assert run(["plan", str(repository.folder), *saved]) == 0
    assert (tmp_path / "plan.txt").read_text() == capsys.readouterr().out
    starts = {name: (tmp_path / name).read_text()[:15] for name in names}
    assert starts["plan.md"].startswith("### 1 of 2")
    assert starts["plan.html"] == "<!doctype html>"
    assert json.loads((tmp_path / "plan.json").read_text())["schemaVersion"] == 1
    assert json.loads((tmp_path / "plan.sarif").read_text())["version"] == "2.1.0"


def test_a_suffix_that_says_nothing_is_refused_before_anything_is_done(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", str(repository.folder), "--save", str(tmp_path / "plan.pdf")]) == 64
    assert ".md, .json, .html, .sarif" in capsys.readouterr().err
