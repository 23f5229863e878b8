"""A new mesh repository: what is in it, and that it is sound."""

import fnmatch
import json
import subprocess
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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "mesh"
    assert run(["init", str(made)]) == 0
    return made


# --- What init makes ----------------------------------------------------------------------------------------------


def test_a_new_repository_has_everything_that_a_team_begins_with(repository: Path) -> None:
    made = {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()}
    assert {path for path in made if not path.startswith(SCHEMAS.as_posix())} == {
        ".github/workflows/mesh-comment.yml",
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
    assert len(common) == 8
    assert {path: (EXAMPLE / path).read_text() for path in common} == common


def test_the_example_is_valid_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--strict", str(EXAMPLE)]) == 0
    assert "foreign" not in capsys.readouterr().out


def test_the_example_shows_every_policy_and_both_of_their_forms() -> None:
    files = [file for folder in ("mesh", "teams") for file in (EXAMPLE / folder).rglob("*.yaml")]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    kinds = {document.get("kind") or document["type"] for document in documents}
    assert kinds == {
        *("Mesh", "Zone", "Dataplane", "DataplaneSet", "MeshService"),
        *("MeshTrafficPermission", "MeshTimeout", "MeshRetry", "MeshCircuitBreaker", "MeshHTTPRoute"),
    }
    permissions = [document["spec"] for document in documents if document.get("type") == "MeshTrafficPermission"]
    assert {key for spec in permissions for key in spec} == {"targetRef", "from", "rules"}
    assert any("apiVersion" in document for document in documents)
    assert sum(document.get("type") == "Zone" for document in documents) >= 2
