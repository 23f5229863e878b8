"""`meshwright init`: a mesh repository to begin with: layout, CI workflow, pre-commit, editor settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

SCAFFOLD: Final = Path(__file__).resolve().parent / "scaffold"
SCHEMAS: Final = Path(".meshwright") / "schemas"
_HIDDEN: Final = frozenset({"github", "gitignore", "pre-commit-config.yaml", "vscode"})
"""They stand in the package without their dot: tools that build or copy packages pass hidden files over."""


def init(
    directory: Annotated[Path, typer.Argument(help="The folder to make; it must be new or empty.", metavar="DIR")],
    *,
    schemas: Annotated[
        bool, typer.Option("--schemas", help="Only write the editor's schemas again, into a repository that is there.")
    ] = False,
) -> None:
    """Make a mesh repository: layout, CI workflow, pre-commit and editor settings."""
    from compiler.cli.exits import Stop

    if schemas:
        if not (directory / "meshwright.yaml").is_file():
            raise Stop(f"{directory}: is no mesh repository, for it has no meshwright.yaml; run init without --schemas")
        typer.echo(f"{directory / SCHEMAS}: {_write_schemas(directory)} schemas")
        return
    _require_empty(directory)
    for path, text in scaffold():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    _write_schemas(directory)
    for line in _farewell(directory):
        typer.echo(line)


def scaffold() -> Iterator[tuple[Path, str]]:
    """The files of a new repository, by their path in it."""
    from compiler import __version__

    for file in sorted(path for path in SCAFFOLD.rglob("*") if path.is_file()):
        first, *rest = file.relative_to(SCAFFOLD).parts
        path = Path(f".{first}" if first in _HIDDEN else first, *rest)
        yield path, file.read_text(encoding="utf-8").replace("@VERSION@", __version__)


def _require_empty(directory: Path) -> None:
    """A clone of a repository that is still empty holds `.git`, and is welcome."""
    from compiler.cli.exits import Stop

    if directory.exists() and not directory.is_dir():
        raise Stop(f"{directory}: is a file; name a folder that is new or empty")
    there = sorted(entry.name for entry in directory.iterdir()) if directory.exists() else []
    if set(there) - {".git"}:
        raise Stop(f"{directory}: is not empty ({', '.join(there[:3])}); name a folder that is new or empty")


def _write_schemas(directory: Path) -> int:
    """Those of this version, as many as are written."""
    from compiler.resources.schema import find_schemas

    target = directory / SCHEMAS
    target.mkdir(parents=True, exist_ok=True)
    files = sorted(find_schemas().glob("*.json"))
    for file in files:
        (target / file.name).write_bytes(file.read_bytes())
    return len(files)


def _farewell(directory: Path) -> Iterator[str]:
    yield f"{directory}: a mesh repository; its README.md says what is where. What comes next:"
    yield f"  cd {directory}"
    yield "  meshwright validate"
    yield "  git init -b main && git add . && git commit -m 'a mesh'"
