"""A command that is watched while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compiler.profiling import Watch


@contextmanager
def profiled(path: Path, name: str) -> Iterator[None]:
    """The file is opened first, so that a wrong path costs no compile, and written however the command ends."""
    with path.open("wb") as file:
        try:
            with Watch().profile(name) as profile:
                yield
        finally:
            file.write(profile.to_json() + b"\n")
