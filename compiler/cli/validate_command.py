"""`meshwright validate`: everything that is wrong in a mesh repository, at once, with its place."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.exits import FINE, FOUND
from compiler.cli.output import Output


def validate(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    ref: Annotated[str | None, typer.Option(help="Read this commit, branch or tag instead of the files.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How findings are printed.")] = Output.TEXT,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
) -> int:
    """Check a mesh repository: schemas, meaning, references, and what Envoy would refuse."""
    from compiler.cli.findings import show
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.diagnostics import sort_diagnostics
    from compiler.garbage import uncollected
    from compiler.pipeline import Compiler

    tree = open_tree(path, ref)
    with uncollected():
        compiled = Compiler().compile(tree.value, thorough=True)
    diagnostics = sort_diagnostics((*tree.diagnostics, *compiled.diagnostics))
    show(diagnostics, compiled.value.resources.counts, tree.value, output, strict=strict)
    failed = tree.failed or compiled.failed or (strict and bool(diagnostics))
    if not failed:
        require_mesh(path, compiled.value.resources.counts)
    return FOUND if failed else FINE
