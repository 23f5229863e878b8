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
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Generic, NamedTuple, TypeVar

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


class Errand(Generic[R]):
    """What a child was sent to find out while we do something else; others that are sent later may ask it too."""

    def __init__(self, child: _Child | None, file: BinaryIO) -> None:
        self._child = child
        self._file = file

    def result(self) -> R | None:
        """Waits for it; None where there was no room for another process, or it died before it knew."""
        if self._child is None:
            return None
        self._child.answer.read()  # nothing is ever in it, so that whoever else waits misses nothing
        number = self._file.fileno()
        try:
            return pickle.loads(os.pread(number, os.fstat(number).st_size, 0))  # type: ignore[no-any-return]  # noqa: S301  # of our own child
        except (EOFError, pickle.UnpicklingError):
            return None


@contextmanager
def send(find: Callable[[], R]) -> Iterator[Errand[R]]:
    """A child finds something out, with everything as it is now.

    Leaving waits for its end, so that nothing is left behind; leaving by an exception makes it end.
    """
    gc.freeze()
    with TemporaryFile() as file:

        def run(_: int) -> None:
            pickle.dump(find(), file, pickle.HIGHEST_PROTOCOL)
            file.flush()

        child = _fork(run, _find_end_with(os.getpid()))
        try:
            yield Errand(child, file)
            if child is not None:
                child.answer.read()
        finally:
            _end([child] if child is not None else [])


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
    """None where there is no room for another process. Silence makes the parent do the share itself."""

    def run(writing: int) -> None:
        with os.fdopen(writing, "wb") as answer:
            pickle.dump(work(share), answer, pickle.HIGHEST_PROTOCOL)

    return _fork(run, end_with)


def _fork(run: Callable[[int], None], end_with: Callable[[], None]) -> _Child | None:
    """A child that runs that, with its end of a pipe to its parent."""
    reading, writing = os.pipe()
    try:
        process = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if process == 0:
        end_with()
        _live(run, writing)
    os.close(writing)
    return _Child(process, os.fdopen(reading, "rb"))


def _live(run: Callable[[int], None], writing: int) -> None:
    """The whole life of a child: nothing of ours is run at its end."""
    try:
        gc.disable()
        run(writing)
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
