"""The parts for CI, run as a runner runs them, with a wheel of this checkout."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.cli.init import SCHEMAS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "repo"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the backend that is here, else in an environment that `build` makes for it."""
    out = tmp_path_factory.mktemp("dist")
    here = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    command = [sys.executable, "-m", "build", "--wheel", *here, "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a runner, with the wheel in a new virtual environment."""
    folder = tmp_path_factory.mktemp("runner")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    install = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", str(wheel)]
    done = subprocess.run(install, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESHWRIGHT_", "PYTHON"))}
    return kept | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@dataclass
class Runner:
    """A checkout of a pull request, and what a job leaves."""

    folder: Path
    checkout: Path
    machine: Mapping[str, str]

    def run(self, script: str | Path, **given: str) -> subprocess.CompletedProcess[str]:
        """A step of the action, with the environment that action.yml gives it."""
        (self.folder / "temp").mkdir(exist_ok=True)
        files = {f"GITHUB_{name}": str(self.folder / name) for name in ("OUTPUT", "STEP_SUMMARY", "PATH")}
        environment = {**self.machine, **files, "RUNNER_TEMP": str(self.folder / "temp"), **given}
        return subprocess.run(
            ["bash", str(script)],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def action(self, mode: str, **given: str) -> subprocess.CompletedProcess[str]:
        return self.run(ROOT / "ci/github/run.sh", MODE=mode, MESH_PATH=".", **given)

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Ann Author", "-c", "user.email=ann@example.org")
        return subprocess.run(
            ["git", *who, *words], cwd=self.checkout, check=True, capture_output=True, text=True
        ).stdout

    def merge_request(self, file: str, old: str, new: str) -> None:
        """HEAD becomes the merge commit that GitHub checks out for a pull request."""
        self.git("switch", "-q", "-c", "edit")
        path = self.checkout / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        self.git("commit", "-qam", "an edit")
        self.git("switch", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", "edit")

    def left(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture(params=["new", "example"])
def runner(request: pytest.FixtureRequest, machine: Mapping[str, str], tmp_path: Path) -> Runner:
    checkout = tmp_path / "checkout"
    if request.param == "new":
        subprocess.run(["meshwright", "init", str(checkout)], check=True, env=machine, cwd=tmp_path)
        shutil.rmtree(checkout / SCHEMAS)
    else:
        shutil.copytree(EXAMPLE, checkout, ignore=shutil.ignore_patterns("schemas"))
    made = Runner(tmp_path, checkout, machine)
    made.git("init", "-q", "-b", "main")
    made.git("add", ".")
    made.git("commit", "-qm", "a mesh")
    return made


def test_the_wheel_holds_the_scaffold_and_the_schemas(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith("compiler/cli/scaffold/")} == {
        f"compiler/cli/scaffold/{path.relative_to(ROOT / 'compiler' / 'cli' / 'scaffold').as_posix()}"
        for path in (ROOT / "compiler" / "cli" / "scaffold").rglob("*")
        if path.is_file()
    }
    assert "compiler/schemas/resource.json" in names


def test_validate_and_the_digest(runner: Runner) -> None:
    done = runner.action("validate")
    assert done.returncode == 0, done.stdout + done.stderr
    [script] = [step["run"] for step in _steps(runner) if step.get("name") == "Digest"]
    (runner.folder / "digest.sh").write_text(script)
    assert runner.run(runner.folder / "digest.sh").returncode == 0
    assert re.fullmatch(r"Snapshots of this commit: sha1:[0-9a-f]{40}\n", runner.left("STEP_SUMMARY"))


def _steps(runner: Runner) -> list[dict[str, Any]]:
    workflow = yaml.safe_load((runner.checkout / ".github/workflows/mesh.yml").read_text())
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_a_mistake_fails_the_job_at_its_line(runner: Runner) -> None:
    runner.merge_request("mesh/defaults.yaml", "requestTimeout", "requestTimeot")
    for mode in ("validate", "plan"):
        done = runner.action(mode, EVENT="pull_request")
        assert done.returncode == 1
        assert re.search(r"::error file=mesh/defaults.yaml,line=\d+,col=11,title=unknown-field::", done.stdout)


def test_a_plan_is_a_summary_annotations_and_three_files(runner: Runner) -> None:
    runner.merge_request("mesh/defaults.yaml", "requestTimeout: ", "requestTimeout: 1")
    done = runner.action("plan", EVENT="pull_request", BASE="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::" in done.stdout
    assert "changes=true" in runner.left("OUTPUT")
    kept = runner.folder / "temp" / "meshwright-plan"
    assert runner.left("STEP_SUMMARY") == (kept / "plan.md").read_text()
    assert json.loads((kept / "plan.json").read_text())["schemaVersion"] == 1
    assert (kept / "plan.html").read_text().startswith("<!doctype html>")


def test_a_push_is_compared_with_what_was_pushed_before_and_a_base_wins(runner: Runner) -> None:
    before = runner.git("rev-parse", "HEAD").strip()
    runner.merge_request("mesh/defaults.yaml", "requestTimeout: ", "requestTimeout: 1")
    assert runner.action("plan", EVENT="push", BEFORE=before).returncode == 0
    assert runner.left("OUTPUT").splitlines()[-1] == "changes=true"
    for event in ("push", "pull_request"):
        assert runner.action("plan", EVENT=event, BEFORE=before, BASE="HEAD").returncode == 0
        assert runner.left("OUTPUT").splitlines()[-1] == "changes=false"


def test_a_risk_can_fail_a_plan_and_what_was_written_is_kept(runner: Runner) -> None:
    runner.merge_request("mesh/mesh.yaml", "STRICT" if "STRICT" in _mesh(runner) else "mtls:", "PERMISSIVE")
    done = runner.action("plan", EVENT="pull_request", FAIL_ON="weakens-tls")
    assert done.returncode == 1
    assert "folder=" in runner.left("OUTPUT")


def _mesh(runner: Runner) -> str:
    return (runner.checkout / "mesh/mesh.yaml").read_text()


def test_a_comment_changes_nothing(runner: Runner) -> None:
    runner.merge_request("mesh/mesh.yaml", "\n", "\n# a remark\n")
    done = runner.action("plan", EVENT="pull_request")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changes=false" in runner.left("OUTPUT")
    assert "no proxy changes" in runner.left("STEP_SUMMARY")


def test_tests_leave_a_report(runner: Runner) -> None:
    done = runner.action("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<testsuites" in (runner.folder / "temp" / "meshwright-test" / "junit.xml").read_text()


def test_an_unknown_mode_is_said(runner: Runner) -> None:
    done = runner.action("destroy")
    assert done.returncode == 64
    assert "neither validate, plan nor test" in done.stdout


def test_a_branch_cannot_run_anything_by_its_name(runner: Runner) -> None:
    done = runner.action("plan", EVENT="push", BASE="$(touch pwned); main")
    assert done.returncode not in (0, 2)
    assert not (runner.checkout / "pwned").exists()


def test_hooks_run(runner: Runner) -> None:
    hooks = yaml.safe_load((runner.checkout / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    for hook in hooks:
        (runner.folder / "hook.sh").write_text(hook["entry"])
        done = runner.run(runner.folder / "hook.sh")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(hook["files"], "teams/example/web.yaml")
        assert not re.search(hook["files"], "README.md")


def test_the_projects_own_hooks_are_commands_that_exist(runner: Runner) -> None:
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        (runner.folder / "hook.sh").write_text(hook["entry"])
        assert runner.run(runner.folder / "hook.sh").returncode == 0
