"""Shares of work in other processes: the answer is the same whatever becomes of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compiler.forks import map_shares, usable_cores

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
    assert not child.exists() or "State:\tZ" in (child / "status").read_text()
