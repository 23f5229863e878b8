"""A new mesh repository: what is in it, that it is sound, and that its CI steps run with a wheel of this checkout."""

import fnmatch
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from compiler.cli.init import SCHEMAS, scaffold
from compiler.cli.main import run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "repo"
ACTIONLINT = "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "mesh"
    assert run(["init", str(made)]) == 0
    return made


# --- What init makes ----------------------------------------------------------------------------------------------


def test_a_new_repository_has_everything_that_a_team_begins_with(repository: Path) -> None:
    made = {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()}
    assert {path for path in made if not path.startswith(SCHEMAS.as_posix())} == {
        ".github/workflows/mesh.yml",
        ".gitignore",
        ".pre-commit-config.yaml",
        ".vscode/extensions.json",
        ".vscode/settings.json",
        "README.md",
        "mesh/defaults.yaml",
        "mesh/mesh.yaml",
        "meshwright.yaml",
        "requirements.txt",
        "teams/example/api.yaml",
        "teams/example/web.yaml",
    }
    assert "@VERSION@" not in (repository / "requirements.txt").read_text()


def test_a_new_repository_is_valid_without_a_warning(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["validate", "--strict", str(repository)]) == 0
    assert capsys.readouterr().out.startswith("ok: 0 errors, 0 warnings; 8 resources in 4 files\n")


def test_in_a_new_repository_a_reference_to_nothing_is_an_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web = repository / "teams" / "example" / "web.yaml"
    web.write_text(web.read_text().replace("name: api,", "name: appi,"))
    assert run(["validate", str(repository)]) == 1
    assert "error[dangling-ref]" in capsys.readouterr().out


def test_init_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path / "mesh")]) == 0
    said = capsys.readouterr().out
    assert f"cd {tmp_path / 'mesh'}" in said
    assert "meshwright validate" in said


@pytest.mark.parametrize("name", ["README.md", ".gitignore"])
def test_a_folder_that_is_not_empty_is_refused_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    assert run(["init", str(tmp_path)]) == 65
    assert capsys.readouterr().err == (
        f"meshwright: {tmp_path}: is not empty ({name}); name a folder that is new or empty\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine\n"


def test_a_file_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mesh").write_text("")
    assert run(["init", str(tmp_path / "mesh")]) == 65
    assert "is a file" in capsys.readouterr().err


def test_a_clone_of_an_empty_repository_is_welcome(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / "meshwright.yaml").is_file()


# --- Editors --------------------------------------------------------------------------------------------------------


def test_the_editor_finds_a_schema_for_every_document(repository: Path) -> None:
    for path in [*repository.glob("mesh/*.yaml"), *repository.glob("teams/*/*.yaml"), repository / "meshwright.yaml"]:
        validator = _editor_schema(repository, path)
        for document in yaml.safe_load_all(path.read_text()):
            assert list(validator.iter_errors(document)) == [], path


def test_the_editor_marks_an_unknown_field(repository: Path) -> None:
    path = repository / "mesh" / "mesh.yaml"
    document = yaml.safe_load(path.read_text())
    document["mtls"]["enabledBakend"] = document["mtls"].pop("enabledBackend")
    assert list(_editor_schema(repository, path).iter_errors(document))


def _editor_schema(repository: Path, path: Path) -> Draft7Validator:
    """As yaml-language-server chooses and reads it: references are relative to the schema's own file."""
    settings = json.loads((repository / ".vscode" / "settings.json").read_text())["yaml.schemas"]
    name = "/" + path.relative_to(repository).as_posix()
    [chosen] = [file for file, globs in settings.items() if any(fnmatch.fnmatch(name, glob) for glob in globs)]
    folder = (repository / chosen).parent

    def read(uri: str) -> Resource[Any]:
        return Resource.from_contents(json.loads((folder / uri.rpartition("/")[2]).read_text()))

    return Draft7Validator(json.loads((repository / chosen).read_text()), registry=Registry(retrieve=read))


def test_schemas_are_written_again_after_an_upgrade(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / SCHEMAS / "Mesh.json").write_text("old")
    (repository / "README.md").write_text("mine\n")
    assert run(["init", "--schemas", str(repository)]) == 0
    assert json.loads((repository / SCHEMAS / "Mesh.json").read_text())["title"] == "Mesh"
    assert (repository / "README.md").read_text() == "mine\n"


def test_schemas_go_into_a_mesh_repository_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--schemas", str(tmp_path)]) == 65
    assert "is no mesh repository" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_git_ignores_schemas_and_authorities(repository: Path) -> None:
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "ca.pem").write_text("secret\n")
    asked = ["git", "status", "--porcelain", "--untracked-files=all"]
    found = subprocess.run(asked, cwd=repository, check=True, capture_output=True, text=True).stdout
    assert "meshwright.yaml" in found
    assert "schemas" not in found
    assert "ca.pem" not in found


# --- The example ----------------------------------------------------------------------------------------------------


def test_the_example_was_made_by_init() -> None:
    common = {path: text for path, text in scaffold() if path.parts[0] not in {"mesh", "teams", "README.md"}}
    assert len(common) == 7
    assert {path: (EXAMPLE / path).read_text() for path in common} == common


def test_the_example_is_valid_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--strict", str(EXAMPLE)]) == 0
    assert "foreign" not in capsys.readouterr().out


def test_the_example_shows_every_policy_and_both_of_their_forms() -> None:
    documents = [
        document for file in EXAMPLE.glob("[mt]*/**/*.yaml") for document in yaml.safe_load_all(file.read_text())
    ]
    kinds = {document.get("kind") or document["type"] for document in documents}
    assert kinds == {
        *("Mesh", "Zone", "Dataplane", "DataplaneSet", "MeshService"),
        *("MeshTrafficPermission", "MeshTimeout", "MeshRetry", "MeshCircuitBreaker", "MeshHTTPRoute"),
    }
    permissions = [document["spec"] for document in documents if document.get("type") == "MeshTrafficPermission"]
    assert {key for spec in permissions for key in spec} == {"targetRef", "from", "rules"}
    assert any("apiVersion" in document for document in documents)
    assert sum(document.get("type") == "Zone" for document in documents) >= 2


# --- CI -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", ["new", "example"])
def test_actionlint_accepts_the_workflow(repository: Path, workflow: str) -> None:
    go = Path.home() / "go" / "bin" / "actionlint"
    actionlint = shutil.which("actionlint") or (str(go) if go.exists() else None)
    if actionlint is None:
        pytest.skip(f"ACTIONLINT IS MISSING, so the workflow is not checked: {ACTIONLINT}")
    folder = repository if workflow == "new" else EXAMPLE
    file = folder / ".github" / "workflows" / "mesh.yml"
    done = subprocess.run([actionlint, str(file)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


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


wheel_tests = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


class TestWheel:
    pytestmark = wheel_tests

    def test_it_holds_the_scaffold_and_the_schemas(self, wheel: Path) -> None:
        names = set(zipfile.ZipFile(wheel).namelist())
        assert {name for name in names if name.startswith("compiler/cli/scaffold/")} == {
            f"compiler/cli/scaffold/{path.relative_to(ROOT / 'compiler' / 'cli' / 'scaffold').as_posix()}"
            for path in (ROOT / "compiler" / "cli" / "scaffold").rglob("*")
            if path.is_file()
        }
        assert "compiler/schemas/resource.json" in names

    @pytest.mark.parametrize("which", ["new", "example"])
    def test_the_steps_of_the_workflow_run(self, machine: dict[str, str], tmp_path: Path, which: str) -> None:
        repository = _checkout(machine, tmp_path, which)
        for name, script in _steps(repository):
            done = _run_step(script, repository, machine, tmp_path)
            assert done.returncode == 0, (name, done.stdout, done.stderr)
        summary = (tmp_path / "summary.md").read_text()
        assert re.fullmatch(r"Snapshots of this commit: sha1:[0-9a-f]{40}\n", summary)
        assert list((tmp_path / "temp" / "snapshots").rglob("listeners.json"))

    def test_a_mistake_fails_the_workflow_at_its_line(self, machine: dict[str, str], tmp_path: Path) -> None:
        repository = _checkout(machine, tmp_path, "new")
        defaults = repository / "mesh" / "defaults.yaml"
        defaults.write_text(defaults.read_text().replace("requestTimeout", "requestTimeot"))
        done = _run_step(dict(_steps(repository))["Validate"], repository, machine, tmp_path)
        assert done.returncode == 1
        assert "::error file=mesh/defaults.yaml,line=12,col=11,title=unknown-field::" in done.stdout
        done = _run_step(dict(_steps(repository))["Compile"], repository, machine, tmp_path)
        assert done.returncode == 1
        assert not (tmp_path / "summary.md").exists()

    def test_the_pre_commit_hook_runs(self, machine: dict[str, str], tmp_path: Path) -> None:
        repository = _checkout(machine, tmp_path, "new")
        config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
        [hook] = config["repos"][0]["hooks"]
        assert _run_step(hook["entry"], repository, machine, tmp_path).returncode == 0
        assert re.search(hook["files"], "teams/example/web.yaml")
        assert not re.search(hook["files"], "README.md")


def _checkout(machine: dict[str, str], tmp_path: Path, which: str) -> Path:
    """What actions/checkout leaves: committed files alone."""
    repository = tmp_path / "checkout"
    if which == "new":
        subprocess.run(["meshwright", "init", str(repository)], check=True, env=machine, cwd=tmp_path)
        shutil.rmtree(repository / SCHEMAS)
    else:
        shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("schemas"))
    return repository


def _steps(repository: Path) -> list[tuple[str, str]]:
    workflow = yaml.safe_load((repository / ".github" / "workflows" / "mesh.yml").read_text())
    steps = [(step["name"], step["run"]) for step in workflow["jobs"]["mesh"]["steps"] if "run" in step]
    assert [name for name, _ in steps] == ["Install meshwright", "Validate", "Compile"]
    return steps


def _run_step(
    script: str, repository: Path, machine: dict[str, str], tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """As a runner does for `shell: bash`."""
    (tmp_path / "temp").mkdir(exist_ok=True)
    given = {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    (tmp_path / "step.sh").write_text(script)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(tmp_path / "step.sh")]
    return subprocess.run(
        command, check=False, cwd=repository, env=machine | given, capture_output=True, text=True, timeout=300
    )
