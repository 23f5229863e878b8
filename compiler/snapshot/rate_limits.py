"""What a service of rate limits counts by: made of what the routes of all snapshots say (docs/rate-limits.md).

A route says what is counted there and how much of it is allowed; Envoy asks by the one, the service is told the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from google.protobuf import any_pb2
from google.protobuf.json_format import MessageToDict

from compiler.envoy.names import RATE_LIMITS
from compiler.envoy.packing import unpack
from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Snapshot

Entry = Mapping[str, Any]
_Path = tuple[tuple[str, str], ...]
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The configuration of each domain, as the service reads it; `conflicts` has what routes do not agree upon."""

    domains: Mapping[str, Entry]
    conflicts: tuple[str, ...] = ()


def collect_rate_limits(snapshots: Iterable[Snapshot]) -> RateLimits:
    """Where proxies of one service have different limits for one thing, the lowest rate counts."""
    found: dict[str, dict[_Path, set[tuple[int, str, bool]]]] = {}
    for domain, path, limit in _said(snapshots):
        found.setdefault(domain, {}).setdefault(path, set()).add(limit)
    conflicts = [
        f"{domain}: {_write(path)} has {len(limits)} different limits, of which the lowest counts"
        for domain, by_path in sorted(found.items())
        for path, limits in sorted(by_path.items())
        if len(limits) > 1
    ]
    domains = {domain: {"domain": domain, "descriptors": _tree(by_path)} for domain, by_path in sorted(found.items())}
    return RateLimits(domains, tuple(conflicts))


def _said(snapshots: Iterable[Snapshot]) -> Iterator[tuple[str, _Path, tuple[int, str, bool]]]:
    """Each distinct route configuration is read once, however many proxies share it."""
    routes = {
        rendered.version: rendered
        for snapshot in snapshots
        for rendered in snapshot.resources.get(ResourceType.ROUTE, {}).values()
        if RATE_LIMITS.encode() in rendered.body
    }
    for rendered in routes.values():
        for told in _told(rendered):
            for path, limit in _limits(told["descriptors"], ()):
                yield told["domain"], path, limit


def _told(rendered: Rendered) -> Iterator[Entry]:
    configuration = cast(Any, unpack(any_pb2.Any.FromString(rendered.body)))
    for host in configuration.virtual_hosts:
        for route in host.routes:
            if RATE_LIMITS in route.metadata.filter_metadata:
                yield MessageToDict(route.metadata.filter_metadata[RATE_LIMITS])


def _limits(descriptors: Iterable[Entry], above: _Path) -> Iterator[tuple[_Path, tuple[int, str, bool]]]:
    for entry in descriptors:
        path = (*above, (entry["key"], entry["value"]))
        rate = entry.get("rate_limit")
        if rate is not None:
            yield path, (int(rate["requests_per_unit"]), rate["unit"], entry.get("shadow_mode", False))
        yield from _limits(entry.get("descriptors", ()), path)


def _tree(limits: Mapping[_Path, set[tuple[int, str, bool]]], depth: int = 0) -> list[Entry]:
    """Entries by key and value, each with what is below it."""
    entries: list[Entry] = []
    for step in sorted({path[depth] for path in limits}):
        below = {path: found for path, found in limits.items() if path[depth] == step}
        own = [limit for path, found in below.items() if len(path) == depth + 1 for limit in found]
        deeper = {path: found for path, found in below.items() if len(path) > depth + 1}
        entries.append(
            {
                "key": step[0],
                "value": step[1],
                **(_entry(min(own, key=_strictness)) if own else {}),
                **({"descriptors": _tree(deeper, depth + 1)} if deeper else {}),
            }
        )
    return entries


def _strictness(limit: tuple[int, str, bool]) -> tuple[bool, float, int, str]:
    """One that only counts gives way; of equal rates the one with fewer requests at once counts."""
    number, unit, shadow = limit
    return shadow, number / _SECONDS[unit], number, unit


def _entry(limit: tuple[int, str, bool]) -> Entry:
    number, unit, shadow = limit
    return {"rate_limit": {"unit": unit, "requests_per_unit": number}, **({"shadow_mode": True} if shadow else {})}


def _write(path: _Path) -> str:
    return ", ".join(f"{key}={value}" for key, value in path)
