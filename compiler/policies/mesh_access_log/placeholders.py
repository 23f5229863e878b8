"""Kuma's placeholders in what is logged: names where the compiler knows them, commands of Envoy's where it cannot."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.envoy.log_format import format_problems
from compiler.envoy.policy import Direction, Site

_PLACEHOLDER: Final = re.compile(r"%(KUMA_[A-Z_]+)%")
_KNOWN: Final = frozenset(
    (
        "KUMA_DESTINATION_SERVICE",
        "KUMA_MESH",
        "KUMA_SOURCE_ADDRESS",
        "KUMA_SOURCE_ADDRESS_WITHOUT_PORT",
        "KUMA_SOURCE_SERVICE",
        "KUMA_TRAFFIC_DIRECTION",
        "KUMA_WORKLOAD",
        "KUMA_ZONE",
    )
)
_EXTERNAL: Final = "external"
"""What a destination is called that is no service of the mesh."""
_ANY: Final = "*"
"""What it is called at a builtin gateway, whose listeners have many (as in Kuma)."""

HTTP_FORMAT: Final = (
    '[%START_TIME%] %KUMA_MESH% "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%" "%REQ(X-REQUEST-ID)%" '
    '"%REQ(:AUTHORITY)%" "%KUMA_SOURCE_SERVICE%" "%KUMA_DESTINATION_SERVICE%" "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%" '
    '"%UPSTREAM_HOST%"'
)
TCP_FORMAT: Final = (
    "[%START_TIME%] %RESPONSE_FLAGS% %KUMA_MESH% %KUMA_SOURCE_ADDRESS_WITHOUT_PORT%(%KUMA_SOURCE_SERVICE%)->"
    "%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) took %DURATION%ms, sent %BYTES_SENT% bytes, "
    "received: %BYTES_RECEIVED% bytes"
)
"""What is logged where a backend has no format."""


def substitute(text: str, site: Site) -> str:
    """Placeholders by direction; Envoy's own commands stay as they are."""
    values = _values(site)
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def substitute_all(value: Any, site: Site) -> Any:
    """In every string of a JSON value."""
    match value:
        case str():
            return substitute(value, site)
        case Mapping():
            return {name: substitute_all(part, site) for name, part in value.items()}
        case Sequence():
            return [substitute_all(part, site) for part in value]
        case _:
            return value


def problems_of(text: str) -> Iterator[str]:
    """What Envoy would refuse, as sentences; a placeholder is as good as a word."""
    known = _PLACEHOLDER.sub(lambda found: "-" if found[1] in _KNOWN else found[0], text)
    return (sentence for _, sentence in format_problems(known, extended=False))


def _values(site: Site) -> Mapping[str, str]:
    """A caller is who its certificate says, and where its connection comes from."""
    owner = site.owner
    own = _literal(owner.service if owner is not None else "")
    inbound = site.direction is Direction.INBOUND
    return {
        "KUMA_MESH": _literal(owner.mesh if owner is not None else ""),
        "KUMA_ZONE": _literal(owner.zone if owner is not None else ""),
        "KUMA_WORKLOAD": _literal(owner.workload if owner is not None else ""),
        "KUMA_TRAFFIC_DIRECTION": "INBOUND" if inbound else "OUTBOUND",
        "KUMA_SOURCE_SERVICE": "%DOWNSTREAM_PEER_URI_SAN%" if inbound else own,
        "KUMA_SOURCE_ADDRESS": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%" if inbound else "%UPSTREAM_LOCAL_ADDRESS%",
        "KUMA_SOURCE_ADDRESS_WITHOUT_PORT": (
            "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%" if inbound else "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%"
        ),
        "KUMA_DESTINATION_SERVICE": _literal(site.service) or (own if inbound else _unnamed(site)),
    }


def _unnamed(site: Site) -> str:
    return _ANY if site.gateway else _EXTERNAL


def _literal(name: str) -> str:
    return name.replace("%", "%%")


def as_text(value: Any) -> str:
    """A JSON value as a line that is no object of OTLP; holes stay as they are."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
