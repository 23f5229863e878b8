"""`meshwright ca`: the builtin authority of a mesh, kept outside of its repository."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The builtin authority of a mesh.", no_args_is_help=True)


@app.callback()
def authority() -> None:
    """The builtin authority of a mesh."""


@app.command()
def create(
    mesh: Annotated[str, typer.Argument(help="The mesh whose proxies it certifies.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    backend: Annotated[str, typer.Option(help="The name of the backend in the Mesh.")] = "ca-1",
) -> None:
    """Make an authority: a key and a self-signed certificate, in a file that only its owner can read."""
    from datetime import UTC, datetime

    from compiler.cli.exits import Stop
    from compiler.identity.authority import IdentityError, create_authority, write_authority

    try:
        write_authority(out, create_authority(mesh, backend, now=datetime.now(UTC)))
    except IdentityError as error:
        raise Stop(str(error)) from error
    typer.echo(f"{out}: the authority of mesh {mesh}; keep it out of Git, and give it to serve with --ca file:{out}")
