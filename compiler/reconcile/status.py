"""The status page: what is served, what is not and why, and what each proxy holds; built from plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from compiler.reconcile.channel import Message
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


Origins = Mapping[tuple[str, str, str], Mapping[str, object]]
"""Where the text of a node's resource stands, by node, type and name."""


def describe(
    serving: Serving | None, heard: Heard, fleet: Mapping[str, int], proxies: Sequence[object]
) -> Mapping[str, object]:
    """`fleet` counts all proxies; `proxies` are described ones, all or a page of them."""
    processes = _without_kind(heard.processes) or {}
    return {
        "schemaVersion": SCHEMA_VERSION,
        "serving": _describe_serving(serving),
        "candidate": _without_kind(heard.candidate),
        "source": _describe_source(heard.source),
        "fleet": fleet,
        "proxies": proxies,
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


def match_origins(refused: Sequence[tuple[str, str, str]], found: object) -> Origins:
    """`found` is the worker's answer, an origin for each of the refused or nothing where it knows none."""
    origins = found if isinstance(found, list) else ()
    return {one: origin for one, origin in zip(refused, origins, strict=False) if isinstance(origin, Mapping)}


def is_worker_running(processes: Message) -> bool:
    worker = processes.get("worker")
    return isinstance(worker, Mapping) and bool(worker.get("running"))


def describe_lacking(troubles: Sequence[str]) -> str | None:
    return "; ".join(troubles) or None


def describe_unknown(count: int) -> str | None:
    return f"{count} connected proxies are in no commit; they are sent nothing" if count else None


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


def describe_proxy(proxy: ProxyStatus, origins: Origins) -> Mapping[str, object]:
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
        "node": proxy.node,
        "mesh": proxy.mesh,
        "known": proxy.known,
        "digest": proxy.digest,
        "acked_digest": proxy.acked_digest,
        "fully_acked": proxy.fully_acked,
        "protocol": proxy.protocol,
        "version": proxy.version,
        "connected_since": _rfc3339(proxy.connected_since),
        "types": types,
    }


def _without_kind(message: Message | None) -> Mapping[str, object] | None:
    return None if message is None else {name: value for name, value in message.items() if name != "kind"}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
