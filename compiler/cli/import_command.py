"""`meshwright import`: what `kumactl export` prints, as files of a mesh repository."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND
from compiler.importing.layout import Layout

if TYPE_CHECKING:
    from compiler.diagnostics import Diagnostic
    from compiler.importing.imported import Imported
    from compiler.importing.merging import Merge
    from compiler.resources.schema import Schemas

_STDIN: Final = Path("-")


def import_(
    into: Annotated[Path, typer.Option("--into", help="The mesh repository that the files are for.", metavar="DIR")],
    file: Annotated[Path, typer.Argument(help="An export; `-` is stdin.", metavar="[FILE]")] = _STDIN,
    layout: Annotated[Layout, typer.Option(help="One file a resource, or one file a type.")] = Layout.RESOURCE,
    *,
    sets: Annotated[
        bool, typer.Option("--sets", help="Proxies that differ in name, address and zone only become a DataplaneSet.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the files; without it they are only listed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --write: over files that are there and differ.")] = False,
) -> int:
    """Bring what `kumactl export` or `kubectl get -o yaml` prints into a mesh repository, without its secrets."""
    from compiler.cli.exits import USAGE, Stop
    from compiler.importing.imported import Wanted, import_stream
    from compiler.importing.merging import merge, overlay
    from compiler.importing.merging import write as write_files
    from compiler.resources.schema import Schemas

    if force and not write:
        raise Stop("--force says what --write may do, and does nothing without it", USAGE)
    if into.exists() and not into.is_dir():
        raise Stop(f"{into}: a mesh repository is a directory; this is a file")
    schemas = Schemas.load()
    content = _read(file)
    if not content.strip():
        raise Stop(f"{file}: there is nothing in it; did the command that exports fail?")
    imported = import_stream(str(file), content, Wanted(layout, sets), schemas)
    _show(imported.diagnostics)
    if imported.value is None:
        raise Stop(f"{file}: nothing is imported, for the export could not be read to its end")
    merged = merge(imported.value, into, schemas)
    texts = {**merged.new, **(merged.changed if force else {})}
    if write:
        write_files(into, texts)
    _say(_lines(imported.value, merged, write=write, force=force))
    failed = _judge(overlay(into, {} if write else texts), {*texts, *merged.same}, schemas)
    found = imported.value
    left = bool(found.twice or found.unsafe or found.large or (merged.changed and not force))
    return FOUND if failed or left else FINE


def _read(file: Path) -> bytes:
    from compiler.cli.exits import Stop

    if file == _STDIN:
        return sys.stdin.buffer.read()
    if file.is_dir():
        raise Stop(f"{file}: an export is a file; this is a directory")
    if not file.exists():
        raise Stop(f"{file}: there is no such file")
    return file.read_bytes()


def _lines(imported: "Imported", merged: "Merge", *, write: bool, force: bool) -> Iterator[str]:
    """Everything that was in the stream is accounted for."""
    over = "written over" if write else "would be written over"
    yield from (f"{'written' if write else 'new'}: {path}" for path in merged.new)
    yield from (f"{over if force else 'differs, not touched'}: {path}" for path in merged.changed)
    yield from (f"elsewhere: {_named(key)} stands in {path}" for key, path in merged.elsewhere.items())
    yield from (f"twice: {_named(key)} is in the export in two versions; the first counts" for key in imported.twice)
    yield from (f"left out: {_named(key)} holds a secret where none can be referred to" for key in imported.unsafe)
    yield from (f"left out: {_named(key)} is larger than a file of a repository may be" for key in imported.large)
    for secret in imported.withheld:
        of = f" (from {secret.field})" if secret.field else ""
        yield f"secret: {' '.join(part for part in (secret.type, secret.mesh, secret.name) if part)}{of}"
    yield from _counts("left out, made at run time", imported.runtime)
    yield from _counts("left out, not the mesh's", imported.foreign)
    yield from (f"not read: {path} is outside of `paths` in meshwright.yaml" for path in merged.unread)
    yield _summary(imported, merged, write=write, force=force)


def _summary(imported: "Imported", merged: "Merge", *, write: bool, force: bool) -> str:
    from compiler.cli.findings import many

    written = len(merged.new) + (len(merged.changed) if force else 0)
    kept = len(merged.changed) if not force else 0
    parts = [f"{written} {'written' if write else 'to write'}", f"{len(merged.same)} as they were"]
    if kept:
        parts.append(f"{kept} different ones not touched (--write --force writes over them)")
    hint = "" if write or not written else "; nothing is written without --write"
    return f"{many(imported.resources, 'resource')}: files: {', '.join(parts)}{hint}"


def _counts(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from (f"{what}: {count} {kind}" for kind, count in counts.items())


def _named(key: Iterable[str]) -> str:
    return " ".join(part for part in key if part)


def _judge(tree: object, paths: set[str], schemas: "Schemas") -> bool:
    """What the compiler says of the repository with the imported files; whether it says an error of one of them."""
    from compiler.cli.findings import many
    from compiler.diagnostics import Severity, sort_diagnostics
    from compiler.pipeline import Compiler

    compiled = Compiler(schemas).compile(tree, thorough=True)  # type: ignore[arg-type]  # a SourceTree
    found = sort_diagnostics(compiled.diagnostics)
    errors = [one for one in found if one.level is Severity.ERROR]
    _show(found)
    wrong = {one.position.file for one in errors} & paths
    verdict = f"{len(paths) - len(wrong)} of {many(len(paths), 'imported file')} compile, {len(wrong)} have errors"
    warnings = many(len(found) - len(errors), "warning")
    _say((verdict, f"the repository as a whole: {many(len(errors), 'error')}, {warnings}"))
    return bool(errors)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _show(findings: Iterable["Diagnostic"]) -> None:
    for finding in findings:
        typer.echo(f"{finding.position}: {finding.level.value}[{finding.code}]: {finding.message}", err=True)
