"""`meshwright inspect dataplane`: what one proxy is given, and why."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.exits import FINE, FOUND, Stop

if TYPE_CHECKING:
    from compiler.pipeline import Compiled, Compiler
    from compiler.resources.model import ResourceKey

app = typer.Typer(help="Look into what is compiled.", no_args_is_help=True)


class View(StrEnum):
    """`config`: the Envoy resources; `rules`: the merged confs; `policies`: which policies select the proxy."""

    CONFIG = "config"
    RULES = "rules"
    POLICIES = "policies"


class Form(StrEnum):
    JSON = "json"
    YAML = "yaml"


@app.callback()
def inspect() -> None:
    """Look into what is compiled."""


@app.command()
def dataplane(
    name: Annotated[str, typer.Argument(help="The name of a Dataplane, or of a DataplaneSet with registration.")],
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    view: Annotated[View, typer.Option("--type", help="What to look at.")] = View.CONFIG,
    mesh: Annotated[str, typer.Option("--mesh", "-m", help="The mesh of the Dataplane.")] = "default",
    ref: Annotated[str | None, typer.Option(help="Read this commit, branch or tag instead of the files.")] = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="How it is printed.")] = Form.JSON,
) -> int:
    """Show one proxy: its Envoy configuration, its merged rules with their origins, or the policies that select it."""
    from compiler.cli.findings import show
    from compiler.cli.output import Output
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.pipeline import Compiler

    tree = open_tree(path, ref)
    compiler = Compiler()
    compiled = compiler.compile(tree.value)
    if tree.failed or compiled.value.generation is None:
        show((*tree.diagnostics, *compiled.diagnostics), compiled.value.resources.counts, tree.value, Output.TEXT)
        return FOUND
    require_mesh(path, compiled.value.resources.counts)
    typer.echo(_dump(_look(compiler, compiled.value, _find(compiler, compiled.value, mesh, name), view), output))
    return FINE


def _find(compiler: "Compiler", compiled: "Compiled", mesh: str, name: str) -> "ResourceKey":
    from compiler.inspection import find_proxy
    from compiler.mesh.graph import is_proxy
    from compiler.resources.suggest import did_you_mean

    key = find_proxy(compiler.memo, mesh, name)
    if key is None:
        known = [one.name for one, resource in compiled.resources.resources.items() if is_proxy(resource)]
        guess = did_you_mean(name, known)
        raise Stop(f"mesh {mesh!r} has no dataplane {name!r}" + (f"; {guess}" if guess else ""), FOUND)
    return key


def _look(compiler: "Compiler", compiled: "Compiled", key: "ResourceKey", view: View) -> Any:
    from compiler.inspection import show_config, show_policies, show_rules
    from compiler.snapshot.take import SNAPSHOT

    sources = compiled.resources.sources
    match view:
        case View.RULES:
            return show_rules(compiler.memo, key, sources)
        case View.POLICIES:
            return show_policies(compiler.memo, key, sources)
        case View.CONFIG:
            return show_config(compiler.memo.ask(SNAPSHOT, key).snapshot)


def _dump(value: Any, form: Form) -> str:
    if form is Form.YAML:
        import yaml

        return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, allow_unicode=True).rstrip()
    return json.dumps(value, indent=2, ensure_ascii=False)
