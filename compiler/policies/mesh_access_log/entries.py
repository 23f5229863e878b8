"""Entries of Envoy's access logs: where a line goes, what it says, and which are written."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as Entry
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ComparisonFilter
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import OpenTelemetryAccessLogConfig
from google.protobuf import json_format
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValueList

from compiler.envoy.packing import pack
from compiler.envoy.policy import Site
from compiler.envoy.routes import caller_matcher, fraction
from compiler.mesh.collectors import Collector
from compiler.mesh.value import UriMatch
from compiler.policies.mesh_access_log.conf import Backend, Durations, Filters, Format, OpenTelemetryLog
from compiler.policies.mesh_access_log.placeholders import (
    HTTP_FORMAT,
    TCP_FORMAT,
    as_text,
    substitute,
    substitute_all,
)

PIPE: Final = "access-logs.pipe"
"""Where what runs beside Envoy takes lines for TCP collectors (docs/dataplane-run.md)."""
METADATA: Final = "meshwright.access_log"
"""Under which a route says which entries are about it."""
_FILE: Final = "envoy.access_loggers.file"
_OPEN_TELEMETRY: Final = "envoy.access_loggers.open_telemetry"
_CEL: Final = "envoy.access_loggers.extension_filters.cel"
_ROUTE: Final = "xds.route_metadata"
_HOST: Final = "xds.virtual_host_metadata"
_MILLISECOND: Final = 10**6
_LARGEST: Final = 2**32 - 1
"""What the field of a bound holds: 49 days, which no request takes."""


def collector_name(collector: Collector) -> str:
    """The cluster of a collector of logs."""
    return f"system_meshaccesslog_{collector.name}"


def make_entry(backend: Backend, site: Site, filters: Sequence[AccessLogFilter], *, http: bool) -> Entry | None:
    """None for a backend whose collector is not there."""
    entry = _entry(backend, site, HTTP_FORMAT if http else TCP_FORMAT)
    if entry is None:
        return None
    wanted = (*filters, *_written_filters(backend.filters))
    if len(wanted) == 1:
        entry.filter.CopyFrom(wanted[0])
    elif wanted:
        entry.filter.and_filter.filters.extend(wanted)
    return entry


def _entry(backend: Backend, site: Site, usual: str) -> Entry | None:
    if backend.file is not None:
        log = FileAccessLog(path=backend.file.path)
        _write_format(log.log_format, backend.file.format, site, usual)
        return Entry(name=_FILE, typed_config=pack(log))
    if backend.tcp is not None:
        log = FileAccessLog(path=PIPE)
        _write_message(log.log_format, backend.tcp.address, backend.tcp.format, site, usual)
        return Entry(name=_FILE, typed_config=pack(log))
    if backend.open_telemetry is not None and backend.open_telemetry.collector is not None:
        return _exported(backend.open_telemetry, backend.open_telemetry.collector, site, usual)
    return None


# --- What a line says ---------------------------------------------------------------------------------------------


def _write_format(form: SubstitutionFormatString, written: Format | None, site: Site, usual: str) -> None:
    if written is not None:
        form.omit_empty_values = written.omit_empty_values
    if written is not None and written.type == "Json":
        form.json_format.update(_fields(written, site))
    else:
        form.text_format_source.inline_string = f"{_text(written, site, usual)}\n"


def _write_message(
    form: SubstitutionFormatString, address: str, written: Format | None, site: Site, usual: str
) -> None:
    """Around the line the collector that it is for."""
    is_json = written is not None and written.type == "Json"
    if written is not None:
        form.omit_empty_values = written.omit_empty_values
    message = _fields(written, site) if written is not None and is_json else _text(written, site, usual)
    form.json_format.update({"address": address.replace("%", "%%"), "message": message})


def _text(written: Format | None, site: Site, usual: str) -> str:
    return substitute(written.plain if written is not None else usual, site)


def _fields(written: Format, site: Site) -> dict[str, str]:
    return {entry.key: substitute(entry.value, site) for entry in written.json}


def _exported(conf: OpenTelemetryLog, collector: Collector, site: Site, usual: str) -> Entry:
    log = OpenTelemetryAccessLogConfig()
    log.common_config.log_name = "MeshAccessLog"
    log.common_config.transport_api_version = ApiVersion.V3
    log.common_config.grpc_service.envoy_grpc.cluster_name = collector_name(collector)
    log.body.CopyFrom(_body(conf.body, site, usual))
    _add(log.attributes, [(entry.key, substitute(entry.value, site)) for entry in conf.attributes])
    _add(log.resource_attributes, _owner_attributes(site))
    return Entry(name=_OPEN_TELEMETRY, typed_config=pack(log))


def _body(written: Any, site: Site, usual: str) -> AnyValue:
    """An AnyValue of OTLP where it reads as one, else the text that it is."""
    if written is None:
        return AnyValue(string_value=substitute(usual, site))
    value = substitute_all(written, site)
    if isinstance(value, dict):
        try:
            return json_format.ParseDict(value, AnyValue())
        except json_format.ParseError:
            return AnyValue(string_value=as_text(value))
    return AnyValue(string_value=as_text(value))


def _owner_attributes(site: Site) -> list[tuple[str, str]]:
    owner = site.owner
    if owner is None:
        return []
    named = (("kuma.mesh", owner.mesh), ("kuma.zone", owner.zone), ("kuma.workload", owner.workload))
    return [(key, value) for key, value in named if value]


def _add(values: KeyValueList, pairs: Sequence[tuple[str, str]]) -> None:
    for key, value in pairs:
        values.values.add(key=key).value.string_value = value


# --- Which lines are written --------------------------------------------------------------------------------------


def caller_filter(callers: Sequence[UriMatch], *, http: bool) -> AccessLogFilter:
    """Any of these callers: by the header that this proxy sets from the certificate, which has every URI of it.

    A TCP connection has no header, and Envoy's expression sees the first URI only (kuma-policies §1.8).
    """
    if not http:
        return _expression(" || ".join(_test(one) for one in callers))
    made = [AccessLogFilter() for _ in callers]
    for one, caller in zip(made, callers, strict=True):
        one.header_filter.header.CopyFrom(caller_matcher(caller))
    if len(made) == 1:
        return made[0]
    either = AccessLogFilter()
    either.or_filter.filters.extend(made)
    return either


def _test(caller: UriMatch) -> str:
    uri = "connection.uri_san_peer_certificate"
    return f"{uri}.startsWith({_quote(caller.value)})" if caller.prefix else f"{uri} == {_quote(caller.value)}"


def _quote(text: str) -> str:
    r"""As CEL quotes; a SPIFFE ID holds no quote and no backslash, and what else comes here is hexadecimal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def route_filter(identity: str) -> AccessLogFilter:
    """Requests that took a route which says so, or none at a host which says so."""
    route, host = (f"{one}.filter_metadata[{_quote(METADATA)}].conf == {_quote(identity)}" for one in (_ROUTE, _HOST))
    return _expression(f"has({_ROUTE}) ? {route} : {host}")


def unrouted_filter() -> AccessLogFilter:
    """All others. Of what is not there nothing may be asked: an expression that fails writes no line."""
    route, host = (f"{_quote(METADATA)} in {one}.filter_metadata" for one in (_ROUTE, _HOST))
    return _expression(f"has({_ROUTE}) ? !({route}) : !(has({_HOST}) && {host})")


def _expression(text: str) -> AccessLogFilter:
    made = AccessLogFilter()
    made.extension_filter.name = _CEL
    made.extension_filter.typed_config.CopyFrom(pack(ExpressionFilter(expression=text)))
    return made


def _written_filters(filters: Filters | None) -> Iterator[AccessLogFilter]:
    if filters is None:
        return
    if filters.status is not None:
        yield from _between("status_code_filter", filters.status.min, filters.status.max)
    if filters.duration is not None:
        yield from _between("duration_filter", *_milliseconds(filters.duration))
    if filters.sample is not None:
        sampled = AccessLogFilter()
        sampled.runtime_filter.runtime_key = f"{METADATA}.sample"
        sampled.runtime_filter.percent_sampled.CopyFrom(fraction(filters.sample))
        sampled.runtime_filter.use_independent_randomness = True
        yield sampled


def _milliseconds(durations: Durations) -> tuple[int | None, int | None]:
    """What is not whole is inside: the shortest rounds down, the longest up."""
    shortest = durations.min // _MILLISECOND if durations.min is not None else None
    longest = -(-durations.max // _MILLISECOND) if durations.max is not None else None
    return shortest, longest


def _between(kind: str, lowest: int | None, highest: int | None) -> Iterator[AccessLogFilter]:
    for bound, operation in ((lowest, ComparisonFilter.Op.GE), (highest, ComparisonFilter.Op.LE)):
        if bound is not None:
            made = AccessLogFilter()
            comparison = getattr(made, kind).comparison
            comparison.op = operation
            comparison.value.default_value = min(bound, _LARGEST)
            comparison.value.runtime_key = f"{METADATA}.{kind}.{ComparisonFilter.Op.Name(operation).lower()}"
            yield made
