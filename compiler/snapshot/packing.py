"""Git's own packing, beside the work: looked at now and then, and ended as soon as something is to be published."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from compiler.snapshot.failures import StoreDamaged, StoreError

__all__ = ["Packing"]

_COMMAND: Final = ("-c", "repack.updateServerInfo=false", "gc", "--quiet", "--prune=now")
"""Nobody fetches from this repository, so no lists are made for those who would."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGKILL)
_GRACE_SECONDS: Final = 0.1
"""Git removes what it has not finished and ends within some milliseconds."""

_NICENESS: Final = 10


class Packing:
    """One `git gc`, in a process group of its own since it leaves the work to others; all of them are ended together.

    All hold our end of a pipe, which is at its end when the last of them is gone.
    """

    def __init__(self, repository: Path, environment: Mapping[str, str], lock: int) -> None:
        """`lock` stays open in it: if we die, ours is held until it is done. Raises `StoreError` without Git."""
        command = ["git", f"--git-dir={repository}", *_COMMAND]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=(lock,),
                process_group=0,
            )
        except OSError as error:
            raise StoreError(f"git gc cannot be started: {error}") from error
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self._process.pid, _NICENESS)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Until it is done. Raises `StoreDamaged` with Git's own words where it failed."""
        if (self._process.poll() or 0) < 0:
            self.end()  # Somebody killed it, and what it had started goes on.
        _, said = self._process.communicate()
        if self._process.returncode:
            raise StoreDamaged(f"git gc failed: {said.decode(errors='replace').strip()[-300:]}")

    def end(self) -> None:
        """Asked, then killed: not one process of it is left, but files that it did not finish may be."""
        for number in _SIGNALS:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=_GRACE_SECONDS)
                return
        self._process.communicate()
