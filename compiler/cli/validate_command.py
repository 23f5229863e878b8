"""`meshwright validate`: everything that is wrong in a mesh repository, at once, with its place."""

from pathlib import Path
from typing import Annotated

import typer

from compiler.cli.exits import FINE, FOUND
from compiler.cli.output import Output


def validate(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    ref: Annotated[str | None, typer.Option("--ref", "--at", help="Read this commit or branch, not the files.")] = None,
    output: Annotated[
        Output, typer.Option("--output", "--format", "-o", help="How findings are printed.")
    ] = Output.TEXT,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
) -> int:
    """Check a mesh repository: schemas, meaning, references, what Envoy would refuse, and its promises' own words."""
    from datetime import UTC, datetime

    from compiler.cli.findings import show
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.diagnostics import Checked, set_severities, sort_diagnostics
    from compiler.garbage import uncollected
    from compiler.identity.expiry import check_expiry
    from compiler.pipeline import Compiler
    from compiler.review.promises.invariants import read_invariants
    from compiler.review.promises.route_tests import read_route_tests

    tree, compiler = open_tree(path, ref), Compiler()
    with uncollected():
        compiled = compiler.compile(tree.value, thorough=True)
    promises = [read(tree.value, compiler.schemas) for read in (read_invariants, read_route_tests)]
    expired = check_expiry(compiled.value.resources, datetime.now(UTC))
    checked = (tree, compiled, *promises, Checked(None, set_severities(expired, compiled.value.settings.severity)))
    diagnostics = sort_diagnostics([one for each in checked for one in each.diagnostics])
    counts = compiled.value.resources.counts
    failed = any(each.failed for each in checked) or (strict and bool(diagnostics))
    if output is Output.TEXT and not diagnostics:
        require_mesh(path, counts)  # before anything says `ok`
    show(diagnostics, counts, tree.value, output, strict=strict)
    if not failed:
        require_mesh(path, counts)
    return FOUND if failed else FINE
