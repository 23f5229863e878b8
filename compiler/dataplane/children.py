"""Processes that must not outlive us."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PARENT_DEATH_SIGNAL = 1


def die_with_parent() -> Callable[[], None] | None:
    """Were we killed outright, an Envoy that nobody can drain would keep the ports. Linux only; found before fork."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
