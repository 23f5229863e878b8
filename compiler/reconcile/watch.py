"""Hints that a local repository's refs have moved; what they miss, the comparison at every interval finds."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_IS_LINUX: Final = sys.platform == "linux"

_LOOK_MILLISECONDS: Final = 5_000
_AGAIN_SECONDS: Final = 1.0

_STEP_MILLISECONDS: Final = 2
"""watchfiles wakes up as often, where the kernel is no Linux: it answers within 5 ms for 1.5 % of a core."""

_POLL_MILLISECONDS: Final = 300
"""Between two looks at all refs, where the kernel has no watch left: watchfiles' own default."""

_POLL_DOUBT_MILLISECONDS: Final = 1_100
"""watchfiles compares whole seconds then: a file that moves twice in one is seen once."""


def ref_folder(repository: Path) -> Path | None:
    """Where branches are kept, of a bare repository or a working tree; None where that is not to be seen."""
    for folder in (repository / ".git", repository):
        if (folder / "refs").is_dir():
            return folder / "refs"
    return None


def watch_refs(repository: Path, hint: Callable[[], None]) -> threading.Thread:
    """A daemon thread that calls `hint` after every change of a ref; a repository may still have to appear."""
    thread = threading.Thread(target=_watch_for_ever, args=(repository, hint), name="watch-refs", daemon=True)
    thread.start()
    return thread


def _watch_for_ever(repository: Path, hint: Callable[[], None]) -> None:
    while True:
        folder = ref_folder(repository)
        if folder is not None:
            with suppress(OSError, RuntimeError):
                _watch(folder, hint)
        time.sleep(_AGAIN_SECONDS)


def _watch(folder: Path, hint: Callable[[], None]) -> None:
    """Until another folder stands in its place: a repository that was cloned anew."""
    identity = _identify(folder)

    def stands() -> bool:
        with suppress(FileNotFoundError):
            return _identify(folder) == identity
        return False

    if not _IS_LINUX:
        _watch_by_watchfiles(folder, hint, stands)
        return
    from compiler.reconcile.inotify import watch_by_inotify

    try:
        watch_by_inotify(folder, hint, stands, _LOOK_MILLISECONDS)
    except OSError:
        _poll_by_watchfiles(folder, hint, stands)


def _identify(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _watch_by_watchfiles(folder: Path, hint: Callable[[], None], stands: Callable[[], bool]) -> None:
    """A folder that takes the place of a deleted one may be given its number: hence the look at what was deleted."""
    import watchfiles

    hint()
    for changes in watchfiles.watch(
        folder,
        watch_filter=None,
        step=_STEP_MILLISECONDS,
        rust_timeout=_LOOK_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        if changes:
            hint()
        if (watchfiles.Change.deleted, str(folder)) in changes or not stands():
            return


def _poll_by_watchfiles(folder: Path, hint: Callable[[], None], stands: Callable[[], bool]) -> None:
    """By itself watchfiles asks for the same watches; what follows a change within its second is hinted after that."""
    import watchfiles

    hint()
    doubtful = True
    for changes in watchfiles.watch(
        folder,
        watch_filter=None,
        rust_timeout=_POLL_DOUBT_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=False,
        force_polling=True,
        poll_delay_ms=_POLL_MILLISECONDS,
    ):
        if changes or doubtful:
            hint()
        doubtful = bool(changes)
        if not stands():
            return
