"""Timeout to MeshTimeout: what is absent was off, and says so now."""

from typing import Any

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, differs
from compiler.resources.legacy.said import Said, given, pick
from compiler.resources.legacy.selectors import by_source
from compiler.resources.values import Duration

_OFF = "0s"


def convert_timeout(legacy: Legacy, _: Surroundings) -> Conversion:
    """One policy for each group of callers."""
    found: list[Finding] = []
    policies = by_source(legacy, "MeshTimeout", _conf(legacy, found), found)
    return Conversion(policies, tuple(found))


def _conf(legacy: Legacy, found: list[Finding]) -> Said:
    at = join(legacy.pointer, "conf")
    conf = legacy.content["conf"]
    http = {
        "requestTimeout": pick(conf, at, "http", "requestTimeout"),
        "streamIdleTimeout": _of_streams(conf, at, "streamIdleTimeout", found),
        "maxStreamDuration": _of_streams(conf, at, "maxStreamDuration", found),
    }
    return Said(
        given(
            {
                "connectionTimeout": pick(conf, at, "connectTimeout"),
                "idleTimeout": _idle(conf, at, found) or _OFF,
                "http": {name: said or _OFF for name, said in http.items()},
            }
        ),
        at,
    )


def _of_streams(conf: dict[str, Any], at: str, name: str, found: list[Finding]) -> Said | None:
    """One for HTTP and gRPC; that of HTTP where they differ."""
    http, grpc = pick(conf, at, "http", name), pick(conf, at, "grpc", name)
    if http and grpc and Duration.parse(http.value) != Duration.parse(grpc.value):
        message = f"a MeshTimeout has one {name}: calls by gRPC get {http.value} too, not {grpc.value}"
        found.append(differs(grpc.pointer, message, "write a MeshTimeout for the services that speak gRPC"))
    return http or grpc


def _idle(conf: dict[str, Any], at: str, found: list[Finding]) -> Said | None:
    """One for both protocols; that of HTTP where they differ, since most services speak it."""
    tcp, http = pick(conf, at, "tcp", "idleTimeout"), pick(conf, at, "http", "idleTimeout")
    if tcp and http and Duration.parse(tcp.value) != Duration.parse(http.value):
        message = f"a MeshTimeout has one idleTimeout: connections of TCP get {http.value} too, not {tcp.value}"
        found.append(differs(tcp.pointer, message, "write a MeshTimeout for the services that speak TCP"))
    return http or tcp
