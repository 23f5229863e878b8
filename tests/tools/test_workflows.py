"""The workflows are ones that GitHub would run, and they run what a developer runs."""

import shutil
import subprocess
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
