"""Prometheus' families as OTLP messages.

The classes are those that came with xds-protos: of an older OTLP, whose `instrumentation_library_metrics` are what is
called `scope_metrics` today, by the same numbers on the wire.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from compiler.dataplane.metrics.exposition import Family, write_families

_SCOPE = "meshwright"
_CUMULATIVE = otlp.AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def export_request(families: Iterable[Family], service: str, since: int) -> ExportMetricsServiceRequest:
    """`since` is when counting began, in nanoseconds, as far as we know: when we did."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    if service:
        resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.instrumentation_library_metrics.add()
    scope.instrumentation_library.name = _SCOPE
    times = {"start_time_unix_nano": since, "time_unix_nano": time.time_ns()}
    for metric in text_string_to_metric_families(write_families(families)):
        _fill(scope.metrics.add(), metric, times)
    return request


def _fill(made: otlp.Metric, metric: Metric, times: Mapping[str, int]) -> None:
    made.name, made.description = metric.name, metric.documentation
    match metric.type:
        case "counter":
            made.sum.aggregation_temporality = _CUMULATIVE
            made.sum.is_monotonic = True
            _add_numbers(made.sum.data_points, _values(metric), times)
        case "histogram":
            made.histogram.aggregation_temporality = _CUMULATIVE
            _add_histograms(made.histogram.data_points, metric, times)
        case "summary":
            _add_summaries(made.summary.data_points, metric, times)
        case _:
            _add_numbers(made.gauge.data_points, _values(metric), times)


def _values(metric: Metric) -> Iterator[Sample]:
    return (sample for sample in metric.samples if not sample.name.endswith("_created"))


def _add_numbers(points: Any, samples: Iterable[Sample], times: Mapping[str, int]) -> None:
    for sample in samples:
        point = points.add(as_double=sample.value, **times)
        _add_attributes(point, sample.labels)


def _add_histograms(points: Any, metric: Metric, times: Mapping[str, int]) -> None:
    """Prometheus counts up to a bound, OTLP between two."""
    for labels, samples in _by_labels(metric, "le"):
        buckets = sorted((float(one.labels["le"]), one.value) for one in samples if one.name.endswith("_bucket"))
        counts = [int(value) for _, value in buckets]
        point = points.add(
            count=int(_one(samples, "_count")),
            sum=_one(samples, "_sum"),
            explicit_bounds=[bound for bound, _ in buckets if bound != float("inf")],
            bucket_counts=[after - before for before, after in zip([0, *counts], counts, strict=False)],
            **times,
        )
        _add_attributes(point, labels)


def _add_summaries(points: Any, metric: Metric, times: Mapping[str, int]) -> None:
    for labels, samples in _by_labels(metric, "quantile"):
        point = points.add(count=int(_one(samples, "_count")), sum=_one(samples, "_sum"), **times)
        for sample in samples:
            if "quantile" in sample.labels:
                point.quantile_values.add(quantile=float(sample.labels["quantile"]), value=sample.value)
        _add_attributes(point, labels)


def _by_labels(metric: Metric, without: str) -> Iterator[tuple[Mapping[str, str], list[Sample]]]:
    found: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in metric.samples:
        key = tuple(sorted((name, text) for name, text in sample.labels.items() if name != without))
        found.setdefault(key, []).append(sample)
    return ((dict(key), samples) for key, samples in found.items())


def _one(samples: Iterable[Sample], suffix: str) -> float:
    return next((sample.value for sample in samples if sample.name.endswith(suffix)), 0.0)


def _add_attributes(point: Any, labels: Mapping[str, str]) -> None:
    for name, text in labels.items():
        point.attributes.add(key=name).value.string_value = text
