"""Many confs into one (kuma-core §4.7): objects merge, lists replace, `append…` lists grow, routes merge by match."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.mesh.order import Item, Origin
from compiler.resources.model import Conf

Value = Any
Matches = tuple[Conf, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """A conf and everything that it was merged from, in ascending precedence."""

    conf: Conf
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One rule of the routes to a destination: the requests it is for and what is done with them.

    `origins` has every rule that took part; `backends` the one whose backendRefs stand; its policy resolves them.
    """

    matches: Matches
    conf: Conf
    origins: tuple[Origin, ...]
    backends: Origin | None = None


def merge_confs(confs: Iterable[Conf]) -> dict[str, Value]:
    """Later confs override; a null says nothing. The inputs stay as they are; the result shares their lists."""
    merged: dict[str, Value] = {}
    for conf in confs:
        _merge_into(merged, conf)
    return merged


def merge_items(items: Sequence[Item]) -> Merged | None:
    """One conf of sorted items, None of none; routes merge by their matches."""
    if not items:
        return None
    if is_route(items):
        conf: Conf = {"rules": tuple(_rule_conf(rule) for rule in merge_route_rules(items))}
    else:
        conf = merge_confs(item.conf for item in items)
    return Merged(conf, origins_of(items))


def merge_by_hostname(items: Sequence[Item]) -> tuple[Merged, ...]:
    """Routes that name hostnames have a conf for each of them, in the order in which they first occur."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        for hostname in (item.item.hostnames if item.item is not None else ()) or ("",):
            groups.setdefault(hostname, []).append(item)
    return tuple(
        Merged({"hostnames": (hostname,), **merged.conf} if hostname else merged.conf, merged.origins)
        for hostname, merged in ((hostname, merge_items(group)) for hostname, group in groups.items())
        if merged is not None
    )


def merge_route_rules(items: Sequence[Item]) -> tuple[RouteRule, ...]:
    """Rules of sorted items, the ones of highest precedence first and otherwise as they are written.

    Rules with equal matches become one, at the place of the last of them when each policy's list is read backwards.
    """
    groups: dict[str, list[_Written]] = {}
    for item in items:
        for written in reversed(_written_rules(item)):
            group = groups.pop(written.key, [])
            groups[written.key] = [*group, written]
    return tuple(_merge_rule(group) for group in reversed(groups.values()))


def origins_of(items: Iterable[Item]) -> tuple[Origin, ...]:
    """In order, each once."""
    return tuple(dict.fromkeys(item.origin for item in items))


def is_route(items: Sequence[Item]) -> bool:
    return any(item.item is not None and item.item.rules is not None for item in items)


def normalise_matches(matches: Iterable[Conf]) -> Matches:
    """With the schema's defaults and without empty fields, so that equal meanings are equal values."""
    return tuple(_normalise_match(match) for match in matches)


def match_key(matches: Iterable[Conf]) -> str:
    """Equal for matches of equal meaning; their order counts, as it does for Kuma."""
    return json.dumps(normalise_matches(matches), sort_keys=True)


@dataclass(frozen=True, slots=True)
class _Written:
    key: str
    matches: Matches
    conf: Conf
    origin: Origin


def _written_rules(item: Item) -> list[_Written]:
    rules = item.item.rules if item.item is not None else None
    return [_read_rule(item.origin, index, rule) for index, rule in enumerate(rules or ())]


def _read_rule(parent: Origin, index: int, rule: Conf) -> _Written:
    matches = normalise_matches(rule.get("matches") or ())
    origin = Origin(parent.kri, parent.policy, f"{parent.pointer}/rules/{index}")
    return _Written(match_key(matches), matches, rule.get("default") or {}, origin)


def _merge_rule(group: Sequence[_Written]) -> RouteRule:
    with_backends = [written.origin for written in group if written.conf.get("backendRefs") is not None]
    return RouteRule(
        matches=group[-1].matches,
        conf=merge_confs(written.conf for written in group),
        origins=tuple(dict.fromkeys(written.origin for written in group)),
        backends=with_backends[-1] if with_backends else None,
    )


def _rule_conf(rule: RouteRule) -> Conf:
    return {"matches": rule.matches, "default": rule.conf} if rule.matches else {"default": rule.conf}


def _merge_into(merged: dict[str, Value], patch: Conf) -> None:
    """`merged` is ours alone, with all the objects in it."""
    for name, value in patch.items():
        if value is None:
            continue
        present = merged.get(name)
        if isinstance(value, dict):
            if not isinstance(present, dict):
                present = merged[name] = {}
            _merge_into(present, value)
        elif isinstance(present, list | tuple) and isinstance(value, list | tuple) and name.startswith("append"):
            merged[name] = [*present, *value]
        else:
            merged[name] = value


def _normalise_match(match: Conf) -> Conf:
    return {name: _FIELDS.get(name, _same)(value) for name, value in match.items() if value not in (None, [], ())}


def _normalise_headers(headers: Sequence[Conf]) -> tuple[Conf, ...]:
    return tuple({"type": "Exact", **_without_nulls(header)} for header in headers)


def _without_nulls(value: Conf) -> Conf:
    return {name: part for name, part in value.items() if part is not None}


def _same(value: Value) -> Value:
    return value


_FIELDS: Mapping[str, Callable[[Value], Value]] = {
    "headers": _normalise_headers,
    "path": _without_nulls,
    "queryParams": lambda parameters: tuple(_without_nulls(parameter) for parameter in parameters),
}
