"""Hints that a local repository's refs have moved; what they miss, the comparison at every interval finds."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import watchfiles

_STEP_MILLISECONDS: Final = 2
"""watchfiles wakes up as often: it answers within 5 ms for 0.9 % of a core (1: 1.4 %; its default of 50: 101 ms)."""

_LOOK_MILLISECONDS: Final = 5_000
_AGAIN_SECONDS: Final = 1.0


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
    watched = folder.stat().st_ino
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
        elif folder.stat().st_ino != watched:
            return
