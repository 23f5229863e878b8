"""What another release makes of a commit: for seeing, before an upgrade, which proxies it would change.

The other release stands in an environment of its own and is run as a program; or its snapshots were kept, by `compile
--out` or by a reconciler.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.restore import parse_snapshot, restore_generation
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.store import SnapshotStore

__all__ = ["Compiler", "OtherCompilerError", "find_compiler", "read_snapshots"]

FOLDER: Final = "MESHWRIGHT_COMPILERS"
"""The environment variable with the folder in which releases stand, each in a virtual environment of its version."""
_VERSION: Final = re.compile(r"\d+(\.\d+)+[a-z0-9.+-]*")
_SECONDS: Final = 600


class OtherCompilerError(Exception):
    """The other release cannot be run, or its snapshots cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A release by its program, or by the snapshots that it left."""

    name: str
    program: Path | None = None
    snapshots: Path | None = None

    def compile(self, repository: Path, commit: str) -> Mapping[str, Snapshot]:
        """Snapshots of a commit, by node id."""
        if self.snapshots is not None:
            return read_snapshots(self.snapshots, commit)
        with tempfile.TemporaryDirectory(prefix="meshwright-") as folder:
            command = [str(self.program), "compile", str(repository), "--ref", commit, "--out", folder]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise OtherCompilerError(f"{self.name} cannot be run: {error}") from error
            if done.returncode:
                raise OtherCompilerError(f"{self.name} does not compile {commit[:10]}: {done.stderr.strip()[-500:]}")
            return read_snapshots(Path(folder), commit)


def find_compiler(wanted: str) -> Compiler:
    """A version, a virtual environment, a program, a folder of `compile --out`, or a reconciler's data folder."""
    path = Path(wanted)
    if not _VERSION.fullmatch(wanted) or path.exists():
        return _at(path, wanted)
    folder = os.environ.get(FOLDER) or str(Path("~/.cache/meshwright/compilers").expanduser())
    program = Path(folder) / wanted / "bin" / "meshwright"
    if not program.exists():
        make = f"python3 -m venv {program.parents[1]} && {program.parents[0]}/pip install meshwright=={wanted}"
        raise OtherCompilerError(f"release {wanted} is not here; install it once: {make}")
    return Compiler(f"meshwright {wanted}", program)


def _at(path: Path, wanted: str) -> Compiler:
    if (path / "meshes").is_dir() or (path / "snapshots.git").is_dir():
        return Compiler(f"snapshots of {wanted}", snapshots=path)
    for program in (path, path / "bin" / "meshwright"):
        if program.is_file() and os.access(program, os.X_OK):
            return Compiler(wanted, program)
    raise OtherCompilerError(f"{wanted} is neither a version, nor an environment with meshwright, nor has it snapshots")


def read_snapshots(folder: Path, commit: str) -> Mapping[str, Snapshot]:
    """Of a folder of files, or of a store that published this very commit last."""
    try:
        if (folder / "meshes").is_dir():
            found = [parse_snapshot(path, files) for path, files in _files(folder)]
            return {str(snapshot.node): snapshot for snapshot in found}
        store = SnapshotStore.open(folder)
        published = next((one for one in store.history() if one.source.commit == commit), None)
        if published is None:
            raise OtherCompilerError(f"{folder} has no snapshots of {commit[:10]}; compare another commit with --head")
        return restore_generation(store.repository, published).generation.snapshots
    except StoreDamaged as error:
        raise OtherCompilerError(f"{folder}: {error}") from error


def _files(folder: Path) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """A proxy's files stand in one folder, and nothing else does."""
    for directory, _, names in os.walk(folder / "meshes"):
        if names:
            path = Path(directory)
            yield path.relative_to(folder).as_posix(), {name: (path / name).read_bytes() for name in sorted(names)}
