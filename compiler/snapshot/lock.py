"""One writer for each data directory: an flock that lives as long as its descriptor."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from compiler.snapshot.failures import storing


@dataclass(slots=True)
class Lock:
    """Held until `release` or the end of the process, whatever ends it."""

    path: Path
    descriptor: int

    @property
    def held(self) -> bool:
        """A lock file that was deleted or replaced under us guards nothing any more."""
        if self.descriptor < 0:
            return False
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self.descriptor)
        return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def acquire_lock(data: Path) -> Lock | None:
    """None while another process holds it: then this one may only read. Makes `data` when it is not there."""
    path = data / "lock"
    with storing(f"lock {data}"):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
    return Lock(path, descriptor)
