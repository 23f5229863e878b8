"""Wrong use gets a sentence and an exit code, never a trace, and nothing is lost."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import termios
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from compiler.cli.exits import BUG
from compiler.cli.main import run
from tests.cli.command import (
    FULL_DISK,
    MESH,
    START,
    commit,
    environment,
    meshwright,
    refuses,
    repository,
    serving,
    write,
)

LARGE = 200 * 1024 * 1024
WARNED = """\
type: MeshTimeout
mesh: default
name: unused
spec:
  to:
  - targetRef: {kind: Mesh}
    default: {connectionTimeout: 5s}
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with all that a command can be pointed at, read by all tests and written by none."""
    root = tmp_path_factory.mktemp("places")
    repository(root / "good", {"mesh.yaml": MESH})
    repository(root / "empty")
    repository(root / "bare.git", None, "--bare")
    repository(root / "foreign", {"chart.yaml": "apiVersion: v2\nname: chart\n"})
    write(root, {"warned/a.yaml": MESH + "---\n" + WARNED, "broken/a.yaml": "type: Mesh\nname: [\n"})
    write(root, {"nothing/.keep": "", "large/a.yaml": "", "binary/a.yaml": ""})
    os.truncate(root / "large" / "a.yaml", LARGE)
    (root / "binary" / "a.yaml").write_bytes(bytes(range(128, 256)))
    return root


SENTENCES = [
    ("validate nowhere", 65, "nowhere: there is no such file or directory"),
    ("validate good/mesh.yaml", 65, "a mesh repository is a directory; this is a file"),
    ("validate nothing", 65, "nothing: there is no Mesh in it"),
    ("validate foreign -o github", 65, "(1 foreign document is ignored)"),
    ("compile nothing", 65, "nothing: there is no Mesh in it"),
    ("inspect dataplane web nothing", 65, "nothing: there is no Mesh in it"),
    ("inspect dataplane web good", 1, "the repository has no dataplane 'web'"),
    ("validate nothing --ref main", 69, "nothing is not a Git repository"),
    ("compile empty --ref HEAD", 69, "has no commit yet; commit something first"),
    ("inspect dataplane web bare.git --ref main", 69, "bare.git has no revision 'main'"),
    ("validate good --ref nowhere", 69, "no revision 'nowhere'; look at git branch --all"),
    ("compile good --ref --strict", 69, "no revision '--strict'"),
    ("compile good --out good", 65, "good: is not an empty directory"),
    ("compile good --out good/mesh.yaml/x", 65, "Not a directory"),
    ("status --http 127.0.0.1:1", 69, "nothing answers at http://127.0.0.1:1/status: "),
    ("status --http 127.0.0.1:web", 64, "--http takes HOST:PORT"),
    ("status --http http://127.0.0.1:1/", 69, "nothing answers at http://127.0.0.1:1/status: "),
    ("status -o sarif", 64, "'sarif' is not one of 'text', 'json'"),
    ("import nothing --into made", 65, "nothing: an export is a file; this is a directory"),
    ("import nothing/.keep --into made", 65, "nothing/.keep: there is nothing in it"),
    ("import good/mesh.yaml --into good/mesh.yaml", 65, "a mesh repository is a directory; this is a file"),
    ("blame mesh.yaml:3 good", 65, "mesh.yaml has 2 lines, and so no line 3"),
    ("blame mesh.yaml:0 good", 64, "lines are counted from 1"),
    ("plan nothing", 69, "nothing lies in no Git repository"),
    ("access broken", 65, "a.yaml:3:1: error[yaml-syntax]"),
    ("dataplane wait --url nonsense", 64, "'nonsense' is no HTTP address"),
    ("bootstrap --name web --server there", 64, "'there' is no address: it takes HOST:PORT"),
    ("bootstrap --name web --server there:²", 64, "'there:²' is no address: it takes HOST:PORT"),
    (f"bootstrap --name web --server there:{'1' * 5000}", 64, "is no address: it takes HOST:PORT"),
    (f"inject good --server there:{'1' * 5000}", 64, "is no address: it takes HOST:PORT"),
    ("bootstrap --name web/2", 64, "'web/2' is no name of a resource"),
    ("dataplane run --name web --log-level loud", 64, "'loud' is not one of 'trace'"),
    ("dataplane run --name web --concurrency 0", 64, "greater than or equal to 1"),
    ("ca create default --out good/mesh.yaml", 65, "exists already and is left as it is"),
    ("serve --repo good --data made", 64, "--insecure serves it on loopback"),
    ("serve --repo good --data made --insecure --xds 127.0.0.1:0 --http 0.0.0.0:0", 64, "is not a loopback address"),
    ("serve --repo nowhere --data made --insecure", 69, "there is no repository at 'nowhere'"),
    ("serve --data made --insecure --offline", 69, "'made' holds no published snapshot"),
    ("serve --data made --insecure", 64, "--repo is missing"),
    ("serve --repo https://host.test/mesh --data made --insecure", 64, "is on another machine"),
    ("serve --repo good --data made --insecure --interval inf", 64, "--interval inf is not a number"),
    ("serve --repo good --data good/mesh.yaml --insecure --xds 127.0.0.1:0 --http 127.0.0.1:0", 65, "a file stands in"),
    ("serve --repo good", 64, "Missing option '--data'"),
    ("validate --bogus", 64, "No such option: --bogus"),
    ("bogus", 64, "No such command 'bogus'"),
    ("validate good extra", 64, "unexpected extra argument"),
    ("validate good -o xml", 64, "'xml' is not one of 'text', 'json', 'github'"),
]


@pytest.mark.parametrize(("line", "code", "phrase"), SENTENCES)
def test_a_sentence_and_an_exit_code(
    places: Path,
    line: str,
    code: int,
    phrase: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(places.rglob("*"))
    monkeypatch.chdir(places)
    ended = run(line.split())
    shown = capsys.readouterr()
    refuses(subprocess.CompletedProcess(line, ended, shown.out, shown.err), code, phrase)
    assert (places / "good" / "mesh.yaml").read_text() == MESH
    assert sorted(places.rglob("*")) == before, "something was left behind"


@pytest.mark.parametrize(
    ("line", "code", "phrase"),
    [
        *SENTENCES[::6],
        ("dataplane run --name web --binary-path nowhere", 65, "nowhere is no executable file"),
        ("dataplane run --name web --work-dir good/mesh.yaml", 65, "mesh.yaml cannot be made"),
    ],
)
def test_the_process_ends_with_the_same_sentence_and_code(places: Path, line: str, code: int, phrase: str) -> None:
    refuses(meshwright(*line.split(), cwd=places), code, phrase)


@pytest.mark.parametrize(
    ("folder", "finding"),
    [
        ("broken", "a.yaml:3:1: error[yaml-syntax]"),
        ("binary", "a.yaml:1:1: error[not-utf8]"),
        ("large", "a.yaml: error[file-too-large]: the file has 209,715,200 bytes"),
    ],
)
@pytest.mark.parametrize("command", [["validate"], ["compile"], ["inspect", "dataplane", "web"]])
def test_files_that_are_no_configuration_are_findings(
    places: Path, command: list[str], folder: str, finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, str(places / folder)]) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(finding), shown.out


def test_a_200_mb_file_in_a_commit_is_a_finding_too(tmp_path: Path) -> None:
    large = repository(tmp_path / "large")
    write(large, {".git/config": "[core]\nbigFileThreshold = 1m\ncompression = 1\n", "a.yaml": ""})
    os.truncate(large / "a.yaml", LARGE)
    commit(large)
    done = meshwright("validate", large, "--ref", "main")
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml: error[file-too-large]")


def test_a_good_repository_is_0_and_a_warning_is_1_only_when_asked(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(places / "good")]) == 0
    assert run(["validate", str(places / "warned")]) == 0
    assert "warning[" in capsys.readouterr().out
    assert run(["validate", str(places / "warned"), "--strict"]) == 1


def test_nothing_is_called_ok_where_there_is_no_mesh(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(places / "nothing")]) == 65
    assert capsys.readouterr().out == ""


def test_json_stays_json_where_there_is_no_mesh(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(places / "foreign"), "-o", "json"]) == 65
    assert json.loads(capsys.readouterr().out)["summary"]["ignored"] == 1


def test_a_variable_is_a_flag_and_an_unknown_one_a_warning(places: Path) -> None:
    refuses(meshwright("validate", "good", cwd=places, variables={"MESHWRIGHT_VALIDATE_REF": "gone"}), 69, "'gone'")
    unknown = meshwright("version", variables={"MESHWRIGHT_BOGUS": "1", "MESHWRIGHT_SERVICE_HOST": "10.0.0.1"})
    refuses(unknown, 0, "warning: nothing reads the environment variable MESHWRIGHT_BOGUS")


def test_a_bug_of_ours_is_70_and_a_sentence(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise LookupError("no such thing")

    monkeypatch.setattr("compiler.pipeline.Compiler.compile", break_down)
    monkeypatch.delenv("MESHWRIGHT_TRACEBACK", raising=False)
    assert run(["validate", str(places / "good")]) == BUG == 70
    assert capsys.readouterr().err.startswith("meshwright: a bug of ours: LookupError: no such thing")


class Foreign(BaseHTTPRequestHandler):
    """A server of somebody else's at the reconciler's address."""

    answer = b""
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """In silence."""


@pytest.fixture
def foreign() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("answer", "code"), [(b"<html>", 200), (b"[]", 200), (b"{}", 200), (b"\xff", 200), (b"", 404)])
def test_a_status_that_is_none_is_said(
    foreign: str, answer: bytes, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Foreign, "answer", answer)
    monkeypatch.setattr(Foreign, "code", code)
    assert run(["status", "--http", foreign]) == 69
    assert capsys.readouterr().err == f"meshwright: http://{foreign}/status: what answers there is no reconciler\n"


def test_no_envoy_anywhere_is_a_sentence_that_says_where_to_get_one(tmp_path: Path) -> None:
    """The interpreter that a venv was made from has no Envoy beside it."""
    plain = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if sys.prefix == sys.base_prefix or not plain.exists() or (plain.parent / "envoy").exists():
        pytest.skip("needs an interpreter without an Envoy beside it")
    paths = os.pathsep.join([environment()["PYTHONPATH"], sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    done = subprocess.run(
        [str(plain), *START[1:], "dataplane", "run", "--name", "web"],
        env=environment(PATH=str(tmp_path), PYTHONPATH=paths),
        capture_output=True,
        text=True,
        check=False,
    )
    refuses(done, 65, "There is no Envoy on PATH")
    assert "--binary-path" in done.stderr


@pytest.mark.parametrize("flag", ["--xds", "--http", "--health"])
def test_a_port_in_use_is_69_and_the_data_untouched(places: Path, tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = {"--xds": 0, "--http": 0, "--health": 0, flag: port}
        flags = [part for name, number in addresses.items() for part in (name, f"127.0.0.1:{number}")]
        done = meshwright("serve", "--repo", places / "good", "--data", tmp_path / "data", "--insecure", *flags)
    refuses(done, 69, f"cannot listen on {flag} 127.0.0.1:{port}: Address already in use")
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_written_is_said_and_ctrl_c_still_ends_it(places: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "lock").mkdir(parents=True)
    with serving("--repo", places / "good", "--data", tmp_path / "data") as daemon:
        assert "cannot be written (Is a directory)" in daemon.says("read-only")["reason"]
        assert daemon.stop() == 0


def test_a_mistyped_address_is_said_before_a_port_that_is_in_use(places: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addresses = ("--xds", f"127.0.0.1:{taken.getsockname()[1]}", "--http", "127.0.0.1:0", "--health", "nonsense")
        done = meshwright("serve", "--repo", places / "good", "--data", tmp_path / "data", "--insecure", *addresses)
    refuses(done, 64, "--health 'nonsense' is not HOST:PORT")


def test_offline_needs_no_repository(places: Path, tmp_path: Path) -> None:
    with serving("--repo", places / "good", "--data", tmp_path / "data") as daemon:
        daemon.says('"serving"')
        assert daemon.stop() == 0
    with serving("--data", tmp_path / "data", "--offline") as daemon:
        daemon.says('"serving"')
        assert daemon.stop() == 0


def test_a_full_data_folder_is_said_and_waited_for(places: Path, tmp_path: Path) -> None:
    with serving("--repo", places / "good", "--data", tmp_path / "data", within=FULL_DISK) as daemon:
        assert "File too large" in daemon.says("not-published")["reason"]
        assert daemon.stop() == 0
        assert not daemon.out


def test_a_second_instance_serves_read_only_and_what_waits_says_why(places: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving("--repo", places / "good", "--data", data) as first:
        first.says('"serving"')
        with serving("--repo", places / "nothing", "--data", data) as second:
            assert "another instance holds" in second.says("read-only")["reason"]
            second.says('"serving"')
            assert first.stop(signal.SIGTERM) == 0
            assert "is not a Git repository" in second.says("source-failed")["reason"]
            assert second.stop() == 0
        assert [json.loads(line)["event"] for line in (*first.out, *second.out)] == ["ready", "ready"]


def test_snapshots_that_do_not_fit_are_said(places: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        refuses(meshwright("compile", places / "good", stdout=full), 65, "No space left on device")
    web = "type: Dataplane\nmesh: default\nname: web\nnetworking:\n  address: 10.0.0.1\n  inbound:\n  - port: 80\n"
    repository(tmp_path / "web", {"a.yaml": MESH, "b.yaml": web + "    tags: {kuma.io/service: web}\n"})
    done = meshwright("compile", tmp_path / "web", "--out", tmp_path / "out", within=FULL_DISK)
    refuses(done, 65, "File too large")
    assert not (tmp_path / "out" / "meshes").exists(), "a part would pass for all snapshots"


@pytest.mark.parametrize("columns", [60, 200])
def test_lines_of_files_fit_the_terminal(tmp_path: Path, columns: int) -> None:
    write(tmp_path, {"a.yaml": f"type: Mesh\nname: default\n{'x' * 90}: {'y' * 300}\n"})
    shown = _on_terminal(columns, "validate", str(tmp_path))
    assert "\x1b[31m" in shown
    excerpt = [line for line in _plain(shown).splitlines() if re.match(r" {2,}\d* \| ", line)]
    assert len(excerpt) == 2
    assert all(len(line) <= columns for line in excerpt)
    assert len(excerpt[0]) > columns - 40


def test_help_fits_a_narrow_terminal_and_no_color_is_honoured(places: Path) -> None:
    assert all(len(line) <= 60 for line in _plain(_on_terminal(60, "serve", "--help")).splitlines())
    assert "\x1b" not in _on_terminal(60, "validate", str(places / "broken"), NO_COLOR="1")


def test_a_terminal_that_knows_no_colour_gets_none(places: Path) -> None:
    assert "\x1b" in _on_terminal(60, "validate", str(places / "broken"))
    assert "\x1b" not in _on_terminal(60, "validate", str(places / "broken"), TERM="dumb")


def _on_terminal(columns: int, *arguments: str, **variables: str) -> str:
    """Everything that the command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {name: value for name, value in environment(**{"TERM": "xterm", **variables}).items() if name != "COLUMNS"}
    process = subprocess.Popen([*START, *arguments], env=known, stdin=theirs, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        """The other side is closed: Linux says so with EIO."""
    os.close(ours)
    process.wait(30)
    return shown.decode()


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_without_streams_the_verdict_is_the_same(places: Path, closed: str) -> None:
    line = f'"$@" validate broken {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *START],
        cwd=places,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, ""), done.stderr


def test_an_encoding_that_cannot_hold_a_character_escapes_it(tmp_path: Path) -> None:
    write(tmp_path, {"ж.yaml": "type: Mesh\nname: [\n"})
    done = meshwright("validate", tmp_path, variables={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 1
    assert done.stdout.startswith("\\u0436.yaml:3:1: error[yaml-syntax]")


@pytest.mark.parametrize(("line", "code"), [("validate broken", 1), ("validate good", 0), ("version", 0)])
def test_a_reader_that_leaves_is_no_error_and_the_verdict_is_the_same(places: Path, line: str, code: int) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    done = meshwright(*line.split(), cwd=places, stdout=ours)
    os.close(ours)
    assert (done.returncode, done.stderr) == (code, "")


def test_ctrl_c_at_any_moment_is_130_and_one_line(places: Path) -> None:
    """From the moment that our own first line has run; it may come too late, even when Python has all but ended."""
    ends = [_interrupt(places / "warned", seconds) for seconds in (0.02, 0.1, 0.2, 0.3, 0.45, 0.6)]
    interrupted = [end for end in ends if end == (130, "meshwright: interrupted\n")]
    assert len(interrupted) > 1
    assert set(ends) - set(interrupted) <= {(0, ""), (-signal.SIGINT, "")}, ends


def _interrupt(place: Path, seconds: float) -> tuple[int, str]:
    """In a shell's background a program inherits that Ctrl-C is not for it; here it is."""
    begin = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import compiler.cli.start as start; print('begun', flush=True); start.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begin, "validate", str(place)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


def test_ctrl_c_ends_envoy_too(tmp_path: Path) -> None:
    envoy = write(tmp_path, {"envoy": "#!/bin/sh\nexec sleep 600\n"}) / "envoy"
    envoy.chmod(0o755)
    process = subprocess.Popen(
        [*START, "dataplane", "run", "--name", "web", "--binary-path", str(envoy)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    started = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(started["pid"], 0)
