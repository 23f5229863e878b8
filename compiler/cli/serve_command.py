"""`meshwright serve`: follow a branch, compile, publish, serve."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Transport(StrEnum):
    """What `xds.transports` names so."""

    HTTP2 = "http2"
    GRPCIO = "grpcio"


_Authorities = Annotated[
    list[str] | None,
    typer.Option(
        help="An authority of a mesh or a MeshIdentity: file:PATH or env:NAME, after MESH= or MESH/IDENTITY= where "
        "its certificate does not say whose it is; may be repeated."
    ),
]


def serve(
    data: Annotated[Path, typer.Option(help="Where snapshots and state are kept; made if it is not there.")],
    repo: Annotated[str, typer.Option(help="The mesh repository: a path on this machine; unless --offline.")] = "",
    ref: Annotated[str, typer.Option(help="The branch to follow.")] = "main",
    path: Annotated[str, typer.Option(help="The folder of the repository that holds the mesh.")] = "",
    xds: Annotated[str, typer.Option(help="Address of the xDS server; loopback only until it authenticates.")] = (
        "127.0.0.1:5678"
    ),
    http: Annotated[str, typer.Option(help="Address of /status, /metrics and the read API.")] = "127.0.0.1:5681",
    health: Annotated[str, typer.Option(help="Address of /livez and /readyz.")] = "127.0.0.1:5680",
    admin: Annotated[str | None, typer.Option(help="Path of the admin socket; DATA/admin.sock by default.")] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two looks at the branch.", min=0.05)] = 1.0,
    ca: _Authorities = None,
    secrets: Annotated[
        Path | None, typer.Option(help="A folder of secrets, watched: what Secret NAME holds is in MESH/NAME.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Compile and serve the proxies of this zone only.")] = None,
    worker_memory: Annotated[
        int, typer.Option(help="MiB that the compiling process may hold before it is ended.", min=256, max=1 << 20)
    ] = 2048,
    first_compile: Annotated[
        float, typer.Option(help="Seconds that the first compile after a start may take.", min=1)
    ] = 60.0,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Serve what is on disk; read no repository.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve xDS without TLS, on loopback.")] = False,
    xds_transport: Annotated[
        Transport,
        typer.Option(help="What carries xDS: HTTP/2 of our own, or grpcio, which costs more CPU."),
    ] = Transport.HTTP2,
    debug: Annotated[
        bool, typer.Option("--debug", help="More in the logs; /debug/profile on the admin socket.")
    ] = False,
) -> int:
    """Serve a branch of a mesh repository to Envoys until told to stop; the first line on stdout says where."""
    from compiler.cli.serve import MIB, Limits, ServeOptions
    from compiler.cli.serve import serve as run

    return run(
        ServeOptions(
            repo=repo,
            data=str(data),
            ref=ref,
            path=path,
            xds=xds,
            http=http,
            health=health,
            admin=admin,
            interval=interval,
            offline=offline,
            insecure=insecure,
            transport=xds_transport.value,
            ca=tuple(ca or ()),
            secrets=str(secrets) if secrets is not None else "",
            debug=debug,
            zone=zone,
            limits=Limits(worker_memory=worker_memory * MIB, first_compile=first_compile),
        )
    )
