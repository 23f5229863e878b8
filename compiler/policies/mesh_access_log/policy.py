"""The hooks of MeshAccessLog, and which targets it takes."""

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.message import Message

from compiler.envoy.outside import outside_cluster
from compiler.envoy.policy import Direction, Hooks, Policy, Site
from compiler.envoy.resources import ResourceType
from compiler.mesh.collectors import collector_references, refuse_http
from compiler.mesh.declared import declared_references, refuse_logging, resolve_logging
from compiler.mesh.policy import Inbounds, PolicyKind
from compiler.mesh.value import Owner
from compiler.policies.mesh_access_log.checks import check
from compiler.policies.mesh_access_log.conf import AccessLog
from compiler.policies.mesh_access_log.entries import (
    METADATA,
    caller_filter,
    collector_name,
    make_entry,
    route_filter,
    unrouted_filter,
)
from compiler.policies.mesh_access_log.placeholders import problems_of
from compiler.resources.backends import DECLARED
from compiler.resources.findings import BAD_VALUE, Finding
from compiler.resources.model import Conf, Mesh, Resource
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix

_TYPE: Final = "MeshAccessLog"
_IDENTITY_LENGTH: Final = 16


def log_requests(conf: AccessLog, connections: HttpConnectionManager, site: Site) -> None:
    """Every rule about a caller logs by itself; routes with a conf of their own are left to it."""
    filters = [caller_filter(site.matches, http=True)] if site.matches else []
    if _TYPE in site.routed:
        filters.append(unrouted_filter())
    _add_requests(conf, connections, site, filters)


def log_routed_requests(conf: AccessLog, connections: HttpConnectionManager, site: Site) -> None:
    """The entries stay while routes come and go: which of them have this conf is said by the routes."""
    _add_requests(conf, connections, site, [route_filter(identity_of(conf))])


def mark(conf: AccessLog, place: Route | VirtualHost, _: Site) -> None:
    """A host's mark counts for requests that none of its routes takes."""
    place.metadata.filter_metadata[METADATA].update({"conf": identity_of(conf)})


def log_connections(conf: AccessLog, proxy: TcpProxy, site: Site) -> None:
    """A zone proxy logs a connection when it begins, too: some last for days (kuma-policies §2.1)."""
    filters = [caller_filter(site.matches, http=False)] if site.matches else []
    entries = (make_entry(backend, site, filters, http=False) for backend in conf.backends)
    proxy.access_log.extend(entry for entry in entries if entry is not None)
    if proxy.access_log and site.direction is Direction.INBOUND and site.service:
        proxy.access_log_options.flush_access_log_on_connected = True


def add_collectors(conf: AccessLog, _: Owner | None) -> Iterator[tuple[ResourceType, Message]]:
    for backend in conf.backends:
        collector = backend.open_telemetry.collector if backend.open_telemetry is not None else None
        if collector is not None:
            name = collector_name(collector)
            yield ResourceType.CLUSTER, outside_cluster(name, collector.address, collector.port, http2=True)


def identity_of(conf: AccessLog) -> str:
    """The same for equal confs, however they came about."""
    return hashlib.sha256(msgspec.json.encode(conf, order="sorted", enc_hook=str)).hexdigest()[:_IDENTITY_LENGTH]


def _add_requests(
    conf: AccessLog, connections: HttpConnectionManager, site: Site, filters: list[AccessLogFilter]
) -> None:
    entries = (make_entry(backend, site, filters, http=True) for backend in conf.backends)
    connections.access_log.extend(entry for entry in entries if entry is not None)


def references(policy: PolicySpec) -> Iterator[tuple[str, Conf]]:
    yield from collector_references(policy)
    yield from declared_references(policy)


def refuse(resource: Resource, written: Conf) -> Finding | None:
    if written["kind"] != DECLARED:
        return refuse_http(resource, written)
    return refuse_logging(resource, written) or _refuse_format(resource, written["backend"])


def _refuse_format(resource: Resource, named: str) -> Finding | None:
    """Of a Mesh's backend, told to whoever logs by it."""
    if not isinstance(resource.spec, Mesh):
        return None
    logging = resource.spec.logging
    wanted = named or logging.default_backend
    formats = (one.format for one in logging.backends if one.name == wanted)
    problem = next((problem for text in formats for problem in problems_of(text)), "")
    message = f"the format of the Mesh's logging backend {wanted!r} {problem}"
    return Finding("", BAD_VALUE, message, "mend it in the Mesh") if problem else None


POLICY: Final = Policy(
    PolicyKind(
        type=_TYPE,
        conf=AccessLog,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"}),
            to_under={"MeshGateway": frozenset({"Mesh"})},
            from_=frozenset({"Mesh"}),
            rules=True,
        ),
        inbounds=Inbounds.EACH,
        at_gateways=True,
        outbound=True,
        routes=True,
        names_owner=True,
        check=check,
        resolve=resolve_logging,
        references=references,
        refuses=refuse,
    ),
    Hooks(
        http=log_requests,
        http_routed=log_routed_requests,
        routed=mark,
        untaken=mark,
        tcp=log_connections,
        resources=add_collectors,
    ),
)
