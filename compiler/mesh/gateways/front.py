"""The IR of builtin gateways: what they take from outside of the mesh, and where that goes (kuma-policies §4)."""

from compiler.mesh.calls import Tls
from compiler.mesh.http_route import Backend, HttpRoute
from compiler.mesh.order import Origin
from compiler.mesh.value import Confs, Owner, Value


class GatewayHost(Value, frozen=True):
    """A host name, `*.example.com`, or `*` for every one; requests for it go by routes, or are answered with 404.

    `confs` hold for what no route takes, where the closest listener says something else than the chain.
    """

    domain: str
    routes: tuple[HttpRoute, ...] = ()
    confs: Confs = ()


class GatewayChain(Value, frozen=True):
    """Connections of a port that ask for one server name, or for any where it is empty.

    Requests go by `hosts`; connections that are not read go to `backends`. With certificates, which are Secrets of the
    mesh, they are decrypted. `incoming` are confs for what comes in, `outgoing` for what is sent on.
    """

    name: str
    server_name: str = ""
    certificates: tuple[str, ...] = ()
    hosts: tuple[GatewayHost, ...] = ()
    backends: tuple[Backend, ...] = ()
    incoming: Confs = ()
    outgoing: Confs = ()
    origins: tuple[Origin, ...] = ()


class GatewayListener(Value, frozen=True):
    """A port of a builtin gateway; `protocol` is HTTP, HTTPS, TCP or TLS, `limit` the connections that it takes.

    With `tls` its callers are proxies of whatever mesh, by mutual TLS; without, strangers.
    """

    name: str
    mesh: str
    address: str
    port: int
    protocol: str
    chains: tuple[GatewayChain, ...]
    limit: int | None = None
    owner: Owner | None = None
    origins: tuple[Origin, ...] = ()
    tls: Tls | None = None

    @property
    def reads_requests(self) -> bool:
        return self.protocol in ("HTTP", "HTTPS")

    @property
    def is_encrypted(self) -> bool:
        return self.protocol in ("HTTPS", "TLS")
