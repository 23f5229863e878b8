"""What can go wrong while snapshots are kept, each said in a sentence that an operator can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


class StoreError(Exception):
    """Nothing was published; what was published before is untouched."""


class StoreFull(StoreError):
    """There is no room, or a quota or a file-size limit is reached."""


class StoreReadOnly(StoreError):
    """The data directory cannot be written to."""


class StoreDamaged(StoreError):
    """Something that was stored is missing or has other bytes than it had."""


class NotTheWriter(StoreError):
    """Another process holds the lock, or has published since."""


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """An error of the disk becomes one of ours, naming `what` could not be done."""
    try:
        yield
    except OSError as error:
        raise _classify(what, error) from error


def _classify(what: str, error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StoreFull(f"cannot {what}: no room left ({error.strerror}); the next attempt needs free space")
    if error.errno in _READ_ONLY:
        return StoreReadOnly(f"cannot {what}: the directory is not writable ({error.strerror}: {error.filename})")
    return StoreError(f"cannot {what}: {error}")
