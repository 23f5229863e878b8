"""`meshwright inspect`: what one proxy is given, and why; whom a policy selects, and who is behind a service."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.exits import FINE, FOUND, Stop
from compiler.cli.explain_command import find_dataplane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler.pipeline import Compiled
    from compiler.resources.model import ResourceKey

app = typer.Typer(help="Look into what is compiled.", no_args_is_help=True)


class View(StrEnum):
    """`config`: the Envoy resources; `layout`: its ports and calls; `rules`: the merged confs; `policies`."""

    CONFIG = "config"
    LAYOUT = "layout"
    RULES = "rules"
    POLICIES = "policies"


class Form(StrEnum):
    JSON = "json"
    YAML = "yaml"


Folder = Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")]
Mesh = Annotated[str | None, typer.Option("--mesh", "-m", help="Its mesh, where several have one of that name.")]
Ref = Annotated[str | None, typer.Option("--ref", "--at", help="Read this commit or branch, not the files.")]
Printed = Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")]


@app.callback()
def inspect() -> None:
    """Look into what is compiled."""


@app.command()
def dataplane(
    name: Annotated[str, typer.Argument(help="The name of a Dataplane, or of a DataplaneSet with registration.")],
    path: Folder = Path(),
    view: Annotated[View, typer.Option("--type", help="What to look at.")] = View.CONFIG,
    mesh: Mesh = None,
    ref: Ref = None,
    output: Printed = Form.JSON,
) -> int:
    """Show one proxy: its Envoy configuration, its layout, its merged rules, or the policies that select it."""
    compiled = _compile(path, ref)
    if compiled is None:
        return FOUND
    key = find_dataplane(compiled.resources.resources, mesh, name)
    typer.echo(_dump(_look(compiled, key, view), output))
    return FINE


@app.command()
def policy(
    name: Annotated[str, typer.Argument(help="The name of a policy; MeshTimeout/NAME where several types have it.")],
    path: Folder = Path(),
    mesh: Mesh = None,
    ref: Ref = None,
    output: Printed = Form.JSON,
) -> int:
    """Show which proxies a policy selects."""
    from compiler.inspecting.chosen import list_policies, show_policy

    compiled = _compile(path, ref)
    if compiled is None:
        return FOUND
    known = (key for one in _meshes(compiled) for key in list_policies(compiled.memo, one))
    key = _find(known, name, mesh, "policy")
    typer.echo(_dump(show_policy(compiled.memo, key, compiled.resources.sources), output))
    return FINE


@app.command()
def service(
    name: Annotated[str, typer.Argument(help="The name of a service; MeshService/NAME where several types have it.")],
    path: Folder = Path(),
    mesh: Mesh = None,
    ref: Ref = None,
    output: Printed = Form.JSON,
) -> int:
    """Show by which names and address a service is called, and which proxies are behind it."""
    from compiler.inspecting.chosen import list_services, show_service

    compiled = _compile(path, ref)
    if compiled is None:
        return FOUND
    known = (key for one in _meshes(compiled) for key in list_services(compiled.memo, one))
    key = _find(known, name, mesh, "service")
    typer.echo(_dump(show_service(compiled.memo, key, compiled.resources.sources), output))
    return FINE


@app.command()
def ratelimits(
    path: Folder = Path(),
    ref: Ref = None,
    out: Annotated[Path | None, typer.Option(help="Write a file for each domain into this folder.")] = None,
    output: Printed = Form.YAML,
) -> int:
    """Show what services of rate limits count by: their configuration, made of all MeshGlobalRateLimits."""
    from compiler.cli.writing import warn_of_rate_limits, write_rate_limits
    from compiler.snapshot.rate_limits import collect_rate_limits

    compiled = _compile(path, ref)
    if compiled is None or compiled.generation is None:
        return FOUND
    limits = collect_rate_limits(compiled.generation.snapshots.values())
    warn_of_rate_limits(limits)
    if out is not None:
        write_rate_limits(limits, out)
    else:
        typer.echo(_dump(list(limits.domains.values()), output))
    return FINE


def _compile(path: Path, ref: str | None) -> "Compiled | None":
    """None where there are errors, which were printed."""
    from compiler.cli.findings import show
    from compiler.cli.output import Output
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.pipeline import Compiler

    tree = open_tree(path, ref)
    compiled = Compiler().compile(tree.value)
    if tree.failed or compiled.value.generation is None:
        show((*tree.diagnostics, *compiled.diagnostics), compiled.value.resources.counts, tree.value, Output.TEXT)
        return None
    require_mesh(path, compiled.value.resources.counts)
    return compiled.value


def _meshes(compiled: "Compiled") -> list[str]:
    return sorted(key.name for key in compiled.resources.resources if key.type == "Mesh")


def _find(known: "Iterable[ResourceKey]", name: str, mesh: str | None, what: str) -> "ResourceKey":
    """By name, or by type and name; raises Stop where there is none, or several."""
    from compiler.resources.suggest import did_you_mean

    keys = [key for key in known if mesh in (None, key.mesh)]
    found = [key for key in keys if name in (key.name, f"{key.type}/{key.name}")]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{one.type}/{one.name} in mesh {one.mesh}" for one in sorted(found))
        raise Stop(f"{name!r} is more than one {what}: {several}; name its type, or use --mesh", FOUND)
    guess = did_you_mean(name, [key.name for key in keys])
    where = f"mesh {mesh!r}" if mesh is not None else "the repository"
    raise Stop(f"{where} has no {what} {name!r}" + (f"; {guess}" if guess else ""), FOUND)


def _look(compiled: "Compiled", key: "ResourceKey", view: View) -> Any:
    from compiler.inspecting.layout import show_layout
    from compiler.inspecting.proxies import show_config, show_policies
    from compiler.inspecting.rules import show_rules
    from compiler.snapshot.take import SNAPSHOT

    memo, sources = compiled.memo, compiled.resources.sources
    match view:
        case View.LAYOUT:
            return show_layout(memo, key)
        case View.RULES:
            return show_rules(memo, key, sources)
        case View.POLICIES:
            return show_policies(memo, key, sources)
        case View.CONFIG:
            return show_config(memo.ask(SNAPSHOT, key).snapshot)


def _dump(value: Any, form: Form) -> str:
    if form is Form.YAML:
        import yaml

        return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, allow_unicode=True).rstrip()
    return json.dumps(value, indent=2, ensure_ascii=False)
