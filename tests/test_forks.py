"""Shares of work in other processes: the answer is the same whatever becomes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from compiler.forks import map_shares, send, usable_cores

PARENT = os.getpid()


def double(share: Sequence[int]) -> list[int]:
    return [2 * one for one in share]


def collect(work: object, processes: int) -> list[int]:
    return sorted(one for share in map_shares(work, range(20), processes=processes) for one in share)  # type: ignore[arg-type]


@pytest.mark.parametrize("processes", [1, 2, 3, 30])
def test_every_item_is_worked_on_once(processes: int) -> None:
    assert collect(double, processes) == [2 * one for one in range(20)]


def test_the_others_work_in_processes_of_their_own() -> None:
    processes = {one for share in map_shares(lambda _: [os.getpid()], range(9), processes=3) for one in share}
    assert len(processes) == 3
    assert PARENT in processes


def test_the_share_of_a_child_that_dies_is_done_here() -> None:
    def die_in_a_child(share: Sequence[int]) -> list[int]:
        if os.getpid() != PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        return double(share)

    assert collect(die_in_a_child, 3) == [2 * one for one in range(20)]


def test_the_share_of_a_child_whose_answer_is_cut_off_is_done_here() -> None:
    class Endless:
        def __reduce__(self) -> tuple[type, tuple[bytes]]:
            os._exit(1)

    def answer(share: Sequence[int]) -> list[object]:
        return [b"x" * 100_000, Endless()] if os.getpid() != PARENT else list(share)

    assert [one for share in map_shares(answer, [1, 2], processes=2) for one in share] == [1, 2]


def test_what_fails_in_a_child_fails_here() -> None:
    def fail(share: Sequence[int]) -> list[int]:
        if 1 in share:
            raise ValueError("a mistake")
        return double(share)

    with pytest.raises(ValueError, match="a mistake"):
        collect(fail, 2)


def test_nobody_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    fork = os.fork

    def note() -> int:
        started.append(fork())
        return started[-1]

    def linger(share: Sequence[int]) -> list[int]:
        if os.getpid() == PARENT:
            raise KeyboardInterrupt
        signal.pause()
        return double(share)

    monkeypatch.setattr(os, "fork", note)
    with pytest.raises(KeyboardInterrupt):
        collect(linger, 3)
    assert len(started) == 2
    for child in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def test_without_room_for_another_process_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert collect(double, 3) == [2 * one for one in range(20)]


def test_some_core_is_usable() -> None:
    assert usable_cores() >= 1


ORPHAN = """
import os, signal, sys, time
from compiler.forks import map_shares

def work(share):
    if 1 in share:
        print(os.getpid(), flush=True)
        time.sleep(60)
    else:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

list(map_shares(work, [0, 1], processes=2))
"""


def test_a_child_ends_with_a_parent_that_is_killed_outright() -> None:
    run = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == -signal.SIGKILL
    child = Path("/proc") / run.stdout.strip()
    assert run.stdout.strip().isdecimal()
    deadline = time.monotonic() + 10
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _lives(child)


def _lives(process: Path) -> bool:
    """Its output closes a moment before it is gone."""
    try:
        return "State:\tZ" not in (process / "status").read_text()
    except OSError:
        return False


def test_an_errand_is_run_by_a_child_that_knows_all_that_was_known() -> None:
    known = [1, 2]
    with send(lambda: (os.getpid(), list(known))) as errand:
        known.append(3)
        found = errand.result()
    assert found is not None
    assert found[0] != PARENT
    assert found[1] == [1, 2]


def test_an_answer_of_any_size_waits_for_nobody() -> None:
    """The child ends before anybody asks, and asking twice is no harm."""
    before = set(psutil.Process().children())
    with send(lambda: b"x" * 10_000_000) as errand:
        (child,) = set(psutil.Process().children()) - before
        limit = time.monotonic() + 20
        while child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < limit:
            time.sleep(0.01)
        assert child.status() == psutil.STATUS_ZOMBIE
        assert errand.result() == errand.result() == b"x" * 10_000_000


def test_a_child_that_is_sent_later_may_ask_too(tmp_path: Path) -> None:
    """It waits as we do, whoever asks first."""
    begin = tmp_path / "begin"

    def find() -> int:
        while not begin.exists():
            time.sleep(0.01)
        return 7

    with send(find) as errand, send(errand.result) as other:
        begin.touch()
        assert (other.result(), errand.result()) == (7, 7)


def test_leaving_waits_for_what_nobody_asked_for(tmp_path: Path) -> None:
    done = tmp_path / "done"

    def finish() -> None:
        time.sleep(0.3)
        done.write_text("")

    with send(finish):
        pass
    assert done.exists()


def test_an_errand_of_a_child_that_dies_has_no_result() -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    with send(die) as errand:
        assert errand.result() is None


def test_a_child_that_fails_has_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise ValueError("the disk is full")

    with send(fail) as errand:
        assert errand.result() is None
    assert capfd.readouterr().err == ""


def test_leaving_by_an_exception_makes_the_child_end() -> None:
    """At once, and nothing of it is left."""
    began, before = time.monotonic(), set(psutil.Process().children())
    with pytest.raises(KeyError), send(lambda: time.sleep(60)):
        raise KeyError
    assert time.monotonic() - began < 30
    assert set(psutil.Process().children()) <= before


def test_without_room_for_a_process_there_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with send(lambda: 1) as errand:
        assert errand.result() is None
