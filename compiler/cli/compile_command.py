"""`meshwright compile`: snapshots as files, and the digest that says that two machines made the same ones."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.exits import FINE, FOUND


def compile_(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    ref: Annotated[str | None, typer.Option("--ref", "--at", help="Read this commit or branch, not the files.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the snapshots into this folder, new or empty.")] = None,
    zone: Annotated[str | None, typer.Option(help="Compile the proxies of this zone only.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Write where the time went into this file, for Speedscope.")] = (
        None
    ),
) -> int:
    """Compile a mesh repository; the digest is the last line on stdout."""
    if profile is None:
        return _compile(path, ref, out, zone)
    from compiler.cli.profiled import profiled

    with profiled(profile, "meshwright compile"):
        return _compile(path, ref, out, zone)


def _compile(path: Path, ref: str | None, out: Path | None, zone: str | None) -> int:
    from compiler.cli.findings import show
    from compiler.cli.output import Output
    from compiler.cli.sources import open_tree, require_mesh, require_zone
    from compiler.cli.writing import write_generation
    from compiler.diagnostics import sort_diagnostics
    from compiler.garbage import uncollected
    from compiler.pipeline import Compiler

    tree = open_tree(path, ref)
    with uncollected():
        compiled = Compiler(zone=zone).compile(tree.value)
    diagnostics = sort_diagnostics((*tree.diagnostics, *compiled.diagnostics))
    generation = compiled.value.generation
    if tree.failed or generation is None:
        show(diagnostics, compiled.value.resources.counts, tree.value, Output.TEXT)
        return FOUND
    require_mesh(path, compiled.value.resources.counts)
    require_zone(zone, compiled.value.resources)
    for finding in diagnostics:
        typer.echo(f"{finding.position}: {finding.level.value}[{finding.code}]: {finding.message}", err=True)
    if out is not None:
        write_generation(generation, out, compiled.value.files)
    typer.echo(generation.digest)
    return FINE
