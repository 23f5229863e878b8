"""Where the main thread's time goes: its stack, looked at every few milliseconds, as a file that Speedscope opens.

An alarm interrupts the thread to look, so that it runs as fast as ever in between (decision 12).
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Final

import orjson

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
PERIOD: Final = 0.002
"""Seconds between two looks."""

MOST_LOOKS: Final = 10_000

Stack = tuple[int, ...]
"""Functions by the identity of their code, innermost first: a code object takes long to compare and to hash."""


def period_for(seconds: float) -> float:
    """A long profile is coarser, so that none holds more than `MOST_LOOKS`."""
    return max(PERIOD, seconds / MOST_LOOKS)


class Profile:
    """Functions and their files, and for how long; no argument, no local, no value of any kind."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._codes: dict[int, CodeType] = {}
        self._numbers: dict[Stack, int] = {}
        self._looks: list[int] = []
        self._weights: list[float] = []
        self._before = time.perf_counter()

    def look(self, frame: FrameType | None) -> None:
        """The time since the last look goes to this stack; one that stands still is one look, however long."""
        number, now = self._number(frame), time.perf_counter()
        if self._looks and self._looks[-1] == number:
            self._weights[-1] += now - self._before
        else:
            self._looks.append(number)
            self._weights.append(now - self._before)
        self._before = now

    def to_json(self) -> bytes:
        """Speedscope's own format; seconds of wall time."""
        places = {identity: place for place, identity in enumerate(self._codes)}
        stacks = [[places[identity] for identity in reversed(stack)] for stack in self._numbers]
        sampled = {
            "type": "sampled",
            "name": self._name,
            "unit": "seconds",
            "startValue": 0,
            "endValue": sum(self._weights),
            "samples": [stacks[number] for number in self._looks],
            "weights": self._weights,
        }
        return orjson.dumps(
            {
                "$schema": SCHEMA,
                "name": self._name,
                "exporter": "meshwright",
                "activeProfileIndex": 0,
                "shared": {"frames": [_frame(code) for code in self._codes.values()]},
                "profiles": [sampled],
            }
        )

    def _number(self, frame: FrameType | None) -> int:
        """A code object that was seen is kept, so that its identity stays its own."""
        codes = []
        while frame is not None:
            codes.append(frame.f_code)
            frame = frame.f_back
        stack = tuple(map(id, codes))
        if stack not in self._numbers:
            self._numbers[stack] = len(self._numbers)
            self._codes.update(zip(stack, codes, strict=True))
        return self._numbers[stack]


class Watch:
    """Made by the main thread, which is the one that is looked at; any thread may then take a profile, one at a time.

    It takes SIGALRM for good. System calls go on after it, so libraries in C notice nothing.
    """

    def __init__(self) -> None:
        self._profile: Profile | None = None
        self._looking = threading.Lock()
        signal.signal(signal.SIGALRM, self._ring)
        signal.siginterrupt(signal.SIGALRM, False)

    @contextmanager
    def profile(self, name: str, period: float = PERIOD) -> Iterator[Profile]:
        """Complete once it is left."""
        self._profile = profile = Profile(name)
        signal.setitimer(signal.ITIMER_REAL, period, period)
        try:
            yield profile
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._profile = None
            if threading.current_thread() is not threading.main_thread():
                self._look_from_outside(profile)

    def _look_from_outside(self, profile: Profile) -> None:
        """The main thread may be in a wait that began before the last alarm and that no alarm ends."""
        main = threading.main_thread().ident or 0
        with self._looking:
            profile.look(sys._current_frames().get(main))  # noqa: SLF001  # documented, for debuggers

    def _ring(self, _number: int, frame: FrameType | None) -> None:
        """An alarm that interrupts a look, even one of its own, looks at nothing; the next one will."""
        if self._looking.acquire(blocking=False):
            try:
                if self._profile is not None:
                    self._profile.look(frame)
            finally:
                self._looking.release()


def _frame(code: CodeType) -> Mapping[str, object]:
    return {"name": code.co_qualname, "file": code.co_filename, "line": code.co_firstlineno}
