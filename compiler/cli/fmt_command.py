"""`meshwright fmt`: canonical YAML of mesh documents, comments kept; what is not the mesh's is not touched."""

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND

if TYPE_CHECKING:
    from compiler.diagnostics import Diagnostic
    from compiler.formatting.files import Outcome

_STDIN: Final = Path("-")


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders, the current one by default; `-` is stdin.", metavar="[PATH]..."),
    ] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> int:
    """Write mesh documents in canonical form: order of fields, quotes, lists, indentation."""
    from compiler.cli.exits import USAGE, Stop

    chosen = paths or [Path()]
    if _STDIN in chosen:
        if len(chosen) > 1:
            raise Stop("- is stdin, and stands alone", USAGE)
        return _format_stdin(check=check, diff=diff)
    for path in chosen:
        if not path.exists():
            raise Stop(f"{path}: there is no such file or directory")
    return _format_files(chosen, check=check, diff=diff)


def _format_files(paths: Sequence[Path], *, check: bool, diff: bool) -> int:
    from compiler.formatting.files import find_unread, find_wrong_settings, format_paths, write_whole
    from compiler.resources.schema import Schemas

    schemas = Schemas.load()
    if wrong := find_wrong_settings(paths, schemas):
        _show(wrong)
        return FOUND
    unread = find_unread(paths, schemas)
    _show(unread)
    outcomes = []
    for outcome in format_paths(paths, schemas):
        outcomes.append(outcome)
        _show(outcome.findings)
        if outcome.changed and not check and not diff:
            write_whole(outcome.path, outcome.after or "")
        if outcome.changed:
            sys.stdout.writelines(_difference(outcome) if diff else (f"{outcome.path}\n",))
    typer.echo(_summary(outcomes, written=not check and not diff), err=True)
    return FOUND if unread else _exit_code(outcomes, check=check)


def _format_stdin(*, check: bool, diff: bool) -> int:
    """The text goes to stdout; what cannot be read comes out as it was, so that an editor loses nothing."""
    from compiler.formatting.files import format_text
    from compiler.resources.schema import Schemas

    outcome = format_text("<stdin>", sys.stdin.buffer.read(), Schemas.load())
    _show(outcome.findings)
    if diff:
        sys.stdout.writelines(_difference(outcome))
    elif not check:
        sys.stdout.buffer.write(outcome.before if outcome.after is None else outcome.after.encode())
        sys.stdout.buffer.flush()
    return _exit_code([outcome], check=check)


def _exit_code(outcomes: Iterable["Outcome"], *, check: bool) -> int:
    return FOUND if any(one.after is None or (check and one.changed) for one in outcomes) else FINE


def _difference(outcome: "Outcome") -> Iterator[str]:
    before = outcome.before.decode(errors="replace").splitlines(keepends=True)
    after = (outcome.after if outcome.after is not None else "").splitlines(keepends=True)
    if outcome.after is None:
        return
    for line in difflib.unified_diff(before, after, f"a/{outcome.path}", f"b/{outcome.path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _show(findings: Iterable["Diagnostic"]) -> None:
    for finding in findings:
        typer.echo(f"{finding.position}: {finding.level.value}[{finding.code}]: {finding.message}", err=True)


def _summary(outcomes: Sequence["Outcome"], *, written: bool) -> str:
    """Nothing is passed over silently."""
    changed = sum(one.changed for one in outcomes)
    alone = sum(one.after is None for one in outcomes)
    foreign = sum(one.after is not None and not one.documents for one in outcomes)
    same = len(outcomes) - changed - alone - foreign
    parts = [f"{changed} {'formatted' if written else 'would change'}", f"{same} in canonical form"]
    if foreign:
        parts.append(f"{foreign} with nothing of a mesh, not touched")
    if alone:
        parts.append(f"{alone} left alone")
    return f"{len(outcomes)} file{'' if len(outcomes) == 1 else 's'}: {', '.join(parts)}"
