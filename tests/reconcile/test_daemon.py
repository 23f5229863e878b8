"""The three processes as they are, with a compiler that does on command what no compiler should."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from compiler.reconcile.options import MIB, Limits
from compiler.state.sqlite import SqliteState
from tests.reconcile.daemon import Daemon, Repository, wait
from tests.reconcile.proxy import CDS, Proxy

Start = Callable[..., Daemon]
Connect = Callable[..., Proxy]
SOON = 10.0
"""Seconds within which the next good commit must be live."""


def test_a_commit_reaches_a_proxy_and_the_status_says_when(
    repository: Repository, start: Start, connect: Connect
) -> None:
    repository.commit("web a b\n")
    daemon = start()
    where = daemon.ready()
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a", "b"} or None, 5, lambda: proxy.held)
    commit = repository.commit("web a c\n")
    wait(lambda: proxy.names == {"a", "c"} or None, 5, lambda: proxy.held)
    status = daemon.until(lambda now: "last_ack" in (now["serving"] or {})["timings"])
    assert status["serving"]["commit"] == commit
    assert status["serving"]["generation"] == 2
    points = [
        status["serving"]["timings"][name]
        for name in ("moved", "detected", "compiled", "durable", "first_push", "last_ack")
    ]
    assert points == sorted(points)
    [shown] = status["proxies"]
    assert (shown["node"], shown["mesh"], shown["digest"]) == ("default.web", "default", shown["acked_digest"])
    assert shown["types"][CDS] == {"sent": 2, "acked": 2, "nack": None}
    assert daemon.get("/readyz", "health")[0] == daemon.get("/livez", "health")[0] == 200
    assert where["digest"] != status["serving"]["digest"]
    metrics = daemon.get("/metrics")[1]
    assert "meshwright_convergence_seconds_count 1.0" in metrics
    assert 'meshwright_work_total{step="toys"}' in metrics


@pytest.mark.parametrize(
    ("trap", "reason"), [("crash", "crashed"), ("spin", "stalled"), ("eat", "memory"), ("loop", "time")]
)
def test_a_commit_that_kills_the_worker_harms_nobody_and_the_next_good_one_is_live_soon(
    repository: Repository, start: Start, connect: Connect, trap: str, reason: str
) -> None:
    repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a"} or None, 5, lambda: proxy.held)
    server = daemon.pid_of("server")
    bad = repository.commit(f"web a b\n{trap}\n")
    status = daemon.until(lambda now: now["candidate"]["commit"] == bad, 15)  # the verdict is told after the death
    assert status["worker"]["last_death"]["reason"] == reason
    assert status["worker"]["last_death"]["commit"] == bad
    assert reason in status["candidate"]["reason"]
    good = repository.commit("web a c\n")
    daemon.serves(good, SOON)
    wait(lambda: proxy.names == {"a", "c"} or None, 5, lambda: proxy.held)
    assert proxy.ended is None
    assert daemon.pid_of("server") == server
    assert daemon.get("/readyz", "health")[0] == 200


def test_a_tree_that_killed_the_worker_twice_is_not_tried_again_even_after_a_restart(
    repository: Repository, start: Start
) -> None:
    repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    bad = repository.commit("crash\n")
    status = daemon.until(lambda now: now["candidate"]["state"] == "quarantined")
    assert status["candidate"]["commit"] == bad
    assert "2 of 2" in status["candidate"]["reason"] or "2 times" in status["candidate"]["reason"]
    deaths = status["worker"]["restarts"]
    again = repository.commit("crash\n", "the same tree under another commit")
    daemon.until(lambda now: now["candidate"]["commit"] == again and now["candidate"]["state"] == "quarantined")
    assert daemon.status()["worker"]["restarts"] == deaths == 2
    assert daemon.stop() == 0
    daemon = start()
    daemon.ready()
    daemon.until(lambda now: (now["candidate"] or {}).get("state") == "quarantined")
    assert daemon.status()["worker"]["restarts"] == 0


def test_a_commit_with_mistakes_leaves_the_last_good_one_and_is_shown_with_file_and_line(
    repository: Repository, start: Start
) -> None:
    good = repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    bad = repository.commit("web a\nbroken\n")
    status = daemon.until(lambda now: now["candidate"]["state"] == "refused")
    assert status["serving"]["commit"] == good
    assert status["candidate"]["commit"] == bad
    [finding] = status["candidate"]["diagnostics"]
    assert (finding["file"], finding["line"], finding["column"], finding["code"]) == ("mesh.yaml", 2, 1, "toy-broken")
    raising = repository.commit("raise\n")
    status = daemon.until(lambda now: now["candidate"]["commit"] == raising)
    assert status["candidate"]["state"] == "failed"
    assert "ZeroDivisionError" in status["candidate"]["reason"]
    assert status["worker"]["restarts"] == 0
    daemon.serves(repository.commit("web b\n"))


def test_nothing_uncommitted_is_served_and_a_comment_pushes_nothing(
    repository: Repository, start: Start, connect: Connect
) -> None:
    repository.commit("web a\n")
    daemon = start(interval=0.1)
    digest = daemon.ready()["digest"]
    (repository.path / "mesh.yaml").write_text("web a b c\n")
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a"} or None, 5, lambda: proxy.held)
    time.sleep(0.5)
    assert daemon.status()["serving"]["digest"] == digest
    repository.git("checkout", "-q", "mesh.yaml")
    (repository.path / "README.md").write_text("not mesh configuration")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "words only")
    status = daemon.serves(repository.git("rev-parse", "HEAD"))
    assert (status["serving"]["digest"], status["serving"]["generation"]) == (digest, 1)
    assert proxy.names == {"a"}


def test_a_compile_that_would_leave_no_proxy_is_held_whatever_its_commit_says(
    repository: Repository, start: Start
) -> None:
    good = repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    repository.commit("\n", "all gone\n\nAllow-Removal: proxy/99\nAllow-Removal: mesh/9")
    status = daemon.until(lambda now: now["candidate"]["state"] == "held")
    assert status["serving"]["commit"] == good


def test_a_wipe_is_held_until_its_commit_says_so(repository: Repository, start: Start) -> None:
    repository.commit("".join(f"web-{number} a\n" for number in range(40)))
    daemon = start()
    daemon.ready()
    repository.commit("".join(f"web-{number} a\n" for number in range(20)))
    status = daemon.until(lambda now: now["candidate"]["state"] == "held")
    assert "Allow-Removal: proxy/20" in status["candidate"]["reason"]
    meant = repository.commit(
        "".join(f"web-{number} a\n" for number in range(20)), "fewer\n\nAllow-Removal: proxy/20\n"
    )
    daemon.serves(meant)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_streams_with_unavailable_and_exits_with_0_in_time(
    repository: Repository, start: Start, connect: Connect, number: int
) -> None:
    repository.commit("web a\n")
    daemon = start(admin=str(repository.path.parent / "admin.sock"))
    daemon.ready()
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a"} or None, 5, lambda: proxy.held)
    children = [daemon.pid_of("worker"), daemon.pid_of("server")]
    begun = time.monotonic()
    assert daemon.stop(number) == 0
    assert time.monotonic() - begun < SOON
    assert proxy.wait_end(2) is grpc.StatusCode.UNAVAILABLE
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert not (repository.path.parent / "admin.sock").exists()
    assert not [line for line in daemon.log if line["event"] == "text"]


def test_a_stop_is_in_time_even_while_the_worker_holds_the_interpreter(repository: Repository, start: Start) -> None:
    repository.commit("web a\n")
    daemon = start(limits=Limits(silence=60.0, stop=2.0))
    daemon.ready()
    repository.commit("spin\n")
    wait(lambda: daemon.get("/readyz", "health")[1]["worker"] == "compile" or None, 5, lambda: daemon.log)
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < SOON


def test_a_server_that_dies_comes_back_on_the_same_ports_with_the_same_generation(
    repository: Repository, start: Start, connect: Connect
) -> None:
    repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    before = daemon.status()["serving"]
    os.kill(daemon.pid_of("server"), signal.SIGKILL)
    daemon.until_ready_again()
    status = daemon.status()
    assert status["serving"]["digest"] == before["digest"]
    assert status["serving"]["timings"] == before["timings"]
    assert status["server"]["restarts"] == 1
    proxy = connect(daemon, "default.web")
    wait(lambda: proxy.names == {"a"} or None, 5, lambda: proxy.held)


def test_killed_at_any_moment_it_comes_back_on_the_old_or_the_new_generation(
    repository: Repository, start: Start
) -> None:
    """The branch is taken away while it is down, so that what it serves comes from the disk alone."""
    old = repository.commit("web a\n")
    repository.git("branch", "live")
    daemon = start(ref="live")
    daemon.ready()
    for moment in (0.005, 0.012, 0.025):
        new = repository.commit(f"web a-{moment}\n")
        repository.git("branch", "-f", "live", new)
        time.sleep(moment)
        _kill_outright(daemon)
        repository.git("branch", "-D", "live")
        daemon = start(ref="live")
        daemon.ready()
        assert daemon.status()["serving"]["commit"] in (old, new)
        repository.git("branch", "live", new)
        daemon.serves(new)
        old = new


def test_a_data_folder_that_is_removed_is_made_again(repository: Repository, start: Start, tmp_path: Path) -> None:
    repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    shutil.rmtree(tmp_path / "data")
    daemon.serves(repository.commit("web b\n"))
    assert (tmp_path / "data" / "snapshots.git" / "HEAD").exists()


def test_a_second_instance_on_the_same_data_serves_what_the_first_publishes_and_takes_over_when_it_ends(
    repository: Repository, start: Start
) -> None:
    repository.commit("web a\n")
    first = start()
    digest = first.ready()["digest"]
    second = start()
    assert second.ready()["digest"] == digest
    status = second.until(lambda now: now["writer"] is False)
    assert "another instance" in status["troubles"][0]
    followed = repository.commit("web b\n")
    first.serves(followed)
    second.serves(followed)
    assert first.stop() == 0
    taken_over = repository.commit("web c\n")
    assert second.serves(taken_over)["writer"] is True


def test_with_the_repository_gone_it_starts_from_disk_and_says_so(repository: Repository, start: Start) -> None:
    commit = repository.commit("web a\n")
    daemon = start()
    digest = daemon.ready()["digest"]
    away = repository.path.rename(repository.path.with_name("away"))
    daemon.until(lambda now: "not a Git repository" in (now["source"]["last_error"] or ""))
    assert daemon.get("/readyz", "health")[0] == 200
    assert daemon.stop() == 0
    daemon = start()
    assert daemon.ready()["digest"] == digest
    assert daemon.status()["serving"]["commit"] == commit
    away.rename(repository.path)
    daemon.serves(repository.commit("web b\n"), SOON)


def test_an_image_that_is_lost_or_damaged_is_made_anew_from_the_store(
    repository: Repository, start: Start, tmp_path: Path
) -> None:
    repository.commit("web a b\n")
    daemon = start()
    digest = daemon.ready()["digest"]
    daemon.stop()
    (tmp_path / "data" / "serving.image").unlink()
    daemon = start(ref="nowhere")
    assert daemon.ready()["digest"] == digest
    daemon.stop()
    image = tmp_path / "data" / "serving.image"
    content = image.read_bytes()
    image.write_bytes(content[:60] + b"damage" + content[66:])
    daemon = start(ref="nowhere")
    assert daemon.ready()["digest"] == digest
    image.write_bytes(os.urandom(400))
    os.kill(daemon.pid_of("server"), signal.SIGKILL)
    daemon.until_ready_again()
    assert daemon.status()["serving"]["digest"] == digest


def test_a_torn_object_is_named_and_its_commit_served_once_it_is_mended(repository: Repository, start: Start) -> None:
    good = repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    text = "".join(f"web-{number} {os.urandom(8).hex()}\n" for number in range(50))
    (repository.path / "mesh.yaml").write_text(text)
    blob = repository.git("hash-object", "-w", "mesh.yaml")
    loose = repository.path / ".git/objects" / blob[:2] / blob[2:]
    whole = loose.read_bytes()
    loose.chmod(0o644)
    loose.write_bytes(whole[: len(whole) // 2])
    bad = repository.commit(text)
    status = daemon.until(lambda now: (now["candidate"] or {}).get("commit") == bad)
    assert status["candidate"]["state"] in ("retrying", "failed", "quarantined")
    assert status["serving"]["commit"] == good
    if status["candidate"]["state"] == "retrying":
        assert blob in status["candidate"]["reason"]
    assert daemon.get("/readyz", "health")[0] == 200
    loose.write_bytes(whole)
    daemon.serves(bad, SOON)


def test_a_nack_is_shown_with_envoys_words_and_outlives_the_server(
    repository: Repository, start: Start, connect: Connect, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    daemon = start()
    daemon.ready()
    connect(daemon, "default.web", frozenset({"bad"}))
    daemon.until(lambda now: now["proxies"] and now["proxies"][0]["fully_acked"])
    repository.commit("web a bad\n")
    status = daemon.until(lambda now: now["proxies"][0]["types"][CDS]["nack"])
    nack = status["proxies"][0]["types"][CDS]["nack"]
    assert "will not have ['bad']" in nack["message"]
    assert [resource["name"] for resource in nack["resources"]] == ["bad"]
    assert SqliteState(tmp_path / "data" / "state.db").unrepaired_nack("default.web") is not None


def test_the_admin_socket_is_ours_alone_and_forgives(repository: Repository, start: Start, tmp_path: Path) -> None:
    repository.commit("web a\n")
    admin = tmp_path / "admin.sock"
    daemon = start(admin=str(admin))
    daemon.ready()
    assert admin.stat().st_mode & 0o777 == 0o600
    assert _ask(admin, "GET /status")["serving"]["generation"] == 1
    repository.commit("crash\n")
    daemon.until(lambda now: now["candidate"]["state"] == "quarantined")
    restarts = daemon.status()["worker"]["restarts"]
    assert daemon.get("/reconcile")[0] == 404
    assert _ask(admin, "POST /reconcile?forgive=true") == {"accepted": True}
    daemon.until(lambda now: now["worker"]["restarts"] > restarts)


def test_the_worker_answers_for_one_proxy_and_a_busy_one_is_a_503(repository: Repository, start: Start) -> None:
    repository.commit("web a\n")
    daemon = start(limits=Limits(worker_memory=400 * MIB, silence=30.0))
    daemon.ready()
    daemon.until(lambda now: now["candidate"])
    assert daemon.get("/meshes/default/dataplanes/web/_config") == (200, ["a"])
    assert daemon.get("/meshes/default/dataplanes/none/_config")[0] == 404
    repository.commit("spin\n")
    wait(lambda: daemon.get("/readyz", "health")[1]["worker"] == "compile" or None, 5, lambda: daemon.log)
    begun = time.monotonic()
    code, body = daemon.get("/meshes/default/dataplanes/web/_config")
    assert (code, "did not answer" in body["title"]) == (503, True)
    assert 1.5 < time.monotonic() - begun < 4.0


@pytest.mark.parametrize("what", ["no branch", "no folder", "empty", "no repository"])
def test_with_nothing_to_serve_it_waits_unready_says_why_and_starts_when_there_is(
    repository: Repository, start: Start, what: str, tmp_path: Path
) -> None:
    folder = repository.path
    if what == "no branch":
        repository.commit("web a\n")
        repository.git("branch", "-m", "main", "trunk")
    if what == "no folder":
        repository.commit("web a\n")
    if what == "no repository":
        folder = tmp_path / "plain"
        folder.mkdir()
    daemon = start(repo=folder, path="later" if what == "no folder" else "")
    daemon.where = {**daemon.heard("listening"), "health": daemon.heard("health-listening")["health"]}
    status = daemon.until(lambda now: (now["candidate"] or {}).get("state") == "retrying")
    assert status["serving"] is None
    assert ("later" if what == "no folder" else str(folder)) in status["source"]["last_error"]
    assert daemon.get("/readyz", "health")[0] == 503
    assert daemon.get("/livez", "health")[0] == 200
    warned = [line["event"] for line in daemon.log if line.get("level") == "warning"]
    assert warned == ["source-failed", "not-published"], "it is said once, however often it is tried"
    late = Repository(folder)
    late.git("checkout", "-q", "-B", "main")
    (folder / "later").mkdir()
    late.commit("web a\n", file="later/mesh.yaml" if what == "no folder" else "mesh.yaml")
    daemon.ready()


def test_a_data_folder_that_cannot_be_written_is_said_and_waited_for(
    repository: Repository, start: Start, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    lock = tmp_path / "data" / "lock"
    lock.mkdir(parents=True)
    daemon = start()
    daemon.where = daemon.heard("listening")
    reason = daemon.heard("read-only")["reason"]
    assert "cannot be written" in reason
    assert reason in daemon.status()["troubles"]
    lock.rmdir()
    daemon.ready()


def test_a_data_folder_that_cannot_be_written_but_holds_an_image_is_served(
    repository: Repository, start: Start, tmp_path: Path
) -> None:
    repository.commit("web a\n")
    daemon = start()
    digest = daemon.ready()["digest"]
    assert daemon.stop() == 0
    (tmp_path / "data" / "lock").unlink()
    (tmp_path / "data" / "lock").mkdir()
    daemon = start()
    assert daemon.ready()["digest"] == digest
    assert "cannot be written" in daemon.status()["troubles"][0]


def _kill_outright(daemon: Daemon) -> None:
    """The children die with the supervisor, whatever they are at."""
    children = [daemon.pid_of("worker"), daemon.pid_of("server")]
    daemon.kill()
    wait(lambda: None if any(map(_alive, children)) else True, 3, lambda: "children outlive the supervisor")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _ask(path: Path, request: str) -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])
