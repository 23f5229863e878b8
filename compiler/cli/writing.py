"""Snapshots as files, laid out as in the repository of snapshots."""

from pathlib import Path

from compiler.cli.exits import Stop
from compiler.snapshot.digest import Folder, GenerationTree
from compiler.snapshot.snapshot import Generation


def write_generation(generation: Generation, out: Path) -> None:
    """`out` must be new or empty, so that nothing of an older compile stays behind in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Stop(f"{out}: is not an empty directory; choose another one, or empty it first")
    _write(GenerationTree.build(generation.snapshots.values()).meshes, out / "meshes")


def _write(folder: Folder, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder):
            _write(entry, path / name)
        else:
            (path / name).write_bytes(entry.content)
