"""What is counted by plain numbers is told as the library's own metrics tell it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from compiler.xds.metrics import DeliveryTimes, Metrics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def _lines(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "delivery_seconds" in line and "_created" not in line]


@given(st.lists(st.one_of(st.sampled_from(SECONDS), st.floats(0, 100))))
def test_delivery_is_a_histogram_like_any_other(seconds: list[float]) -> None:
    metrics, theirs = Metrics(), CollectorRegistry()
    text = "From a generation's publication to a proxy's last ACK of it."
    histogram = Histogram("meshwright_xds_delivery_seconds", text, buckets=SECONDS, registry=theirs)
    for one in seconds:
        metrics.delivery.observe(one)
        histogram.observe(one)
    assert _lines(metrics.registry) == _lines(theirs)


def test_two_servers_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.delivery.observe(0.2)
    assert isinstance(one.delivery, DeliveryTimes)
    assert _lines(one.registry) != _lines(other.registry)
