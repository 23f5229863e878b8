"""Prometheus metrics of the xDS server: seconds and bytes, by type, never by proxy."""

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class TypeCounters(NamedTuple):
    """What is counted of one type; looked up by its labels once, not for each push."""

    pushes: Counter
    bytes: Counter
    acks: Counter
    nacks: Counter


class Metrics:
    """One set for one registry, so that two servers in a process do not collide."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self.streams = Gauge(
            "meshwright_xds_streams", "Open ADS streams of admitted proxies.", ["protocol"], registry=registry
        )
        self.pushes = Counter("meshwright_xds_pushes", "Responses written.", ["type"], registry=registry)
        self.bytes = Counter("meshwright_xds_pushed_bytes", "Bytes of responses written.", ["type"], registry=registry)
        self.acks = Counter("meshwright_xds_acks", "Responses accepted by proxies.", ["type"], registry=registry)
        self.nacks = Counter("meshwright_xds_nacks", "Responses refused by proxies.", ["type"], registry=registry)
        self.delivery = Histogram(
            "meshwright_xds_delivery_seconds",
            "From a generation's publication to a proxy's last ACK of it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.ended = Counter(
            "meshwright_xds_streams_ended", "Streams ended by the server.", ["code"], registry=registry
        )
        self.audit = Counter(
            "meshwright_xds_audit_corrections", "Names whose debt the audit had to correct.", registry=registry
        )
        self._by_type: dict[str, TypeCounters] = {}

    def of(self, type_url: str) -> TypeCounters:
        """Only for types that are served: what a client makes up must not become a label."""
        counters = self._by_type.get(type_url)
        if counters is None:
            name = shorten_type(type_url)
            labelled = (each.labels(name) for each in (self.pushes, self.bytes, self.acks, self.nacks))
            counters = self._by_type[type_url] = TypeCounters(*labelled)
        return counters


def shorten_type(type_url: str) -> str:
    """`Cluster` for its type URL."""
    return type_url.rpartition(".")[2]
