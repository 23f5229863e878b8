"""A folder of refs watched by Linux's inotify: nothing wakes up, and nothing is spent, until something moves."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inotify_simple import Event, INotify, flags

_PUT_THERE: Final = flags.CREATE | flags.MOVED_TO
_FILE_NEWS: Final = flags.CLOSE_WRITE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
"""Git renames a lock over a ref; go-git writes the ref itself, and there a file just created is still empty."""

_BELOW: Final = _PUT_THERE | _FILE_NEWS | flags.MOVE_SELF | flags.ONLYDIR
_ABOVE: Final = flags.MOVED_TO | flags.MOVE_SELF | flags.ONLYDIR
"""Of all that happens beside `refs` only renames wake us: of packed-refs, and of the index in a working tree."""

_GATHER_SECONDS: Final = 0.005
"""After a hint, so that a push of a thousand refs is not a thousand hints; the first one has not waited."""


def watch_by_inotify(refs: Path, hint: Callable[[], None], stands: Callable[[], bool], look_milliseconds: int) -> None:
    """As long as `refs` `stands` and no event is lost; OSError where the kernel gives no watch.

    A mount over the folder is no event: hence the look every `look_milliseconds`.
    """
    with INotify() as inotify:
        sight = _Sight(inotify, refs, above=inotify.add_watch(refs.parent, _ABOVE))
        sight.watch(refs)
        hint()
        while stands() and not sight.is_lost:
            moved = [sight.take(event) for event in inotify.read(look_milliseconds)]
            if any(moved):
                hint()
                time.sleep(_GATHER_SECONDS)


@dataclass
class _Sight:
    """Every folder below `refs` by its watch; `above` is the watch of the folder that holds `refs`."""

    inotify: INotify
    refs: Path
    above: int
    folders: dict[int, Path] = field(default_factory=dict)
    is_lost: bool = False
    """What is watched is no longer what is there: all of it is to be looked at anew."""

    def watch(self, folder: Path) -> None:
        """First the watch, then the look inside: what is created between the two is met twice, not never."""
        self.folders[self.inotify.add_watch(folder, _BELOW)] = folder
        with os.scandir(folder) as entries:
            below = [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for inner in below:
            self._watch_if_there(inner)

    def take(self, event: Event) -> bool:
        """Whether a ref may have moved."""
        if event.mask & flags.Q_OVERFLOW:
            self.is_lost = True
            return True
        if event.wd == self.above:
            self.is_lost |= bool(event.mask & flags.MOVE_SELF)
            return bool(event.name == "packed-refs")
        if event.mask & flags.IGNORED:
            self.is_lost |= self.folders.pop(event.wd, None) == self.refs
            return False
        if event.mask & flags.ISDIR:
            return self._take_folder(event)
        return bool(event.mask & _FILE_NEWS) and not event.name.endswith(".lock")

    def _take_folder(self, event: Event) -> bool:
        """Refs may stand in a new folder before it is watched; one that was deleted was empty."""
        if event.mask & _PUT_THERE and event.wd in self.folders:
            self._watch_if_there(self.folders[event.wd] / event.name)
        return bool(event.mask & (_PUT_THERE | flags.MOVED_FROM))

    def _watch_if_there(self, folder: Path) -> None:
        """A folder that is gone again, or closed to us, takes no other's watch with it."""
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            self.watch(folder)
