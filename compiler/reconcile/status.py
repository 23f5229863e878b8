"""The status page: what is served, what is not and why, and what each proxy holds; built from plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from compiler.reconcile.channel import Message
from compiler.xds.served import Generation
from compiler.xds.status import Delivery, ProxyStatus

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Serving:
    """The generation in the server's hands; `since` and the clock points are seconds since 1970."""

    number: int
    commit: str
    digest: str
    since: float
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Heard:
    """The last of each kind that the supervisor told the server."""

    candidate: Message | None = None
    source: Message | None = None
    processes: Message | None = None
    troubles: dict[str, str] = field(default_factory=dict)


def describe(
    serving: Serving | None,
    heard: Heard,
    proxies: Iterable[ProxyStatus],
    origins: Mapping[tuple[str, str, str], Mapping[str, object]],
) -> Mapping[str, object]:
    """`origins` says for a node, type and resource where its text stands."""
    processes = _without_kind(heard.processes) or {}
    return {
        "schemaVersion": SCHEMA_VERSION,
        "serving": _describe_serving(serving),
        "candidate": _without_kind(heard.candidate),
        "source": _describe_source(heard.source),
        "proxies": [_describe_proxy(proxy, origins) for proxy in proxies],
        "pinned": None,
        "worker": processes.get("worker"),
        "server": processes.get("server"),
        "writer": processes.get("writer"),
        "troubles": [*([processes["reason"]] if processes.get("reason") else []), *heard.troubles.values()],
    }


def add_delivery(timings: Mapping[str, float], delivery: Delivery | None, wall_offset: float) -> Mapping[str, float]:
    """The two last clock points; `wall_offset` turns monotonic seconds into seconds since 1970."""
    if delivery is None:
        return timings
    points = {"first_push": delivery.first_push, "last_ack": delivery.last_ack if delivery.is_complete else None}
    return {**timings, **{name: point + wall_offset for name, point in points.items() if point is not None}}


def list_refused(proxies: Iterable[ProxyStatus]) -> tuple[tuple[str, str, str], ...]:
    """Node, type and name of everything that stands refused."""
    return tuple(
        (proxy.node, url, name)
        for proxy in proxies
        for url, status in proxy.types.items()
        if status.nack is not None
        for name in status.nack.resources
    )


def count_unknown(proxies: Iterable[ProxyStatus], generation: Generation | None) -> int:
    """Connected proxies that the served commit does not know."""
    known = generation.proxies if generation is not None else {}
    return sum(proxy.node not in known for proxy in proxies)


def _describe_serving(serving: Serving | None) -> Mapping[str, object] | None:
    if serving is None:
        return None
    return {
        "commit": serving.commit,
        "digest": serving.digest,
        "generation": serving.number,
        "since": _rfc3339(serving.since),
        "timings": dict(serving.timings),
    }


def _describe_source(source: Message | None) -> Mapping[str, object]:
    last_success, last_error = (source or {}).get("last_success"), (source or {}).get("last_error")
    return {
        "last_success": _rfc3339(last_success) if isinstance(last_success, float) else None,
        "last_error": last_error["message"] if isinstance(last_error, Mapping) else None,
    }


def _describe_proxy(
    proxy: ProxyStatus, origins: Mapping[tuple[str, str, str], Mapping[str, object]]
) -> Mapping[str, object]:
    types: dict[str, object] = {}
    for url, status in proxy.types.items():
        nack = None
        if status.nack is not None:
            resources = [{"name": name, **origins.get((proxy.node, url, name), {})} for name in status.nack.resources]
            nack = {
                "message": status.nack.message,
                "resources": resources,
                "digest": status.nack.digest,
                "since": _rfc3339(status.nack.since),
            }
        types[url] = {"sent": status.sent, "acked": status.acked, "nack": nack}
    return {
        **{name: value for name, value in asdict(proxy).items() if name != "types"},
        "connected_since": _rfc3339(proxy.connected_since),
        "types": types,
    }


def _without_kind(message: Message | None) -> Mapping[str, object] | None:
    return None if message is None else {name: value for name, value in message.items() if name != "kind"}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
