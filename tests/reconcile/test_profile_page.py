"""`/debug/profile`: both processes watched while they work, on the admin socket and with --debug alone."""

import http.client
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from compiler.reconcile.profile_page import Process, Wanted, read_wanted
from tests.reconcile.daemon import HERE, Daemon, Repository, options_for, wait
from tests.reconcile.proxy import Proxy
from tests.speedscope import seconds_in

Start = Callable[..., Daemon]
Connect = Callable[..., Proxy]
SHOP = HERE.parents[1] / "examples/repo"


def test_without_debug_it_is_off_and_says_how_it_is_switched_on(
    repository: Repository, start: Start, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    start().ready()
    code, body = _get(tmp_path, "/debug/profile?seconds=1")
    assert (code, json.loads(body)["status"]) == (404, 404)
    assert "serve` with --debug" in json.loads(body)["title"]


def test_the_server_is_watched_while_it_answers_and_pushes(
    repository: Repository, start: Start, connect: Connect, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    daemon = start(debug=True)
    daemon.ready()
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a"} or None, 5, lambda: proxy.held)
    with _asked(tmp_path, "/debug/profile?seconds=2") as profile:
        _until_profiled(daemon, "server")
        repository.commit("web a b\n")
        wait(lambda: proxy.names == {"a", "b"} or None, 1.5, lambda: proxy.held)
        while not profile.done():
            daemon.status()
    code, body = profile.result()
    assert code == 200
    seconds = seconds_in(json.loads(body))
    assert 1.0 < seconds["serve"] < 4.0
    assert seconds["Server.status"] > 0
    assert daemon.get("/debug/profile?seconds=1")[0] == 404  # the port that everybody on this machine may open


def test_the_worker_is_watched_while_it_compiles_what_arrives(tmp_path: Path) -> None:
    repository = _shop(tmp_path)
    daemon = Daemon(options_for(repository.path, tmp_path / "data", debug=True), program=HERE / "run_real.py")
    try:
        daemon.ready()
        with _asked(tmp_path, "/debug/profile?seconds=3&process=worker") as profile:
            _until_profiled(daemon, "worker")
            for number in range(8):
                daemon.serves(_rename_a_timeout(repository, number))
        code, body = profile.result()
    finally:
        daemon.kill()
    assert code == 200
    seconds = seconds_in(json.loads(body))
    assert seconds["Loop.run"] > 2.0
    assert seconds["Compiler.compile"] > 0
    assert seconds["Loop._wait"] > seconds["Compiler.compile"]


def test_one_at_a_time_and_a_client_that_goes_away_ends_its_own(
    repository: Repository, start: Start, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    daemon = start(debug=True)
    daemon.ready()
    for process in ("server", "worker"):
        with _hanging(tmp_path, f"/debug/profile?seconds=300&process={process}"):
            _until_profiled(daemon, process)
            code, body = _get(tmp_path, "/debug/profile?seconds=1")
            assert (code, "already" in json.loads(body)["title"]) == (409, True)
        daemon.heard("profile-given-up", of=process)
        code, body = _get(tmp_path, f"/debug/profile?seconds=1&process={process}")
        assert (code, seconds_in(json.loads(body)) != {}) == (200, True)


def test_a_worker_that_dies_meanwhile_is_said_at_once(repository: Repository, start: Start, tmp_path: Path) -> None:
    repository.commit("web a\n")
    daemon = start(debug=True)
    daemon.ready()
    with _asked(tmp_path, "/debug/profile?seconds=60&process=worker") as profile:
        _until_profiled(daemon, "worker")
        begun = time.monotonic()
        repository.commit("crash\n")
        code, body = profile.result(20)
    assert (code, "has ended" in json.loads(body)["title"]) == (503, True)
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("process", ["server", "worker"])
def test_a_stop_waits_for_no_profile(repository: Repository, start: Start, tmp_path: Path, process: str) -> None:
    repository.commit("web a\n")
    daemon = start(debug=True)
    daemon.ready()
    with _hanging(tmp_path, f"/debug/profile?seconds=300&process={process}"):
        _until_profiled(daemon, process)
        assert daemon.stop() == 0
    assert not [line for line in daemon.log if line["event"] == "text"]


def test_a_wrong_parameter_is_a_400_with_a_sentence(repository: Repository, start: Start, tmp_path: Path) -> None:
    repository.commit("web a\n")
    start(debug=True).ready()
    code, body = _get(tmp_path, "/debug/profile?seconds=301")
    assert code == 400
    assert json.loads(body) == {"title": "seconds=301 is not a number from 1 to 300", "status": 400}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("seconds=0.9", "1 to 300"),
        ("seconds=300.1", "1 to 300"),
        ("seconds=-5", "1 to 300"),
        ("seconds=nan", "1 to 300"),
        ("seconds=inf", "1 to 300"),
        ("seconds=", "1 to 300"),
        ("seconds=long", "seconds=long is not a number"),
        ("process=supervisor", "neither server nor worker"),
        ("second=5", "no parameter 'second'"),
        ("seconds=2&seconds=3", "seconds is given twice"),
    ],
)
def test_what_is_asked_for_is_bounded_and_spelt_as_it_is(query: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_wanted(QueryParams(query))


def test_thirty_seconds_of_the_server_are_the_default() -> None:
    assert read_wanted(QueryParams("")) == Wanted(Process.SERVER, 30.0)
    assert read_wanted(QueryParams("process=worker&seconds=1.5")) == Wanted(Process.WORKER, 1.5)


def _shop(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "shop")
    shutil.copytree(SHOP, repository.path, dirs_exist_ok=True)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "the shop")
    return repository


def _rename_a_timeout(repository: Repository, number: int) -> str:
    """A commit that touches every proxy."""
    timeout = "type: MeshTimeout\nmesh: shop\nname: slow\nspec: {to: [{targetRef: {kind: Mesh}, default: {"
    return repository.commit(f"{timeout}connectionTimeout: {number + 1}s}}}}]}}\n", file="mesh/slow.yaml")


def _until_profiled(daemon: Daemon, process: str) -> None:
    daemon.heard("profiling", 5, process=process)


@contextmanager
def _asked(folder: Path, path: str) -> Iterator[Future[tuple[int, bytes]]]:
    """A request that is answered while the test goes on."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_get, folder, path)


@contextmanager
def _hanging(folder: Path, path: str) -> Iterator[None]:
    """A client that goes away without an answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "data/admin.sock"))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield


def _get(folder: Path, path: str) -> tuple[int, bytes]:
    """From the admin socket."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(folder / "data/admin.sock"))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
