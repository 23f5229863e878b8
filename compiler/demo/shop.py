"""What the mesh repository says is there to start: one application and one Envoy for each Dataplane."""

import errno
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from compiler.demo.failure import CannotStart
from compiler.resources.model import SERVICE, Dataplane, Resource
from compiler.resources.schema import Schemas
from compiler.resources.validate import validate
from compiler.source.parse import parse
from compiler.source.tree import read_directory


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Workload:
    """An application with its proxy: where callers reach the proxy, where the application listens, what it calls."""

    name: str
    mesh: str
    service: str
    version: str
    kind: str
    inbound: Address
    application: Address
    outbounds: Mapping[str, Address]

    @property
    def title(self) -> str:
        """As the application is called: service and version."""
        return f"{self.service}-{self.version}" if self.version else self.service


def read_shop(example: Path) -> Mapping[str, Workload]:
    """By the name of the Dataplane. Raises CannotStart where there is no such repository."""
    if not (example / "meshwright.yaml").is_file():
        raise CannotStart(f"There is no mesh repository at {example}: run the demo from a checkout of the project.")
    documents = parse(read_directory(example).value)
    found = validate(documents.value, Schemas.load())
    resources = found.value.resources.values()
    return {one.name: _workload(one) for one in resources if isinstance(one.spec, Dataplane)}


def _workload(resource: Resource) -> Workload:
    networking = cast("Dataplane", resource.spec).networking
    inbound = networking.inbound[0]
    host = inbound.address or networking.address
    return Workload(
        name=resource.name,
        mesh=resource.key.mesh,
        service=inbound.tags[SERVICE],
        version=inbound.tags.get("version", ""),
        kind="http" if inbound.spoken == "http" else "tcp",
        inbound=Address(host, inbound.port),
        application=Address(inbound.service_address or host, inbound.service_port or inbound.port),
        outbounds={
            outbound.backend_ref.name: Address(outbound.address, outbound.port)
            for outbound in networking.outbound
            if outbound.backend_ref is not None
        },
    )


def require_free(shop: Mapping[str, Workload]) -> None:
    """The addresses stand in the repository, so they are looked at before anything is started."""
    for address in sorted(_listening(shop)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError as error:
                raise CannotStart(_why_not(address, error)) from error


def _listening(shop: Mapping[str, Workload]) -> Iterator[Address]:
    for workload in shop.values():
        yield from (workload.inbound, workload.application, *workload.outbounds.values())


def _why_not(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Something listens on {address} already, which the demo needs: is another demo running?"
    if error.errno == errno.EADDRNOTAVAIL:
        alias = f"sudo ifconfig lo0 alias {address.host}"
        return f"This machine has no loopback address {address.host}; on macOS, add it with `{alias}`."
    return f"The demo cannot listen on {address}: {error.strerror}."
