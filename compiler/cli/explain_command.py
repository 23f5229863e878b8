"""`meshwright explain`: why a field of a proxy's Envoy configuration has its value."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.exits import FINE, FOUND, Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler.resources.model import Resource, ResourceKey
    from compiler.review.explaining.addresses import Field
    from compiler.review.explaining.trial import Trial
    from compiler.snapshot.snapshot import Snapshot
    from compiler.source.tree import SourceTree


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


def explain(
    name: Annotated[str, typer.Argument(help="The name of a Dataplane, or of a DataplaneSet with registration.")],
    field: Annotated[
        str,
        typer.Argument(
            help="A field of its Envoy configuration: routes/NAME/virtualHosts/0/routes/0/route/timeout, or as little "
            "of it as says which one: connectTimeout, backend_8080.connectTimeout."
        ),
    ],
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    mesh: Annotated[str | None, typer.Option("--mesh", "-m", help="The mesh of the Dataplane.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Read this commit, branch or tag, not the files.")] = None,
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")] = Form.TEXT,
) -> int:
    """Show which documents set a field, the winner last, with line, commit and author; or whose default it is."""
    from compiler.review.authors import find_author
    from compiler.review.explaining.addresses import find_fields
    from compiler.review.explaining.answers import explained_json, tell_explained
    from compiler.review.explaining.explain import explain as answer

    opened = open_trial(path, at, output)
    if opened is None:
        return FOUND
    trial, tree = opened
    key = find_dataplane(trial.resources.resources, mesh, name)
    snapshot = trial.snapshot(tree, key)
    if snapshot is None:
        raise Stop(f"the mesh of {name!r} is nowhere", FOUND)
    fields = find_fields(snapshot, field)
    if len(fields) != 1:
        return _refuse(snapshot, field, fields, output)
    found = answer(trial, tree, key, fields[0], lambda file, line: find_author(path, tree.commit, file, line))
    typer.echo(tell_explained(found) if output is Form.TEXT else dump(explained_json(found)))
    return FINE


def open_trial(path: Path, at: str | None, output: Form) -> "tuple[Trial, SourceTree] | None":
    """A tree without errors; None where they were printed."""
    from compiler.cli.findings import show
    from compiler.cli.output import Output
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.diagnostics import Severity
    from compiler.review.explaining.trial import Trial
    from compiler.review.variants import with_root

    opened = open_tree(path, at)
    tree, trial = with_root(opened.value), Trial()
    found = (*opened.diagnostics, *trial.read(tree))
    if any(one.level is Severity.ERROR for one in found):
        show(found, trial.resources.counts, tree, Output(output.value))
        return None
    require_mesh(path, trial.resources.counts)
    return trial, tree


def dump(value: object) -> str:
    """JSON as people read it too."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def find_dataplane(resources: "Mapping[ResourceKey, Resource]", mesh: str | None, name: str) -> "ResourceKey":
    """In any mesh where none is named; raises Stop where there is none, or several."""
    from compiler.mesh.graph import is_proxy
    from compiler.resources.suggest import did_you_mean

    proxies = [key for key, one in resources.items() if is_proxy(one) and mesh in (None, key.mesh)]
    found = [key for key in proxies if name in (key.name, f"{key.mesh}.{key.name}")]
    if len(found) == 1:
        return found[0]
    if found:
        meshes = ", ".join(one.mesh for one in found)
        raise Stop(f"several meshes have a dataplane {name!r}: {meshes}; use --mesh", FOUND)
    guess = did_you_mean(name, [key.name for key in proxies])
    where = f"mesh {mesh!r}" if mesh is not None else "the repository"
    raise Stop(f"{where} has no dataplane {name!r}" + (f"; {guess}" if guess else ""), FOUND)


def _refuse(snapshot: "Snapshot", typed: str, fields: "tuple[Field, ...]", output: Form) -> int:
    """No field of that name, or several."""
    from compiler.review.explaining.addresses import guess_field, read_state, resource_json
    from compiler.review.explaining.answers import candidates_json, tell_candidates

    if not fields:
        guess = guess_field(snapshot, typed)
        raise Stop(f"{snapshot.node} has no field {typed!r}" + (f"; {guess}" if guess else ""), FOUND)
    states = [(one, read_state(snapshot, one, resource_json(snapshot, one))) for one in fields]
    typer.echo(tell_candidates(typed, states) if output is Form.TEXT else dump(candidates_json(typed, states)))
    return FOUND
