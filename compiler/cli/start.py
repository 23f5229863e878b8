"""Where the command begins: streams and Ctrl-C are made sound before anything slow is imported."""

import os
import signal
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_INTERRUPTED: Final = 130
_ENVIRONMENT: Final = {"GRPC_ENABLE_FORK_SUPPORT": "false"}
"""Else gRPC wakes its threads in every child that we fork to start a program, and now and then one dies of it before
the program has begun (grpc/grpc#43055)."""


def main() -> None:
    """What `meshwright` runs."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    open_streams()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from compiler.cli.main import main as run

    run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """At once, from whatever is being imported or compiled: nothing is half written that another run would trust."""
    os.write(2, b"meshwright: interrupted\n")
    os._exit(_INTERRUPTED)


class _Listened(FileIO):
    """Where the reader has left, as `head` does, the rest goes nowhere; what the command finds stays the same.

    Of a disk that is full the command hears once, not again of what is left in a buffer.
    """

    ended = False

    def write(self, content: "ReadableBuffer") -> int:
        try:
            return memoryview(content).nbytes if self.ended else super().write(content)
        except BrokenPipeError:
            self.ended = True
            return memoryview(content).nbytes
        except OSError:
            self.ended = True
            raise


def open_streams() -> None:
    """A stream that was closed for us swallows what it is given; a narrow encoding escapes what it cannot hold."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for as long as we run
        elif mode == "w" and isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    own = sys.stdout
    if own is sys.__stdout__ and isinstance(own, TextIOWrapper):
        listened = BufferedWriter(_Listened(own.fileno(), "w", closefd=False))
        by_line = own.line_buffering or own.write_through
        sys.stdout = TextIOWrapper(listened, own.encoding, own.errors, line_buffering=by_line)


if __name__ == "__main__":
    main()
