"""Where the command begins: streams and Ctrl-C are made sound before anything slow is imported."""

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Final

_INTERRUPTED: Final = 130


def main() -> None:
    """What `meshwright` runs."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    open_streams()
    from compiler.cli.main import main as run

    run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """At once, from whatever is being imported or compiled: nothing is half written that another run would trust."""
    os.write(2, b"meshwright: interrupted\n")
    os._exit(_INTERRUPTED)


def open_streams() -> None:
    """A stream that was closed for us swallows what it is given; a narrow encoding escapes what it cannot hold."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for as long as we run
        elif mode == "w" and isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
