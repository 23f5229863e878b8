"""What carries the calls of the ADS server, by the names that users give it."""

import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from compiler.http2.calls import Open
from compiler.http2.server import Http2Server
from compiler.xds.limits import Limits


class Transport(Protocol):
    """Takes connections, and gives each call to what the methods name for its path."""

    async def serve(self, address: str, *, tls: ssl.SSLContext | None = None) -> int: ...

    async def stop(self, grace: float) -> None: ...


Carry = Callable[[Mapping[str, Open], Limits], Transport]


def carry_http2(methods: Mapping[str, Open], limits: Limits) -> Transport:
    """HTTP/2 of our own; why is told in decision 19."""
    return Http2Server(methods, limits.list_bounds())


def carry_grpcio(methods: Mapping[str, Open], limits: Limits) -> Transport:
    """Imported only where it is used: it holds 20 MB."""
    from compiler.xds.over_grpcio import GrpcioTransport

    return GrpcioTransport(methods, limits)


TRANSPORTS: Final[Mapping[str, Carry]] = {"http2": carry_http2, "grpcio": carry_grpcio}
