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


class ProxyType(StrEnum):
    """Kuma's words; a zone proxy that is a Dataplane with listeners is a dataplane."""

    DATAPLANE = "dataplane"
    INGRESS = "ingress"
    EGRESS = "egress"


def _named(text: str | None) -> str | None:
    """What no resource can be called would wait for its configuration for ever."""
    if text is not None and not re.fullmatch(r"[\w.-]{1,253}", text):
        raise typer.BadParameter(f"{text!r} is no name of a resource")
    return text


Name = Annotated[str, typer.Option(help="The name of the Dataplane.", callback=_named)]
Mesh = Annotated[str, typer.Option(help="The mesh of the Dataplane.", callback=_named)]
Server = Annotated[str, typer.Option(help="Address of the xDS server.")]
Cluster = Annotated[str, typer.Option(help="What the proxy calls its cluster: its workload or service.")]
SotW = Annotated[bool, typer.Option("--state-of-the-world", help="Use the older protocol rather than delta.")]

Kind = Annotated[ProxyType, typer.Option("--proxy-type", help="A ZoneIngress or ZoneEgress is of no mesh.")]

RunName = Annotated[str | None, typer.Option(help="The name of the Dataplane.", callback=_named)]
RunMesh = Annotated[str | None, typer.Option(help="Its mesh.  [default: default]", callback=_named)]
RunCluster = Annotated[str | None, typer.Option(help="Its workload or service.  [default: unknown]")]
DataplaneFile = Annotated[
    Path | None, typer.Option("--dataplane-file", "-d", help="A Dataplane that says its name; `-` is stdin.")
]
DataplaneVar = Annotated[
    list[str] | None, typer.Option("--dataplane-var", "-v", help="NAME=VALUE for `{{ NAME }}` in that file.")
]
TokenFile = Annotated[Path | None, typer.Option(help="The token by which the server knows the proxy.")]
CaCert = Annotated[str | None, typer.Option(help="The server's authority: a PEM file, or its text.")]
BinaryPath = Annotated[Path | None, typer.Option(help="The Envoy to run; the one on PATH by default.")]
Opa = Annotated[
    Path | None, typer.Option(help="An OPA with its Envoy plugin to run while a MeshOPA wants one; none by default.")
]
OpaArgs = Annotated[list[str] | None, typer.Option("--opa-arg", help="One more argument for it: --v0-compatible, say.")]
WorkDir = Annotated[Path | None, typer.Option(help="Where sockets and bootstrap go; a new one by default.")]
Concurrency = Annotated[
    int | None, typer.Option(help="Envoy's worker threads; by processors by default.", min=1, max=1024)
]
DrainTime = Annotated[float, typer.Option(help="Seconds that open connections have when it stops.", min=0, max=86400)]
UpdateDrainTime = Annotated[
    float | None,
    typer.Option(help="The same when a listener is updated; 10 at most by default.", min=1, max=86400),
]
Readiness = Annotated[str | None, typer.Option(help="HOST:PORT at which /ready is answered.")]
Dns = Annotated[bool, typer.Option("--dns/--no-dns", help="Answer for names of the mesh.")]
ProbesPort = Annotated[
    int | None,
    typer.Option(
        "--application-probe-proxy-port", help="Takes probes of the application here; not by default.", min=1, max=65535
    ),
]
DnsPort = Annotated[int, typer.Option(help="The port of --dns, on loopback.", min=1, max=65535)]
MetricsCert = Annotated[Path | None, typer.Option(help="Certificate (PEM) for scrapes over TLS.")]
MetricsKey = Annotated[Path | None, typer.Option(help="Its key (PEM).")]
EnvoyLogLevel = Annotated[LogLevel, typer.Option(help="Envoy's log level.")]
ComponentLogLevel = Annotated[str | None, typer.Option(help="Envoy's, by component: http:debug,upstream:info")]


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
    proxy_type: Kind = ProxyType.DATAPLANE,
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
        node = NodeOptions(mesh=mesh, name=name, cluster=cluster).of_type(proxy_type.value)
        place = UnixSocket(Path(admin)) if "/" in admin else _address(admin)
        protocol = _protocol(state_of_the_world=state_of_the_world)
        options = BootstrapOptions(node=node, server=_address(server), admin=place, protocol=protocol)
        typer.echo(bootstrap_yaml(options), nl=False)
    except DataplaneError as error:
        raise Stop(str(error)) from error


@app.command()
def run(
    name: RunName = None,
    mesh: RunMesh = None,
    server: Server = "127.0.0.1:5678",
    cluster: RunCluster = None,
    proxy_type: Kind = ProxyType.DATAPLANE,
    dataplane_file: DataplaneFile = None,
    dataplane_var: DataplaneVar = None,
    token_file: TokenFile = None,
    ca_cert: CaCert = None,
    binary_path: BinaryPath = None,
    work_dir: WorkDir = None,
    concurrency: Concurrency = None,
    drain_time: DrainTime = 30.0,
    update_drain_time: UpdateDrainTime = None,
    readiness: Readiness = None,
    application_probe_proxy_port: ProbesPort = None,
    dns_port: DnsPort = 15053,
    metrics_cert: MetricsCert = None,
    metrics_key: MetricsKey = None,
    opa: Opa = None,
    opa_args: OpaArgs = None,
    log_level: EnvoyLogLevel = LogLevel.WARNING,
    component_log_level: ComponentLogLevel = None,
    *,
    dns: Dns = False,
    state_of_the_world: SotW = False,
) -> int:
    """Run an Envoy that gets its configuration from the server; SIGTERM drains it."""
    from compiler.cli.dataplane_options import Neighbours, read_beside, read_node, read_trust
    from compiler.cli.exits import Stop
    from compiler.dataplane.bootstrap import DataplaneError
    from compiler.dataplane.run import RunOptions, run_dataplane
    from compiler.reconcile.logs import configure_logs

    configure_logs("dataplane")
    place = _address(readiness) if readiness else None
    asked = Neighbours(
        place, dns_port if dns else None, metrics_cert, metrics_key, opa, opa_args or (), application_probe_proxy_port
    )
    try:
        return run_dataplane(
            RunOptions(
                node=read_node(name, mesh, cluster, dataplane_file, dataplane_var or ()).of_type(proxy_type.value),
                server=_address(server),
                protocol=_protocol(state_of_the_world=state_of_the_world),
                binary=binary_path,
                work_dir=work_dir,
                concurrency=concurrency,
                drain_time=timedelta(seconds=drain_time),
                update_drain_time=timedelta(seconds=update_drain_time) if update_drain_time else None,
                trust=read_trust(token_file, ca_cert, _address(server)),
                beside=read_beside(asked),
                log_level=log_level.value,
                component_log_level=component_log_level,
            )
        )
    except DataplaneError as error:
        raise Stop(str(error)) from error


def _address(text: str) -> "SocketAddress":
    from compiler.cli.exits import USAGE, Stop
    from compiler.dataplane.bootstrap import SocketAddress

    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise Stop(f"{text!r} is no address: it takes HOST:PORT, such as 127.0.0.1:5678", USAGE)
    return SocketAddress(host.strip("[]"), int(port))


def _protocol(*, state_of_the_world: bool) -> "AdsProtocol":
    from compiler.dataplane.bootstrap import AdsProtocol

    return AdsProtocol.STATE_OF_THE_WORLD if state_of_the_world else AdsProtocol.DELTA
