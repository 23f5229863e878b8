"""Snapshots as files, laid out as in the repository of snapshots."""

from pathlib import Path

import typer

from compiler.cli.exits import Stop
from compiler.migration.writing import write_yaml
from compiler.snapshot.digest import Folder, GenerationTree, escape_name
from compiler.snapshot.rate_limits import RateLimits, collect_rate_limits
from compiler.snapshot.snapshot import Generation

_UNFINISHED = ".unfinished"
"""Where snapshots stand until all are written: whoever looks for `meshes` finds them whole or not at all."""


def write_generation(generation: Generation, out: Path, tree: GenerationTree | None = None) -> None:
    """`out` must be new or empty, so that nothing of an older compile stays behind in it.

    `tree` saves making it again.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Stop(f"{out}: is not an empty directory; choose another one, or empty it first")
    tree = tree or GenerationTree.build(generation.snapshots.values())
    _write(tree.meshes, out / _UNFINISHED)
    limits = collect_rate_limits(generation.snapshots.values())
    warn_of_rate_limits(limits)
    write_rate_limits(limits, out / "ratelimits")
    (out / _UNFINISHED).rename(out / "meshes")


def warn_of_rate_limits(limits: RateLimits) -> None:
    """What proxies of one service do not agree upon."""
    for conflict in limits.conflicts:
        typer.echo(f"warning: {conflict}", err=True)


def write_rate_limits(limits: RateLimits, folder: Path) -> None:
    """A file for each domain, as the service of rate limits reads them; no folder where there are none."""
    for domain, described in limits.domains.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{escape_name(domain)}.yaml").write_text(write_yaml(described), encoding="utf-8")


def _write(folder: Folder, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder):
            _write(entry, path / name)
        else:
            (path / name).write_bytes(entry.content)
