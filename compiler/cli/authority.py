"""`meshwright ca`: the authority of a mesh or of a MeshIdentity, kept outside of their repository."""

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
    identity: Annotated[str, typer.Option(help="The MeshIdentity that it is for, instead of the Mesh's backend.")] = "",
) -> None:
    """Make an authority: a key and a self-signed certificate, in a file that only its owner can read."""
    from datetime import UTC, datetime

    from compiler.cli.exits import Stop
    from compiler.identity.authority import IdentityError, create_authority, write_authority

    try:
        now, name = datetime.now(UTC), identity or backend
        write_authority(out, create_authority(mesh, name, now=now, identity=bool(identity)))
    except IdentityError as error:
        raise Stop(str(error)) from error
    whose = f"MeshIdentity {identity} of mesh {mesh}" if identity else f"mesh {mesh}"
    typer.echo(f"{out}: the authority of {whose}; keep it out of Git, and give it to serve with --ca file:{out}")
