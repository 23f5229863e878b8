"""The IR of where calls go: one port of a service, where its instances listen, how calls are spread over them."""

from compiler.mesh.value import Value
from compiler.resources.model import ResourceKey


class OutsideEndpoint(Value, frozen=True, order=True):
    """Where a service outside of the mesh listens: an IP address or a DNS name; the lowest priority comes first."""

    priority: int
    address: str
    port: int


class Origination(Value, frozen=True):
    """TLS to a service outside of the mesh, as its own certificate is checked.

    `names` are (`Exact` or `Prefix`, name), none where the name is not checked. The authority is a secret of the mesh,
    or PEM that stands in the repository, or with neither the authorities that the proxy's host trusts; without
    `verifies` none. `client` are the secrets of a certificate and its key.
    """

    server_name: str = ""
    names: tuple[tuple[str, str], ...] = ()
    verifies: bool = True
    authority_secret: str = ""
    authority_pem: str = ""
    client: tuple[str, str] | None = None
    oldest: str = ""
    newest: str = ""
    renegotiates: bool = False


class Outside(Value, frozen=True):
    """A service outside of the mesh, which its callers' proxies reach by themselves.

    `by_ipv6` where a proxy that has an IPv6 address itself looks its names up: it asks for such addresses first.
    """

    endpoints: tuple[OutsideEndpoint, ...]
    tls: Origination | None = None
    by_ipv6: bool = False


class Destination(Value, frozen=True):
    """One port of a service as callers see it; `subset` narrows it to endpoints with these tags (2.x)."""

    kri: str
    service: ResourceKey
    section: str
    protocol: str
    mesh: str
    subset: tuple[tuple[str, str], ...] = ()
    secured: bool = False
    identities: tuple[str, ...] = ()
    outside: Outside | None = None
    server_name: str = ""
    """What callers say by TLS, where they speak it."""

    @property
    def name(self) -> str:
        return self.kri


class Endpoint(Value, frozen=True, order=True):
    """Where one instance of a service listens, or a proxy that leads to as many of them as its weight says."""

    zone: str
    address: str
    port: int
    tags: tuple[tuple[str, str], ...] = ()
    weight: int = 1


class Affinity(Value, frozen=True):
    """Endpoints that have this tag, as the caller has, get this share of its calls."""

    key: str
    value: str
    weight: int


class Failover(Value, frozen=True):
    """`kind`: None, Only, Any or AnyExcept these zones; for callers in the zones of `callers`, all where empty."""

    kind: str
    zones: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()

    def takes(self, zone: str) -> bool:
        """Whether calls may go to the zone by this rule."""
        listed = zone in self.zones
        return {"Any": True, "Only": listed, "AnyExcept": not listed}.get(self.kind, False)


class Spread(Value, frozen=True):
    """How calls of a proxy are spread over the zones of a destination's endpoints (kuma-policies §2.7).

    Without `failovers` no call leaves the zone where `local_only` says so; `affinities` are None where nothing is said
    of the caller's own zone. `overprovisioning` is in percent, Envoy's own at 0.
    """

    disabled: bool = False
    local_only: bool = False
    affinities: tuple[Affinity, ...] | None = None
    failovers: tuple[Failover, ...] | None = None
    overprovisioning: int = 0
