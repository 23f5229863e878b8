"""One writer for a data folder: a flock on DATA/lock, held by an open descriptor that the worker inherits."""

import fcntl
import os
from pathlib import Path


class DataFolder:
    """The folder and our hold on it; without the hold we serve what is there and write nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None
        self.reason = ""

    def hold(self) -> bool:
        """Whether we are the writer; where not, `reason` says why as a sentence."""
        if self.descriptor is not None and not self._is_in_place(self.descriptor):
            self.release()
        if self.descriptor is None:
            self.reason = self._take()
        return self.descriptor is not None

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _is_in_place(self, descriptor: int) -> bool:
        """A lock file that was removed under us guards nothing."""
        try:
            named, held = (self.path / "lock").stat(), os.fstat(descriptor)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _take(self) -> str:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return f"{self.path} cannot be written ({error.strerror}); serving what is there"
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return f"another instance holds {self.path}; serving what it publishes, writing nothing"
        self.descriptor = descriptor
        return ""
