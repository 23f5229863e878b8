"""Exit codes, and the exception with which a command stops with a sentence (design §6)."""

from typing import Final

FINE: Final = 0
FOUND: Final = 1
USAGE: Final = 64
UNREADABLE: Final = 65
UNREACHABLE: Final = 69
BUG: Final = 70
INTERRUPTED: Final = 130


class Stop(Exception):
    """A command cannot go on; the message is a sentence for whoever typed it."""

    def __init__(self, message: str, code: int = UNREADABLE) -> None:
        super().__init__(message)
        self.code = code
