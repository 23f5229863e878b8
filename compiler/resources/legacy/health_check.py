"""HealthCheck to MeshHealthCheck: bytes become the text that they are, headers are set or added."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, unsayable
from compiler.resources.legacy.headers import Header, modify_headers
from compiler.resources.legacy.numbers import as_decimal
from compiler.resources.legacy.said import Said, given, pick
from compiler.resources.legacy.selectors import by_source

_SAME: Final = (
    "interval",
    "timeout",
    "unhealthyThreshold",
    "healthyThreshold",
    "initialJitter",
    "intervalJitter",
    "intervalJitterPercent",
    "failTrafficOnPanic",
    "eventLogPath",
    "alwaysLogHealthCheckFailures",
    "noTrafficInterval",
    "reuseConnection",
)
_DISABLED: Final = {"disabled": True}


def convert_health_check(legacy: Legacy, _: Surroundings) -> Conversion:
    """Where no request is named, services of every protocol are asked by TCP."""
    found: list[Finding] = []
    at, conf = join(legacy.pointer, "conf"), legacy.content["conf"]
    panic = pick(conf, at, "healthyPanicThreshold")
    http = _http(conf["http"], join(at, "http"), found) if "http" in conf else _DISABLED
    tcp: Any = _tcp(conf["tcp"], join(at, "tcp"), found) if "tcp" in conf else {}
    converted: dict[str, Any] = {
        **given({name: pick(conf, at, name) for name in _SAME}),
        **given({"healthyPanicThreshold": panic.with_value(as_decimal(panic.value)) if panic else None}),
        "tcp": tcp,
        "http": http,
        "grpc": _DISABLED,
    }
    return Conversion(by_source(legacy, "MeshHealthCheck", Said(converted, at), found), tuple(found))


def _tcp(tcp: Mapping[str, Any], at: str, found: list[Finding]) -> Said:
    send, receive = pick(tcp, at, "send"), tcp.get("receive", ())
    texts = [_text(Said(each, join(at, "receive", index)), found) for index, each in enumerate(receive)]
    found += [unsayable(one.pointer, "Envoy looks for no empty piece", "take it out") for one in texts if not one.value]
    return Said(given({"send": _text(send, found) if send else None, "receive": texts or None}), at)


def _text(said: Said, found: list[Finding]) -> Said:
    """The bytes, as the text that a MeshHealthCheck takes."""
    try:
        return said.with_value(base64.b64decode(said.value, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        found.append(unsayable(said.pointer, "a MeshHealthCheck sends and receives text, and these bytes are none"))
        return said


def _http(http: Mapping[str, Any], at: str, found: list[Finding]) -> Said:
    headers = modify_headers(tuple(_headers(http, at)), (), join(at, "requestHeadersToAdd"), found)
    named = {name: pick(http, at, name) for name in ("path", "expectedStatuses")}
    if not http["path"].startswith("/"):
        found.append(unsayable(join(at, "path"), "the path must begin with a slash"))
    return Said(given({**named, "requestHeadersToAdd": headers}), at)


def _headers(http: Mapping[str, Any], at: str) -> Iterator[Header]:
    """A header is added to what is there unless it is said not to be."""
    for index, entry in enumerate(http.get("requestHeadersToAdd", ())):
        header, pointer = entry["header"], join(at, "requestHeadersToAdd", index)
        yield Header(header["key"], header.get("value", ""), entry.get("append", True), pointer)
