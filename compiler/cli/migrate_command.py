"""`meshwright migrate`: documents of an older dialect written anew; a dry run unless it is told to write."""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.exits import FINE, FOUND, USAGE, Stop

if TYPE_CHECKING:
    from compiler.migration.effect import Effect
    from compiler.migration.migrate import FileChange, Migration, Remark


def migrate(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    *,
    write: Annotated[bool, typer.Option("--write", help="Write the files; a dry run shows the difference.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
) -> int:
    """Write legacy policies as the newer ones, `from` as rules, and tags of targetRefs as labels."""
    from compiler.cli.findings import as_text
    from compiler.cli.sources import open_tree
    from compiler.garbage import uncollected
    from compiler.migration.effect import compare
    from compiler.migration.migrate import migrate as plan
    from compiler.migration.migrate import migrated_tree
    from compiler.resources.schema import Schemas
    from compiler.resources.settings import read_settings
    from compiler.snapshot.digest import running_toolchain

    if write and check:
        raise Stop("--write and --check exclude each other", USAGE)
    tree, schemas = open_tree(path, None), Schemas.load()
    settings = read_settings(tree.value, schemas, running_toolchain())
    migration = plan(tree.value, settings.value, schemas)
    with uncollected():
        effect = compare(tree.value, migrated_tree(tree.value, migration), schemas) if migration.changes else None
    for finding in (*tree.diagnostics, *settings.diagnostics, *migration.unread):
        typer.echo(as_text(finding, lambda _: ()), err=True)
    _write(path, migration.changes) if write else _show(migration.changes)
    _report(migration, effect, written=write)
    failed = tree.failed or settings.failed or bool(migration.unread)
    return FOUND if failed or (check and migration.changes) else FINE


def _write(path: Path, changes: Iterable["FileChange"]) -> None:
    """Whole or not at all: a file is replaced once its new text is on disk."""
    for change in changes:
        target = path / change.path
        beside = target.with_name(f".{target.name}.migrated")
        beside.write_bytes(change.after.encode())
        beside.chmod(target.stat().st_mode)
        beside.replace(target)
        typer.echo(change.path)


def _show(changes: Iterable["FileChange"]) -> None:
    for change in changes:
        typer.echo("".join(_difference(change)), nl=False)


def _difference(change: "FileChange") -> Iterator[str]:
    before, after = (text.splitlines(keepends=True) for text in (change.before, change.after))
    for line in difflib.unified_diff(before, after, f"a/{change.path}", f"b/{change.path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _report(migration: "Migration", effect: "Effect | None", *, written: bool) -> None:
    """Beside the difference, so that it can be piped into a patch."""
    from compiler.cli.findings import many

    _list("stays as it is", migration.kept)
    _list("means something else now", migration.differing)
    documents = sum(change.documents for change in migration.changes)
    verb = "written anew" if written else "would be written anew"
    where = f"{many(documents, 'document')} in {many(len(migration.changes), 'file')}"
    typer.echo(f"{where} {verb}; {many(len(migration.kept), 'remark')}", err=True)
    if effect is not None:
        typer.echo(_effect(effect), err=True)


def _list(what: str, remarks: Iterable["Remark"]) -> None:
    for remark in remarks:
        typer.echo(f"{remark.position}: {what}: {remark.message}", err=True)


def _effect(effect: "Effect") -> str:
    if effect.errors:
        return f"what is compiled cannot be compared: {effect.errors}"
    if not effect.differing:
        return "what is compiled stays the same, byte for byte"
    shown = ", ".join(effect.differing[:10]) + (" and more" if len(effect.differing) > 10 else "")
    proxies = "1 proxy" if len(effect.differing) == 1 else f"{len(effect.differing)} proxies"
    return f"what is compiled changes for {proxies}: {shown}; see it with meshwright plan"
