"""`meshwright blame`: which proxies, and which of their fields, follow from a line of a document."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND, USAGE, Stop
from compiler.cli.explain_command import Form, dump, open_trial

if TYPE_CHECKING:
    from compiler.review.authors import Authored
    from compiler.review.explaining.lines import Lines
    from compiler.source.tree import SourceTree

_ASKED: Final = re.compile(r"(?P<file>.+?)(?::(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?)?")


def blame(
    asked: Annotated[str, typer.Argument(metavar="FILE[:LINE[-LINE]]", help="A file, or some lines of it.")],
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    at: Annotated[str | None, typer.Option("--at", help="Read this commit, branch or tag, not the files.")] = None,
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")] = Form.TEXT,
) -> int:
    """Show what follows from some lines: the fields of each proxy that would differ without them."""
    from compiler.review.authors import find_author
    from compiler.review.explaining.answers import blamed_json, tell_blamed
    from compiler.review.explaining.blame import blame as answer

    file, lines = _read(asked)
    opened = open_trial(path, at, output)
    if opened is None:
        return FOUND
    trial, tree = opened
    known = _find(tree, path, file)
    _require(tree, known, lines)

    def find_writer(one: str, part: "Lines") -> "Authored | None":
        return find_author(path, tree.commit, one, *range(part.first, part.last + 1))

    found = answer(trial, tree, known, lines, find_writer)
    what = known if lines.whole else f"{known}:{_tell(lines)}"
    typer.echo(tell_blamed(found, what) if output is Form.TEXT else dump(blamed_json(found, what)))
    return FINE


def _read(asked: str) -> "tuple[str, Lines]":
    from compiler.review.explaining.lines import ALL, Lines

    match = _ASKED.fullmatch(asked)
    if match is None:
        raise Stop(f"{asked!r} is no file", USAGE)
    if match["first"] is None:
        return match["file"], ALL
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not 0 < first <= last:
        raise Stop(f"{asked!r}: lines are counted from 1, the first before the last", USAGE)
    return match["file"], Lines(first, last)


def _require(tree: "SourceTree", file: str, lines: "Lines") -> None:
    """A line that is not there says nothing, which must not pass for an answer."""
    there = next(len(tree.read(one).splitlines()) for one in tree.files if one.path == file)
    if not lines.whole and lines.first > there:
        raise Stop(f"{file} has {there} lines, and so no line {lines.first}")


def _tell(lines: "Lines") -> str:
    return str(lines.first) if lines.first == lines.last else f"{lines.first}-{lines.last}"


def _find(tree: "SourceTree", path: Path, file: str) -> str:
    """By its path from the repository's folder, or from where the command runs."""
    from compiler.resources.suggest import did_you_mean

    known = [one.path for one in tree.files]
    names = [Path(file).as_posix()]
    full = Path(file).resolve()
    if full.is_relative_to(path.resolve()):
        names.append(full.relative_to(path.resolve()).as_posix())
    found = next((name for name in names if name in known), None)
    if found is None and full.is_file() and full.is_relative_to(path.resolve()):
        raise Stop(f"{file} is no YAML of the mesh, so nothing follows from it", FOUND)
    if found is None:
        guess = did_you_mean(names[0], known)
        raise Stop(f"{path} has no file {file!r}" + (f"; {guess}" if guess else ""))
    return found
