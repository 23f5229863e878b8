"""Prometheus metrics of the xDS server: seconds and bytes, by type, never by proxy."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(slots=True)
class TypeCounters:
    """What is counted of one type: plain numbers, since a counter of the library costs as much as writing a push."""

    pushes: int = 0
    bytes: int = 0
    acks: int = 0
    nacks: int = 0

    def note_push(self, size: int) -> None:
        self.pushes += 1
        self.bytes += size

    def note_answer(self, *, accepted: bool) -> None:
        if accepted:
            self.acks += 1
        else:
            self.nacks += 1


_OF_TYPES: Final = {
    "pushes": ("meshwright_xds_pushes", "Responses written."),
    "bytes": ("meshwright_xds_pushed_bytes", "Bytes of responses written."),
    "acks": ("meshwright_xds_acks", "Responses accepted by proxies."),
    "nacks": ("meshwright_xds_nacks", "Responses refused by proxies."),
}


class _ByType(Collector):
    """The counters of all types, as they are when they are asked for."""

    def __init__(self, counted: Mapping[str, TypeCounters]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        for field, (name, text) in _OF_TYPES.items():
            family = CounterMetricFamily(name, text, labels=["type"])
            for type_url, counters in self._counted.items():
                family.add_metric([shorten_type(type_url)], getattr(counters, field))
            yield family


class DeliveryTimes(Collector):
    """Seconds from a generation's publication to a proxy's last ACK of it: a histogram of plain numbers, too."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        bounds = (*(str(float(bound)) for bound in _SECONDS), "+Inf")
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        text = "From a generation's publication to a proxy's last ACK of it."
        yield HistogramMetricFamily("meshwright_xds_delivery_seconds", text, buckets=buckets, sum_value=self._sum)


class Metrics:
    """One set for one registry, so that two servers in a process do not collide."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.registry = registry
        self.streams = Gauge(
            "meshwright_xds_streams", "Open ADS streams of admitted proxies.", ["protocol"], registry=registry
        )
        self.delivery = DeliveryTimes()
        self.ended = Counter(
            "meshwright_xds_streams_ended", "Streams ended by the server.", ["code"], registry=registry
        )
        self.audit = Counter(
            "meshwright_xds_audit_corrections", "Names whose debt the audit had to correct.", registry=registry
        )
        self._by_type: dict[str, TypeCounters] = {}
        registry.register(_ByType(self._by_type))
        registry.register(self.delivery)

    def of(self, type_url: str) -> TypeCounters:
        """Only for types that are served: what a client makes up must not become a label."""
        counters = self._by_type.get(type_url)
        if counters is None:
            counters = self._by_type[type_url] = TypeCounters()
        return counters


def shorten_type(type_url: str) -> str:
    """`Cluster` for its type URL."""
    return type_url.rpartition(".")[2]
