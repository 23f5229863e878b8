"""Why a demo ends early."""

from typing import Final

FAILED: Final = 1
UNAVAILABLE: Final = 69


class DemoFailed(Exception):
    """Something was not as the demo says; the message is the sentence that says what."""


class CannotStart(Exception):
    """The machine lacks something that the demo needs; the message says how to get it."""


class Interrupted(BaseException):
    """Asked to end by a signal; a BaseException, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def require(condition: object, sentence: str) -> None:
    """Every claim of the demo passes through here."""
    if not condition:
        raise DemoFailed(sentence)
