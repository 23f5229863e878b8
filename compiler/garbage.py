"""Python's collector of cycles, which walks over everything that is remembered whenever much has been made.

A compile makes next to no cycles and remembers nearly all that it makes: collecting took 29 % of a first compile of
10,000 proxies, and a second at times between two edits. So it does not run by itself, and what one commit left behind
is looked at once, after that commit.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_FEW: Final = 1_000
"""Objects that a look at nothing new leaves behind after a while."""
_MANY: Final = 1_000_000
"""Objects of a first compile, of which nearly all stay: the few cycles among them are let be."""
_SEVERAL: Final = 200_000
"""Objects that take a tenth of a second to look at, for nothing where the process is about to end."""


def collect_by_hand() -> None:
    """From now on only `settle` collects, in this process."""
    gc.disable()


@contextmanager
def uncollected() -> Iterator[None]:
    """For a command that ends when its work does: of much that it made nothing is looked at afterwards either."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running and gc.get_count()[0] > _SEVERAL:
            gc.freeze()
        if running:
            gc.enable()


def settle() -> None:
    """Cycles among what was made since the last time are freed; the rest is never looked at again.

    A tenth of a second after a change that thousands of proxies hear of: what has grown is looked through as a whole.
    """
    made = gc.get_count()[0]
    if made < _FEW:
        return
    if made < _MANY:
        gc.collect()
    gc.freeze()


__all__ = ["collect_by_hand", "settle", "uncollected"]
