"""Lines of JSON between the supervisor and a child; the supervisor only reads and relays them."""

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

Message = Mapping[str, object]

_PR_SET_PDEATHSIG: Final = 1


def encode(kind: str, fields: Mapping[str, object]) -> bytes:
    """One message as a line."""
    return json.dumps({**fields, "kind": kind}, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def decode(line: bytes) -> Message:
    """A message, or an empty one where the line is torn (its sender was killed while it wrote)."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class Channel:
    """A child's end of its two pipes; any thread may send."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def send(self, kind: str, **fields: object) -> None:
        """A supervisor that is gone is not an error here: the child is about to be killed."""
        line = encode(kind, fields)
        with self._lock:
            try:
                self._outgoing.write(line)
                self._outgoing.flush()
            except (BrokenPipeError, ValueError):
                return

    def receive(self) -> Message | None:
        """The next message; None when the supervisor has closed the pipe."""
        line = self._incoming.readline()
        return decode(line) if line else None

    def __iter__(self) -> Iterator[Message]:
        while (message := self.receive()) is not None:
            yield message


def take_standard_streams() -> Channel:
    """The pipes that the supervisor gave as standard input and output; a stray print then lands on stderr."""
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))


def die_with(parent: object) -> None:
    """A supervisor killed outright takes its children with it, even one that spins and cannot see a closed pipe.

    `parent` is the supervisor's process id by its own word: it may have died before we could ask to be told.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("this process is started by `meshwright serve`, which is gone")
