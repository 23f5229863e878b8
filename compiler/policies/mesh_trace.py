"""MeshTrace: which requests are traced, what spans say, and who collects them (kuma-policies §2.15)."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from envoy.config.trace.v3.datadog_pb2 import DatadogConfig
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.message import Message
from msgspec import field

from compiler.diagnostics import Severity
from compiler.envoy.clusters import HTTP
from compiler.envoy.outside import collector_cluster, encrypt, outside_cluster
from compiler.envoy.packing import pack
from compiler.envoy.policy import Direction, Hooks, Policy, Site
from compiler.envoy.resources import ResourceType
from compiler.mesh.collectors import (
    Collector,
    OpenTelemetry,
    check_blocks,
    check_collectors,
    collector_references,
    confs_of,
)
from compiler.mesh.declared import declared_references, refuse_tracing, resolve_tracing
from compiler.mesh.policy import Need, PolicyKind, Reached
from compiler.mesh.value import Owner
from compiler.resources.backends import DECLARED
from compiler.resources.checks.telemetry import UNVERIFIED
from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Percentage

_BLOCKS: Final = {"Zipkin": "zipkin", "Datadog": "datadog", "OpenTelemetry": "openTelemetry", DECLARED: "mesh"}
_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://(?:\[([^]]*)\]|([^:/]*))(?::([0-9]+))?(.*)")
_LARGEST_PORT: Final = 65535
_VERSIONS: Final = {
    "httpJson": ZipkinConfig.CollectorEndpointVersion.HTTP_JSON,
    "httpProto": ZipkinConfig.CollectorEndpointVersion.HTTP_PROTO,
}
_TIMEOUT_SECONDS: Final = 10
_ALL: Final = Percentage(100)


class Zipkin(Spec, frozen=True):
    """`api_version`: httpJson or httpProto."""

    url: str
    trace_id128bit: bool = field(default=False, name="traceId128bit")
    api_version: str = "httpJson"
    shared_span_context: bool = True


class Datadog(Spec, frozen=True):
    url: str
    split_service: bool = False


class Backend(Spec, frozen=True):
    """`type` says which of the blocks is there."""

    type: str
    zipkin: Zipkin | None = None
    datadog: Datadog | None = None
    open_telemetry: OpenTelemetry | None = None


class Sampling(Spec, frozen=True):
    """In percent."""

    overall: Percentage = _ALL
    client: Percentage = _ALL
    random: Percentage = _ALL


class Header(Spec, frozen=True):
    name: str
    default: str = ""


class Tag(Spec, frozen=True):
    """Either a literal or what a header says."""

    name: str
    literal: str | None = None
    header: Header | None = None


class Trace(Spec, frozen=True):
    """Without a backend nothing is traced."""

    backends: tuple[Backend, ...] = ()
    sampling: Sampling | None = None
    tags: tuple[Tag, ...] = ()


def trace_requests(conf: Trace, connections: HttpConnectionManager, site: Site) -> None:
    provider = _provider(conf.backends[0], site) if conf.backends else None
    if provider is None:
        return
    name, settings = provider
    tracing = connections.tracing
    tracing.provider.name = name
    tracing.provider.typed_config.CopyFrom(pack(settings))
    if site.gateway:  # what it is asked and what it asks are spans of their own, as nobody traced the call before
        tracing.spawn_upstream_span.value = True
    if conf.sampling is not None:
        for field, share in (
            (tracing.overall_sampling, conf.sampling.overall),
            (tracing.client_sampling, conf.sampling.client),
            (tracing.random_sampling, conf.sampling.random),
        ):
            field.CopyFrom(Percent(value=float(share)))
    _add_tags(conf, connections, site)


def _add_tags(conf: Trace, connections: HttpConnectionManager, site: Site) -> None:
    """Who the proxy is, unless a tag of the same name says otherwise."""
    own = {tag.name for tag in conf.tags}
    for name, value in _owner_tags(site.owner):
        if value and name not in own:
            connections.tracing.custom_tags.add(tag=name).literal.value = value
    for tag in conf.tags:
        added = connections.tracing.custom_tags.add(tag=tag.name)
        if tag.header is not None:
            added.request_header.name = tag.header.name
            added.request_header.default_value = tag.header.default
        else:
            added.literal.value = tag.literal or ""


def _owner_tags(owner: Owner | None) -> tuple[tuple[str, str], ...]:
    if owner is None:
        return ()
    return ("kuma.mesh", owner.mesh), ("kuma.zone", owner.zone), ("kuma.workload", owner.workload)


def _provider(backend: Backend, site: Site) -> tuple[str, Message] | None:
    service = site.owner.service if site.owner is not None else ""
    if backend.zipkin is not None:
        return "envoy.tracers.zipkin", _zipkin(backend.zipkin, gateway=site.gateway)
    if backend.datadog is not None:
        return "envoy.tracers.datadog", _datadog(backend.datadog, service, site)
    if backend.open_telemetry is not None and backend.open_telemetry.collector is not None:
        return "envoy.tracers.opentelemetry", _open_telemetry(backend.open_telemetry.collector, service)
    return None


def _zipkin(conf: Zipkin, *, gateway: bool) -> ZipkinConfig:
    place = _place(conf.url)
    settings = ZipkinConfig(
        collector_cluster=place.cluster("zipkin"),
        collector_endpoint=place.target if place.target.startswith("/") else f"/{place.target}",
        collector_hostname=place.authority,
        collector_endpoint_version=_VERSIONS[conf.api_version],
        trace_id_128bit=conf.trace_id128bit,
        split_spans_for_request=gateway,
    )
    settings.shared_span_context.value = conf.shared_span_context
    return settings


def _datadog(conf: Datadog, service: str, site: Site) -> DatadogConfig:
    """Split, each destination and the incoming requests are services of their own."""
    place = _place(conf.url)
    incoming = site.direction is Direction.INBOUND
    part = ("_INBOUND" if incoming else f"_OUTBOUND_{site.service}") if conf.split_service else ""
    return DatadogConfig(
        collector_cluster=place.cluster("datadog"),
        service_name=f"{service}{part}",
        collector_hostname=place.authority,
    )


def _open_telemetry(collector: Collector, service: str) -> OpenTelemetryConfig:
    settings, cluster = OpenTelemetryConfig(service_name=service), _collector_name(collector)
    if collector.protocol == "http":
        uri = settings.http_service.http_uri
        scheme = "https" if collector.encrypted else "http"
        uri.uri = f"{scheme}://{_authority(collector)}{collector.path.rstrip('/')}/v1/traces"
        uri.cluster = cluster
        uri.timeout.FromSeconds(_TIMEOUT_SECONDS)
    else:
        settings.grpc_service.envoy_grpc.cluster_name = cluster
    return settings


def _authority(collector: Collector) -> str:
    host = f"[{collector.address}]" if ":" in collector.address else collector.address
    return f"{host}:{collector.port}"


def add_collector(conf: Trace, _: Owner | None) -> Iterator[tuple[ResourceType, Message]]:
    for backend in conf.backends:
        if backend.zipkin is not None:
            place = _place(backend.zipkin.url)
            cluster = outside_cluster(place.cluster("zipkin"), place.host, place.port)
            if place.scheme == "https":
                encrypt(cluster, place.host)
            yield ResourceType.CLUSTER, cluster
        if backend.datadog is not None:
            place = _place(backend.datadog.url)
            yield ResourceType.CLUSTER, outside_cluster(place.cluster("datadog"), place.host, place.port)
        collector = backend.open_telemetry.collector if backend.open_telemetry is not None else None
        if collector is not None:
            yield ResourceType.CLUSTER, collector_cluster(_collector_name(collector), collector)


def _collector_name(collector: Collector) -> str:
    return f"system_meshtrace_otel_{collector.name}"


class _Place(NamedTuple):
    """Where a URL leads; `authority` is host and port as they are written."""

    scheme: str
    host: str
    port: int
    target: str
    authority: str

    def cluster(self, kind: str) -> str:
        return f"system_meshtrace_{kind}_{self.host.replace(':', '_')}-{self.port}"


def _place(url: str) -> _Place:
    """Where the URL says no port, its scheme's (kuma-policies §8, defect 25); the schema has judged its form."""
    found = _URL.fullmatch(url)
    scheme, six, host, port, target = found.groups() if found is not None else ("http", None, "", None, "")
    shown = f"[{six}]" if six is not None else host
    authority = f"{shown}:{port}" if port is not None else shown
    return _Place(scheme, six if six is not None else host, int(port) if port else _PORTS[scheme], target, authority)


def check(policy: PolicySpec) -> Iterator[Finding]:
    yield from check_blocks(policy, _BLOCKS)
    yield from check_collectors(policy)
    for pointer, conf in confs_of(policy):
        for index, backend in enumerate(conf.get("backends") or ()):
            for name in ("zipkin", "datadog"):
                if (backend.get(name) or {}).get("url"):
                    yield from _check_url(backend[name]["url"], join(pointer, "backends", index, name, "url"))
        tags = conf.get("tags") or ()
        for index, tag in enumerate(tags):
            yield from _check_tag(tag, join(pointer, "tags", index))
            if any(tag["name"] == later["name"] for later in tags[index + 1 :]):
                message = f"the tag {tag['name']!r} is set again below: the last value counts"
                at = join(pointer, "tags", index, "name")
                yield Finding(at, DUPLICATE_NAME, message, severity=Severity.WARNING)


def _check_url(url: str, pointer: str) -> Iterator[Finding]:
    """The schema has judged its form."""
    place = _place(url)
    if not 0 < place.port <= _LARGEST_PORT:
        yield Finding(pointer, BAD_VALUE, f"{place.port} is no port")
    elif place.scheme == "https":
        yield Finding(pointer, UNVERIFIED, "the collector's certificate is not checked")


def _check_tag(tag: Conf, pointer: str) -> Iterator[Finding]:
    if tag.get("literal") is not None and tag.get("header") is not None:
        message = "literal and header exclude each other"
        yield Finding(join(pointer, "literal"), EXCLUSIVE_FIELDS, message, "keep one of them", on_key=True)
    elif tag.get("literal") is None and tag.get("header") is None:
        yield Finding(pointer, MISSING_FIELD, "the tag has no value", "add literal or header", on_key=True)


def references(policy: PolicySpec) -> Iterator[tuple[str, Conf]]:
    yield from collector_references(policy)
    yield from declared_references(policy)


def idle(_: PolicySpec, reached: Reached) -> str:
    """A span is of a request."""
    traced = reached.spoken & HTTP or reached.sends()
    return "" if traced else "no proxy that it selects takes or sends requests: nothing is traced"


_NOWHERE: Final = "no policy that holds here says where spans are sent: nothing is traced"
_HINT: Final = "add backends, or take it out"


def _is_sent(name: str, conf: Trace) -> bool | None:
    return bool(conf.backends) if getattr(conf, name) else None


POLICY: Final = Policy(
    PolicyKind(
        type="MeshTrace",
        conf=Trace,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            system_only=frozenset({"MeshGateway"}),
            listeners=False,
        ),
        whole=True,
        names_owner=True,
        check=check,
        idle=idle,
        needs=tuple(Need((name,), partial(_is_sent, name), _NOWHERE, _HINT) for name in ("sampling", "tags")),
        resolve=resolve_tracing,
        references=references,
        refuses=refuse_tracing,
    ),
    Hooks(http=trace_requests, resources=add_collector),
)
