"""What no waiting mends is refused at the start: the sentence, the exit code, and nothing left behind."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.reconcile.channel import encode
from tests.reconcile.daemon import Daemon, Repository, options_for, wait

Start = Callable[..., Daemon]


@pytest.mark.parametrize(
    ("changed", "code", "sentence"),
    [
        ({"xds": "0.0.0.0:0"}, 64, "loopback"),
        ({"insecure": False}, 64, "--insecure"),
        ({"http": "nonsense"}, 64, "HOST:PORT"),
        ({"repo": "/nowhere/at/all"}, 69, "no repository"),
        ({"repo": "https://host.test/mesh"}, 64, "on another machine"),
        ({"repo": "git@host.test:mesh"}, 64, "on another machine"),
        ({"repo": ""}, 64, "--repo is missing"),
        ({"ref": "a..b"}, 64, "no name that a branch"),
        ({"path": "../elsewhere"}, 64, "out of the repository"),
        ({"interval": float("inf")}, 64, "--interval"),
        ({"data": "/proc/none/data"}, 65, "cannot be made"),
        ({"ca": ("file:/nowhere.pem",)}, 65, "/nowhere.pem"),
    ],
)
def test_what_no_waiting_mends_is_refused_with_a_sentence(
    start: Start, changed: dict[str, object], code: int, sentence: str
) -> None:
    _expect_refusal(start(**changed), code, sentence)


def test_a_port_in_use_is_a_sentence_and_69(repository: Repository, start: Start) -> None:
    repository.commit("web a\n")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        for flag in ("xds", "http", "health"):
            _expect_refusal(start(**{flag: address}), 69, address)


@pytest.mark.parametrize("transport", ["http2", "grpcio"])
def test_an_address_that_was_taken_meanwhile_is_refused_by_its_name(transport: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        options = options_for(tmp_path, tmp_path / "data", xds=address, transport=transport).to_json()
        (tmp_path / "data").mkdir()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "compiler.reconcile.serving"],
            input=encode("options", {"options": options, "parent": os.getpid()}),
            capture_output=True,
            check=False,
            timeout=30,
        )
    refusals = [line for line in map(json.loads, done.stdout.splitlines()) if line["kind"] == "refused"]
    assert [line["sentence"] for line in refusals] == [
        f"cannot listen on --xds {address}: it is in use or not ours to use"
    ]
    assert done.returncode == 69


@pytest.mark.parametrize("module", ["compiler.reconcile.worker", "compiler.reconcile.serving"])
def test_a_child_whose_supervisor_died_before_it_could_look_ends_at_once(module: str, tmp_path: Path) -> None:
    hello = encode("options", {"options": options_for(tmp_path, tmp_path / "data").to_json(), "parent": 1})
    done = subprocess.run(
        [sys.executable, "-P", "-m", module], input=hello, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert b"meshwright serve" in done.stderr
    assert not (tmp_path / "data").exists()


def _expect_refusal(daemon: Daemon, code: int, sentence: str) -> None:
    assert daemon.process.wait(20) == code
    wait(lambda: next((line for line in daemon.log if sentence in line.get("text", "")), None), 2, lambda: daemon.log)
