"""What `meshwright dataplane run` reads before it starts anything: who the proxy is, and whom it trusts."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.cli.exits import USAGE, Stop
from compiler.dataplane.agent import Binary
from compiler.dataplane.beside import BesideOptions
from compiler.dataplane.bootstrap import DataplaneError, NodeOptions, SocketAddress, Trust
from compiler.dataplane.metrics.serving import Certificate
from compiler.reconcile.address import is_loopback

_STDIN: Final = Path("-")
_PEM: Final = "-----BEGIN "


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is to run beside Envoy, as it is typed; None is not at all."""

    readiness: SocketAddress | None
    dns_port: int | None
    metrics_cert: Path | None
    metrics_key: Path | None
    opa: Path | None = None
    opa_arguments: Sequence[str] = ()
    probes_port: int | None = None


def read_node(
    name: str | None, mesh: str | None, cluster: str | None, file: Path | None, pairs: Sequence[str]
) -> NodeOptions:
    """What is typed goes before what the file says; one of the two says the name."""
    if file is None:
        if pairs:
            raise Stop("--dataplane-var fills in --dataplane-file, and none is given", USAGE)
        if name is None:
            raise Stop("--name or --dataplane-file says which Dataplane this is; neither is given", USAGE)
        return NodeOptions(mesh=mesh or "default", name=name, cluster=cluster or "unknown")
    from compiler.dataplane.template import describe, read_variables, render

    text = _decode(file, sys.stdin.buffer.read) if file == _STDIN else _read(file)
    described = describe(str(file), render(text, read_variables(pairs)))
    return NodeOptions(mesh or described.mesh, name or described.name, cluster or described.cluster)


def read_trust(token_file: Path | None, authority: str | None, server: SocketAddress) -> Trust | None:
    """The authority is a PEM file's path, or its text as Kubernetes hands it on.

    A token is never sent in plaintext to another machine; DataplaneError where it would be.
    """
    token = _read(token_file).strip() if token_file else ""
    if any(not character.isprintable() for character in token):
        raise DataplaneError(f"{token_file} holds no token: it has more than one line.")
    if token and not authority and not is_loopback(server.host):
        raise DataplaneError(f"The token would go to {server} in plaintext: name its authority with --ca-cert.")
    known = authority.lstrip().startswith(_PEM) if authority else True
    text = (authority or "") if known else _read(Path(authority or ""))
    return Trust(text, token) if text or token else None


def read_beside(asked: Neighbours) -> BesideOptions:
    """The resolvers are those that this machine has now, before anything is redirected to us."""
    chain, key = asked.metrics_cert, asked.metrics_key
    if (chain is None) != (key is None):
        raise Stop("--metrics-cert and --metrics-key go together", USAGE)
    return BesideOptions(
        readiness=asked.readiness,
        dns_port=asked.dns_port,
        resolvers=_resolvers() if asked.dns_port is not None else (),
        certificate=Certificate(chain, key) if chain is not None and key is not None else None,
        agent=_agent(asked.opa, asked.opa_arguments),
        probes_port=asked.probes_port,
    )


def _agent(opa: Path | None, arguments: Sequence[str]) -> Binary | None:
    """Found before Envoy starts; DataplaneError where there is none."""
    if opa is None:
        if arguments:
            raise Stop("--opa-arg goes with --opa", USAGE)
        return None
    found = shutil.which(opa)
    if found is None:
        raise DataplaneError(f"{opa} is no executable file.")
    return Binary(Path(found).absolute(), tuple(arguments))


def _resolvers() -> Sequence[SocketAddress]:
    from compiler.dataplane.dns.upstream import read_resolvers

    return read_resolvers()


def _read(path: Path) -> str:
    return _decode(path, path.read_bytes)


def _decode(path: Path, read: Callable[[], bytes]) -> str:
    try:
        return read().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataplaneError(f"{path} cannot be read: {reason}.") from error
