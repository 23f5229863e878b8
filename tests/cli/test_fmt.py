"""`meshwright fmt` as somebody runs it: by folder, by file, by pipe, and as a pre-commit hook."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.command import START, environment, meshwright, refuses, write

UGLY = "name: 'a'\ntype: Mesh   # why\n"
CANONICAL = "type: Mesh  # why\nname: a\n"
FOREIGN = "on:   {push: ''}\n"


def test_a_folder_is_formatted_and_each_changed_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": UGLY, "sub/b.yml": CANONICAL, "ci.yaml": FOREIGN, "notes.txt": UGLY})
    done = meshwright("fmt", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [str(tmp_path / "a.yaml")]
    assert done.stderr == "3 files: 1 formatted, 1 in canonical form, 1 with nothing of a mesh, not touched\n"
    texts = {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert texts == {"a.yaml": CANONICAL, "b.yml": CANONICAL, "ci.yaml": FOREIGN, "notes.txt": UGLY}


def test_check_writes_nothing_lists_the_files_and_exits_with_1(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": UGLY, "b.yaml": CANONICAL})
    done = meshwright("fmt", "--check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "a.yaml\n")
    assert (tmp_path / "a.yaml").read_text() == UGLY
    assert meshwright("fmt", "--check", "b.yaml", cwd=tmp_path).returncode == 0


def test_the_example_repository_is_in_canonical_form() -> None:
    done = meshwright("fmt", "--check", Path(__file__).parents[2] / "examples" / "repo")
    assert (done.returncode, done.stdout) == (0, "")


def test_diff_shows_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": UGLY})
    done = meshwright("fmt", "--diff", "a.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert "--- a/a.yaml\n+++ b/a.yaml\n" in done.stdout
    assert "-name: 'a'\n" in done.stdout
    assert (tmp_path / "a.yaml").read_text() == UGLY
    patched = subprocess.run(
        ["patch", "-p1"], cwd=tmp_path, input=done.stdout, text=True, capture_output=True, check=False
    )
    assert patched.returncode == 0, patched.stderr
    assert (tmp_path / "a.yaml").read_text() == CANONICAL


def test_what_cannot_be_read_is_named_and_left_alone_and_the_rest_is_formatted(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "type: Mesh\nname: [\n", "b.yaml": UGLY})
    done = meshwright("fmt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "b.yaml\n")
    assert "a.yaml:3:1: error[yaml-syntax]" in done.stderr
    assert done.stderr.endswith("2 files: 1 formatted, 0 in canonical form, 1 left alone\n")
    assert (tmp_path / "a.yaml").read_text() == "type: Mesh\nname: [\n"


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_what_a_folder_holds_that_validate_refuses_to_read_is_named_too(tmp_path: Path, option: str) -> None:
    write(tmp_path, {"mesh/a.yaml": CANONICAL, "mesh/large.yaml": "#" * 1_048_577})
    (tmp_path / "mesh" / "link.yaml").symlink_to("a.yaml")
    done = meshwright("fmt", option, "mesh", cwd=tmp_path)
    assert done.returncode == 1
    assert "mesh/large.yaml: error[file-too-large]" in done.stderr
    assert "mesh/link.yaml: error[symlink]" in done.stderr


def test_what_the_settings_leave_out_is_no_reason_to_fail(tmp_path: Path) -> None:
    write(tmp_path, {"mesh/a.yaml": CANONICAL, "docs/v2/a.yaml": UGLY, "meshwright.yaml": "paths: [mesh/]\n"})
    (tmp_path / "docs" / "latest").symlink_to("v2")
    for folder in (".", "docs"):
        done = meshwright("fmt", "--check", folder, cwd=tmp_path)
        assert (done.returncode, "symlink" in done.stderr) == (0, False), done.stderr


def _pipe(text: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [*START, "fmt", "-", *options]
    return subprocess.run(command, input=text, capture_output=True, env=environment(), timeout=60, check=False)


def test_stdin_goes_to_stdout_and_what_cannot_be_read_comes_out_as_it_was() -> None:
    assert _pipe(UGLY.encode()).stdout == CANONICAL.encode()
    assert _pipe(FOREIGN.encode()).stdout == FOREIGN.encode()
    broken = _pipe(b"type: Mesh\nname: [\xff\n")
    assert (broken.returncode, broken.stdout) == (1, b"type: Mesh\nname: [\xff\n")
    assert b"<stdin>:2:8: error[not-utf8]" in broken.stderr
    checked = _pipe(UGLY.encode(), "--check")
    assert (checked.returncode, checked.stdout) == (1, b"")


def test_files_that_the_repository_does_not_read_are_not_formatted(tmp_path: Path) -> None:
    write(tmp_path, {"meshwright.yaml": "schemaVersion: 1\nignore: [old/**]\n", "old/a.yaml": UGLY, "b.yaml": UGLY})
    done = meshwright("fmt", "b.yaml", "old/a.yaml", "old", ".", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "b.yaml\n")
    assert (tmp_path / "old/a.yaml").read_text() == UGLY


def test_wrong_settings_are_told_before_anything_is_touched(tmp_path: Path) -> None:
    write(tmp_path, {"meshwright.yaml": "schemaVersion: 1\nignored: []\n", "b.yaml": UGLY})
    done = meshwright("fmt", cwd=tmp_path)
    assert done.returncode == 1
    assert "meshwright.yaml:2:1: error[unknown-field]" in done.stderr
    assert (tmp_path / "b.yaml").read_text() == UGLY


def test_a_file_keeps_its_rights_and_a_link_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path, {"real/a.yaml": UGLY})
    (tmp_path / "real/a.yaml").chmod(0o640)
    (tmp_path / "link.yaml").symlink_to("real/a.yaml")
    assert meshwright("fmt", "link.yaml", cwd=tmp_path).returncode == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert (tmp_path / "real/a.yaml").read_text() == CANONICAL
    assert (tmp_path / "real/a.yaml").stat().st_mode & 0o777 == 0o640
    assert [file.name for file in (tmp_path / "real").iterdir()] == ["a.yaml"]


def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    refuses(meshwright("fmt", "nowhere.yaml", cwd=tmp_path), 65, "there is no such file")
    refuses(meshwright("fmt", "-", ".", cwd=tmp_path), 64, "stands alone")
