"""What the demo says: a sentence for each step with the time it began, and under it what was seen and measured."""

import os
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Iterable
from typing import Final, TextIO

from compiler.demo.failure import Interrupted

WIDEST: Final = 80
_NARROWEST: Final = 40
_MARGIN: Final = 9
_LABEL: Final = 33
_BOLD, _GREEN, _RED, _DIM, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m"


class Page:
    """Lines no wider than the terminal; colour on a terminal only, and never under NO_COLOR."""

    def __init__(self, out: TextIO = sys.stdout, width: int | None = None) -> None:
        self._out = out
        self._began = time.monotonic()
        self._colour = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.width = max(_NARROWEST, min(WIDEST, width or shutil.get_terminal_size((WIDEST, 24)).columns))
        self.step_name = "start"

    @property
    def room(self) -> int:
        """The characters that a line under a step has."""
        return self.width - _MARGIN

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        for line in textwrap.wrap(text, self.width):
            self._write(line, _BOLD)

    def step(self, sentence: str) -> None:
        """What is now being done; if it fails, it is named by this sentence."""
        self.step_name = sentence
        first, *others = textwrap.wrap(sentence, self.room)
        self._write("")
        stamp = f"{self.elapsed:5.1f} s  "
        self._write(f"{self._paint(stamp, _DIM)}{self._paint(first, _BOLD)}")
        for line in others:
            self._write(" " * _MARGIN + line, _BOLD)

    def note(self, text: str) -> None:
        """A line or more under the step; words that are too long for a line, such as paths, are never broken."""
        for line in textwrap.wrap(text, self.room, break_long_words=False, break_on_hyphens=False):
            self._write(" " * _MARGIN + line)

    def measure(self, label: str, value: str) -> None:
        """What was measured, in a column of its own where there is room for one."""
        label_width = min(_LABEL, self.room - 14)
        if len(label) > label_width:
            self.note(f"{label}  {value}")
        else:
            self._write(f"{' ' * _MARGIN}{label:<{label_width}}{self._paint(f'{value:>10}', _GREEN)}")

    def quote(self, lines: Iterable[str]) -> None:
        """Another program's words, cut where the line ends."""
        for line in lines:
            self._write(" " * _MARGIN + (line if len(line) <= self.room else line[: self.room - 1] + "…"), _DIM)

    def command(self, text: str) -> None:
        """What to type, on a line of its own and never wrapped, so that it can be copied."""
        self._write(f"  {text}")

    def good(self, sentence: str) -> None:
        self._write("")
        for line in textwrap.wrap(sentence, self.width):
            self._write(line, _GREEN)

    def bad(self, sentence: str) -> None:
        self._write("")
        for line in textwrap.wrap(sentence, self.width, break_long_words=False, break_on_hyphens=False):
            self._write(line, _RED)

    def say(self, sentence: str) -> None:
        self._write("")
        for line in textwrap.wrap(sentence, self.width, break_long_words=False, break_on_hyphens=False):
            self._write(line)

    def _write(self, line: str, style: str = "") -> None:
        """Where the reader has gone, as with `| head`, there is nobody left to show anything to."""
        try:
            self._out.write((self._paint(line, style) if style else line) + "\n")
            self._out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            raise Interrupted(signal.SIGPIPE) from None

    def _paint(self, text: str, style: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._colour and text else text


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
