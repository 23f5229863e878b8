"""`meshwright compile --profile`: the same compile, and a file that Speedscope opens."""

import json
from pathlib import Path

import pytest

from tests.cli.command import MESH, ROOT, meshwright, refuses, write
from tests.speedscope import seconds_in


def test_a_compile_is_watched_from_reading_to_digest_and_gives_the_same_digest(tmp_path: Path) -> None:
    plain = meshwright("compile", ROOT / "examples/repo")
    watched = meshwright("compile", ROOT / "examples/repo", "--profile", tmp_path / "it.json")
    assert (watched.returncode, watched.stdout) == (0, plain.stdout), watched.stderr
    seconds = seconds_in(json.loads((tmp_path / "it.json").read_text()))
    assert seconds["Compiler.compile"] > 0
    assert seconds["_compile"] >= seconds["Compiler.compile"]


def test_the_profile_of_a_mesh_with_mistakes_is_written_too_and_holds_nothing_of_the_mesh(tmp_path: Path) -> None:
    mesh = write(tmp_path / "mesh", {"mesh.yaml": f"{MESH}swordfish: pelican\n"})
    done = meshwright("compile", mesh, "--profile", tmp_path / "it.json")
    assert done.returncode == 1
    assert "unknown-field" in done.stdout + done.stderr
    profile = (tmp_path / "it.json").read_text()
    assert seconds_in(json.loads(profile))
    assert "pelican" not in profile
    assert "swordfish" not in profile


@pytest.mark.parametrize(
    ("file", "phrase"),
    [("nowhere/it.json", "No such file"), (".", "Is a directory"), ("mesh/mesh.yaml/it.json", "Not a directory")],
)
def test_a_profile_that_cannot_be_written_is_said_before_anything_is_compiled(
    tmp_path: Path, file: str, phrase: str
) -> None:
    mesh = write(tmp_path / "mesh", {"mesh.yaml": MESH})
    done = meshwright("compile", mesh, "--profile", tmp_path / file)
    refuses(done, 65, phrase)
    assert done.stdout == ""
