"""The workflows are ones that GitHub would run, and they run what a developer runs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACTIONLINT = shutil.which("actionlint")
WORKFLOWS = sorted(
    path
    for folder in (".github", "examples", "compiler/cli/scaffold")
    for path in (ROOT / folder).rglob("workflows/*.yml")
)


@pytest.mark.skipif(ACTIONLINT is None, reason="no actionlint on PATH: .ci/run installs it where Go is")
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_workflow_is_one_that_github_accepts(workflow: Path) -> None:
    done = subprocess.run([str(ACTIONLINT), str(workflow)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(ACTIONLINT is None, reason="no actionlint on PATH: .ci/run installs it where Go is")
def test_a_workflow_that_github_would_refuse_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text((ROOT / ".github/workflows/ci.yml").read_text().replace("runs-on:", "run-on:"))
    assert subprocess.run([str(ACTIONLINT), str(bad)], capture_output=True, check=False).returncode == 1


def test_ci_ends_with_the_two_words() -> None:
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake check\nmake test")
    assert (ROOT / ".github/workflows/ci.yml").read_text().rstrip().endswith("- run: .ci/run")


ACTIONS = [str(path.relative_to(ROOT)) for path in (ROOT / "action.yml", ROOT / "ci/github/comment/action.yml")]
SCRIPTS = sorted(ROOT.glob("ci/**/*.sh"))


def _run(*command: str | Path) -> str:
    """What a linter says; nothing where it is content."""
    program = Path(sys.executable).with_name(str(command[0]))
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, cwd=ROOT)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_no_workflow_gives_a_stranger_rights() -> None:
    workflows = [path for path in WORKFLOWS if ".github" in path.parts]
    assert _run("zizmor", "--offline", "--quiet", *ACTIONS, *workflows) == ""


def test_a_workflow_that_runs_a_title_is_found(tmp_path: Path) -> None:
    bad = tmp_path / ".github/workflows/bad.yml"
    bad.parent.mkdir(parents=True)
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    bad.write_text(text.replace("run: .ci/run", "run: echo ${{ github.event.pull_request.title }}"))
    assert "template-injection" in _run("zizmor", "--offline", "--quiet", bad)


def test_scripts_are_ones_that_shellcheck_accepts() -> None:
    assert SCRIPTS
    assert _run("shellcheck", *SCRIPTS) == ""


def test_a_new_repository_has_the_workflows_of_the_example() -> None:
    for path in (ROOT / "examples/repo/.github/workflows").iterdir():
        assert path.read_text() == (ROOT / "compiler/cli/scaffold/github/workflows" / path.name).read_text()
