"""Work on every core: children are forked, since all that they need is in memory already.

A child answers with what it found out and ends; the share of one that could not be started, or died, is done here, so
that how many there are decides nothing but the time.
"""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, Final, NamedTuple, TypeVar

_PR_SET_PDEATHSIG: Final = 1
T = TypeVar("T")
R = TypeVar("R")


class _Child(NamedTuple):
    process: int
    answer: BinaryIO


def usable_cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def map_shares(work: Callable[[Sequence[T]], R], items: Sequence[T], *, processes: int) -> Iterator[R]:
    """What `work` makes of each share of the items, as many shares as processes; answers of children are pickled."""
    if processes < 2:
        yield work(items)
        return
    shares = [items[first::processes] for first in range(processes)]
    gc.freeze()  # a child that collects would copy all of our memory
    end_with = _find_end_with(os.getpid())
    started = [_start(work, share, end_with) for share in shares[1:]]
    try:
        yield work(shares[0])
        for share, child in zip(shares[1:], started, strict=True):
            answer: R | None = _read(child) if child is not None else None
            yield answer if answer is not None else work(share)
    finally:
        _end([child for child in started if child is not None])


def _find_end_with(parent: int) -> Callable[[], None]:
    """A child of a process that is killed outright ends too: it holds open what others watch to see that end."""
    if sys.platform != "linux":
        return lambda: None
    import ctypes

    prctl = ctypes.CDLL(None).prctl

    def end_with() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)

    return end_with


def _start(work: Callable[[Sequence[T]], R], share: Sequence[T], end_with: Callable[[], None]) -> _Child | None:
    """None where there is no room for another process."""
    reading, writing = os.pipe()
    try:
        process = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if process == 0:
        end_with()
        _answer(work, share, writing)
    os.close(writing)
    return _Child(process, os.fdopen(reading, "rb"))


def _answer(work: Callable[[Sequence[T]], R], share: Sequence[T], writing: int) -> None:
    """The whole life of a child: nothing of ours is run at its end. Silence makes the parent do the share itself."""
    try:
        gc.disable()
        with os.fdopen(writing, "wb") as answer:
            pickle.dump(work(share), answer, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _read(child: _Child) -> R | None:
    """None where the child died before it was done."""
    try:
        return pickle.load(child.answer)  # type: ignore[no-any-return]  # noqa: S301  # of our own child
    except (EOFError, pickle.UnpicklingError):
        return None


def _end(children: Sequence[_Child]) -> None:
    """None is left behind, whatever became of the work."""
    for child in children:
        child.answer.close()
        with suppress(ProcessLookupError):
            os.kill(child.process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child.process, 0)
