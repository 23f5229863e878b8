"""`meshwright bisect`: the commit that changed an answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND, UNREACHABLE, USAGE, Stop

if TYPE_CHECKING:
    from compiler.review.history import Bisection, Verdict
    from compiler.review.versions import Version
    from compiler.source.git import Repository

_CANNOT_TELL: Final = 125
_NEVER_RAN: Final = (126, 127)
_REVISIONS: Final = (
    *("ACCESS_AT", "TEST_AT", "EXPLAIN_AT", "BLAME_AT", "LOG_AT", "PLAN_HEAD"),
    *("INSPECT_DATAPLANE_REF", "INSPECT_POLICY_REF", "INSPECT_SERVICE_REF", "INSPECT_RATELIMITS_REF"),
    *("VALIDATE_REF", "COMPILE_REF"),
)
"""The variables of the options by which commands read a commit."""


def bisect(
    command: Annotated[
        list[str],
        typer.Argument(help="What is asked of a commit, after `--`: it exits with 0 for a good one, 125 to skip it."),
    ],
    good: Annotated[str, typer.Option(help="A commit with the answer that is wanted.")],
    bad: Annotated[str, typer.Option(help="A later commit without it.")] = "HEAD",
    path: Annotated[Path, typer.Option(help="A mesh repository, or a folder of one.")] = Path(),
) -> int:
    """Find the commit that changed an answer; commits with equal snapshots are not asked about twice.

    The command runs with MESHWRIGHT_COMMIT, with MESHWRIGHT_SNAPSHOTS (a folder with the compiled snapshots), and so
    that meshwright's own `--at` is that commit: `meshwright bisect --good v1 -- meshwright access --from web --to db`.
    """
    from compiler.cli.log_command import open_history
    from compiler.review.history import bisect as search
    from compiler.source.git import GitError, resolve

    history, repository, last = open_history(path, bad)
    try:
        first = resolve(repository, good)
        found = search(history, first, last, lambda commit, version: _ask(command, commit, version))
    except ValueError as error:
        raise Stop(f"{error}{_hint(command[0])}", USAGE) from error
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error
    return _tell(found, repository)


def _ask(command: list[str], commit: str, version: "Version") -> "Verdict":
    import subprocess
    import tempfile

    from compiler.cli.writing import write_generation
    from compiler.review.history import Verdict

    assert version.generation is not None  # noqa: S101  # only what compiles is asked about
    with tempfile.TemporaryDirectory(prefix="meshwright-") as folder:
        write_generation(version.generation, Path(folder))
        try:
            code = subprocess.run(command, env=_environment(commit, folder), check=False).returncode
        except OSError as error:
            raise Stop(f"{command[0]} cannot be run: {error.strerror}{_hint(command[0])}", USAGE) from error
    if code in _NEVER_RAN:
        raise Stop(f"{command[0]} could not be run (exit code {code})", USAGE)
    verdict = Verdict.SKIPPED if code == _CANNOT_TELL else Verdict.BAD if code else Verdict.GOOD
    typer.echo(f"{commit[:10]} {verdict.value}", err=True)
    return verdict


def _hint(program: str) -> str:
    """`test` is the shell's too, and always says no."""
    own = {name.partition("_")[0].lower() for name in _REVISIONS}
    return f"; to ask meshwright, write `-- meshwright {program}`" if program in own else ""


def _environment(commit: str, folder: str) -> Mapping[str, str]:
    import os

    own = {f"MESHWRIGHT_{name}": commit for name in _REVISIONS}
    return {**os.environ, **own, "MESHWRIGHT_COMMIT": commit, "MESHWRIGHT_SNAPSHOTS": folder}


def _tell(found: "Bisection", repository: "Repository") -> int:
    from compiler.cli.findings import many
    from compiler.source.git import commit_summary

    if len(found.suspects) > 1:
        typer.echo(f"one of {len(found.suspects)} commits did it; those between could not be judged:")
    for commit in found.suspects:
        summary = commit_summary(repository, commit)
        typer.echo(f"{commit} {summary.author}: {summary.subject}")
    same = f", {found.equal} had snapshots that were known" if found.equal else ""
    typer.echo(f"{many(len(found.asked), 'commit')} asked about{same}", err=True)
    return FINE if len(found.suspects) == 1 else FOUND
