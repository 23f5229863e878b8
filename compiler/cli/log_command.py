"""`meshwright log`: the history of one proxy's configuration."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.cli.exits import FINE, FOUND, Stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler.review.history import Entry, History
    from compiler.source.git import Repository


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


def log(
    name: Annotated[str, typer.Argument(help="A proxy, by its name or as mesh.name.")],
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    mesh: Annotated[str | None, typer.Option("--mesh", "-m", help="The mesh of the proxy.")] = None,
    at: Annotated[str, typer.Option("--at", help="Begin at this commit, branch or tag.")] = "HEAD",
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Stop after so many changes.")] = 20,
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")] = Form.TEXT,
    *,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Show the fields that changed.")] = False,
) -> int:
    """Show the commits that changed one proxy's Envoy configuration, the newest first."""
    from itertools import islice

    from compiler.review.history import first_parents, proxy_log

    history, repository, tip = open_history(path, at)
    _warn_of_errors(history, tip, at)
    node = _node(history, first_parents(repository, tip), mesh, name, at)
    entries = list(islice(proxy_log(history, node, first_parents(repository, tip)), number))
    if output is Form.JSON:
        typer.echo(
            json.dumps({"schemaVersion": 1, "proxy": node, "changes": [_plain(one) for one in entries]}, indent=2)
        )
    else:
        for entry in entries:
            _print(entry, patch=patch)
    return FINE


def open_history(path: Path, revision: str) -> "tuple[History, Repository, str]":
    """The history of the folder that was named, its repository, and the commit of a revision."""
    from compiler.cli.exits import UNREACHABLE
    from compiler.review.history import History
    from compiler.source.git import GitError, open_repository, resolve
    from compiler.source.refs import discover

    try:
        top, folder = discover(path)
        repository = open_repository(top)
        return History(repository, folder), repository, resolve(repository, revision)
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error


def _node(history: "History", commits: "Iterable[str]", mesh: str | None, name: str, at: str) -> str:
    """Of a proxy that is gone by now, in the last commit that had it."""
    from compiler.review.history import find_nodes

    found = find_nodes(history, commits, name, mesh)
    if len(found) > 1:
        raise Stop(f"several meshes have a proxy {name!r}: {', '.join(found)}; use --mesh", FOUND)
    if not found:
        where = f" in mesh {mesh!r}" if mesh is not None else ""
        raise Stop(f"no commit up to {at} has a proxy {name!r}{where}", FOUND)
    return found[0]


def _warn_of_errors(history: "History", tip: str, at: str) -> None:
    """What does not compile changed nothing that is served, and is no part of the log."""
    if history.version(tip).generation is None:
        typer.echo(f"{at} ({tip[:10]}) does not compile: the log is of the commits before it that do", err=True)


def _print(entry: "Entry", *, patch: bool) -> None:
    from datetime import UTC, datetime

    from compiler.review.outputs import sentences
    from compiler.review.outputs.details import field_lines, shown_fields

    summary = entry.summary
    when = datetime.fromtimestamp(summary.time, UTC).strftime("%Y-%m-%d")
    title = sentences.printable(entry.title)
    earlier = ", here or earlier: the clone is shallow" if entry.earlier else ""
    typer.echo(f"{summary.commit[:10]} {when} {summary.author}  {sentences.SIGNS[entry.kind]} {title}{earlier}")
    typer.echo(f"           {summary.subject}")
    for change in entry.changes if patch else ():
        typer.echo(f"    {sentences.SIGNS[change.kind]} {sentences.resource(change)}")
        for kind, line in field_lines(shown_fields(change.fields)):
            typer.echo(f"        {sentences.SIGNS[kind]} {sentences.printable(line)}")


def _plain(entry: "Entry") -> dict[str, Any]:
    summary = entry.summary
    return {
        "commit": summary.commit,
        "author": summary.author,
        "time": summary.time,
        "subject": summary.subject,
        "kind": entry.kind.value,
        "title": entry.title,
        "orEarlier": entry.earlier,
        "changes": [
            {"kind": one.kind.value, "type": one.type, "name": one.name, "patch": [*one.patch]} for one in entry.changes
        ],
    }
