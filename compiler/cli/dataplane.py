"""`meshwright bootstrap` and `meshwright dataplane run`: an Envoy beside its application."""

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compiler.dataplane.bootstrap import AdsProtocol, SocketAddress

app = typer.Typer(help="What runs beside an application.", no_args_is_help=True)


class LogLevel(StrEnum):
    """Envoy's own words."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"
    OFF = "off"


def _named(text: str) -> str:
    """What no resource can be called would wait for its configuration for ever."""
    if not re.fullmatch(r"[\w.-]{1,253}", text):
        raise typer.BadParameter(f"{text!r} is no name of a resource")
    return text


Name = Annotated[str, typer.Option(help="The name of the Dataplane.", callback=_named)]
Mesh = Annotated[str, typer.Option(help="The mesh of the Dataplane.", callback=_named)]
Server = Annotated[str, typer.Option(help="Address of the xDS server.")]
Cluster = Annotated[str, typer.Option(help="What the proxy calls its cluster: its workload or service.")]
SotW = Annotated[bool, typer.Option("--state-of-the-world", help="Use the older protocol rather than delta.")]


@app.callback()
def dataplane() -> None:
    """What runs beside an application."""


def bootstrap(
    name: Name,
    mesh: Mesh = "default",
    server: Server = "127.0.0.1:5678",
    cluster: Cluster = "unknown",
    admin: Annotated[str, typer.Option(help="Envoy's own admin address: HOST:PORT, or the path of a socket.")] = (
        "127.0.0.1:9901"
    ),
    *,
    state_of_the_world: SotW = False,
) -> None:
    """Print the bootstrap of an Envoy, as YAML."""
    from compiler.cli.exits import Stop
    from compiler.dataplane.bootstrap import (
        BootstrapOptions,
        DataplaneError,
        NodeOptions,
        UnixSocket,
        bootstrap_yaml,
    )

    try:
        node = NodeOptions(mesh=mesh, name=name, cluster=cluster)
        place = UnixSocket(Path(admin)) if "/" in admin else _address(admin)
        protocol = _protocol(state_of_the_world=state_of_the_world)
        options = BootstrapOptions(node=node, server=_address(server), admin=place, protocol=protocol)
        typer.echo(bootstrap_yaml(options), nl=False)
    except DataplaneError as error:
        raise Stop(str(error)) from error


@app.command()
def run(
    name: Name,
    mesh: Mesh = "default",
    server: Server = "127.0.0.1:5678",
    cluster: Cluster = "unknown",
    binary_path: Annotated[Path | None, typer.Option(help="The Envoy to run; the one on PATH by default.")] = None,
    work_dir: Annotated[Path | None, typer.Option(help="Where sockets and bootstrap go; a new one by default.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Envoy's worker threads; by processors by default.", min=1, max=1024)
    ] = None,
    drain_time: Annotated[
        float, typer.Option(help="Seconds that open connections have when it stops.", min=0, max=86400)
    ] = 30.0,
    log_level: Annotated[LogLevel, typer.Option(help="Envoy's log level.")] = LogLevel.WARNING,
    *,
    state_of_the_world: SotW = False,
) -> int:
    """Run an Envoy that gets its configuration from the server; SIGTERM drains it."""
    from compiler.cli.exits import Stop
    from compiler.dataplane.bootstrap import DataplaneError, NodeOptions
    from compiler.dataplane.run import RunOptions, run_dataplane
    from compiler.reconcile.logs import configure_logs

    configure_logs("dataplane")
    try:
        return run_dataplane(
            RunOptions(
                node=NodeOptions(mesh=mesh, name=name, cluster=cluster),
                server=_address(server),
                protocol=_protocol(state_of_the_world=state_of_the_world),
                binary=binary_path,
                work_dir=work_dir,
                concurrency=concurrency,
                drain_time=timedelta(seconds=drain_time),
                log_level=log_level.value,
            )
        )
    except DataplaneError as error:
        raise Stop(str(error)) from error


def _address(text: str) -> "SocketAddress":
    from compiler.cli.exits import USAGE, Stop
    from compiler.dataplane.bootstrap import SocketAddress

    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise Stop(f"{text!r} is no address: it takes HOST:PORT, such as 127.0.0.1:5678", USAGE)
    return SocketAddress(host.strip("[]"), int(port))


def _protocol(*, state_of_the_world: bool) -> "AdsProtocol":
    from compiler.dataplane.bootstrap import AdsProtocol

    return AdsProtocol.STATE_OF_THE_WORLD if state_of_the_world else AdsProtocol.DELTA
