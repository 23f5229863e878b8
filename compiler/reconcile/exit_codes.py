"""What the processes of the daemon say with their exit code."""

from typing import Final

FINE: Final = 0
USAGE: Final = 64
UNREADABLE: Final = 65
UNAVAILABLE: Final = 69
OUT_OF_MEMORY: Final = 71
"""Ours alone, worker to supervisor: an allocation was refused by RLIMIT_AS."""
