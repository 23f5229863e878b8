"""`meshwright import` as somebody runs it who moves a mesh into Git."""

import subprocess
from pathlib import Path

from tests.cli.command import START, environment, meshwright, refuses
from tests.importing.exports import MESH, PAYLOAD, RUNTIME, SECRETS, TIMEOUT, stream

SLOW = "mesh/default/MeshTimeout/slow.yaml"


def test_an_export_is_listed_first_and_written_when_asked(tmp_path: Path) -> None:
    (tmp_path / "export.yaml").write_bytes(stream(MESH, TIMEOUT, RUNTIME))
    arguments = ("import", "export.yaml", "--into", "repo")
    listed = meshwright(*arguments, cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert f"new: {SLOW}" in listed.stdout
    assert "left out, made at run time: 1 DataplaneInsight" in listed.stdout
    assert "left out, not the mesh's: 1 ConfigMap" in listed.stdout
    assert "nothing is written without --write" in listed.stdout
    assert "2 of 2 imported files compile" in listed.stdout
    assert not (tmp_path / "repo").exists()
    assert meshwright(*arguments, "--write", cwd=tmp_path).returncode == 0
    again = meshwright(*arguments, "--write", cwd=tmp_path)
    assert "2 resources: files: 0 written, 2 as they were" in again.stdout
    assert meshwright("validate", "repo", cwd=tmp_path).returncode == 0
    assert meshwright("fmt", "--check", "repo", cwd=tmp_path).returncode == 0


def test_what_is_there_and_differs_is_written_over_by_force_only(tmp_path: Path) -> None:
    (tmp_path / "export.yaml").write_bytes(stream(MESH, TIMEOUT))
    arguments = ("import", "export.yaml", "--into", "repo", "--write")
    slow = tmp_path / "repo" / SLOW
    assert meshwright(*arguments, cwd=tmp_path).returncode == 0
    slow.write_text("type: MeshTimeout\nmesh: default\nname: slow\nspec: {}\n")
    kept = meshwright(*arguments, cwd=tmp_path)
    assert kept.returncode == 1
    assert f"differs, not touched: {SLOW}" in kept.stdout
    assert "spec: {}" in slow.read_text()
    assert f"written over: {SLOW}" in meshwright(*arguments, "--force", cwd=tmp_path).stdout
    assert "connectionTimeout" in slow.read_text()


def test_a_pipe_is_read_and_no_secret_of_it_is_printed_or_written(tmp_path: Path) -> None:
    command = [*START, "import", "--into", str(tmp_path), "--write"]
    done = subprocess.run(
        command, input=stream(MESH, SECRETS), capture_output=True, env=environment(), timeout=60, check=False
    )
    assert b"secret: Secret default api-key" in done.stdout
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.yaml"))
    assert b"api-key" in written
    assert PAYLOAD.encode() not in written + done.stdout + done.stderr


def test_what_cannot_be_imported_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("type: [\n")
    broken = meshwright("import", "broken.yaml", "--into", "repo", cwd=tmp_path)
    assert broken.returncode == 65
    assert "broken.yaml:2:1: error[yaml-syntax]" in broken.stderr
    assert "nothing is imported" in broken.stderr
    refuses(meshwright("import", "nowhere.yaml", "--into", "repo", cwd=tmp_path), 65, "there is no such file")
    refuses(meshwright("import", "broken.yaml", "--into", "repo", "--force", cwd=tmp_path), 64, "--force")
