"""The proxies of a workload as one DataplaneSet, where they are equal but for name, address and zone."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.judge import judge
from compiler.resources.model import ZONE
from compiler.resources.schema import Schemas

_TYPE: Final = "Dataplane"


def collapse(values: Sequence[Mapping[str, Any]], schemas: Schemas) -> tuple[Mapping[str, Any], ...]:
    """Sets stand where the first of their proxies stood; what a set cannot say exactly stays as it is."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        if _can_join(value):
            groups[_likeness(value)].append(index)
    made: dict[int, Mapping[str, Any]] = {}
    gone: set[int] = set()
    for indices in groups.values():
        proxies = [values[index] for index in indices]
        if (one := _make_set(proxies)) is not None and _says_the_same(one, proxies, schemas):
            made[indices[0]] = one
            gone.update(indices[1:])
    return tuple(made.get(index, value) for index, value in enumerate(values) if index not in gone)


def _can_join(value: Mapping[str, Any]) -> bool:
    networking = value.get("networking")
    return value.get("type") == _TYPE and isinstance(networking, dict) and "address" in networking


def _likeness(value: Mapping[str, Any]) -> str:
    """What must be equal, as text."""
    networking = {name: each for name, each in value["networking"].items() if name != "address"}
    rest = {name: each for name, each in value.items() if name not in ("name", "labels", "networking")}
    name = str(value.get("name"))
    return json.dumps([_prefix(name), rest, networking, _shared_labels(value)], sort_keys=True)


def _prefix(name: str) -> str:
    """`backend-1` and `backend-2` are of `backend`; a name without a hyphen is of nothing."""
    return name.rpartition("-")[0]


def _shared_labels(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: each for name, each in (value.get("labels") or {}).items() if name != ZONE}


def _make_set(proxies: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    first = proxies[0]
    name = _prefix(str(first["name"]))
    if len(proxies) == 1 or not name:
        return None
    networking = {field: each for field, each in first["networking"].items() if field != "address"}
    labels = _shared_labels(first)
    return {
        "type": "DataplaneSet",
        "mesh": first.get("mesh"),
        "name": name,
        **({"labels": labels} if labels else {}),
        "spec": {"template": {"networking": networking}, "instances": list(_instances(proxies, name))},
    }


def _instances(proxies: Sequence[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    for proxy in sorted(proxies, key=lambda one: str(one["name"])):
        zone = (proxy.get("labels") or {}).get(ZONE)
        yield {
            "name": str(proxy["name"]).removeprefix(f"{name}-"),
            "address": proxy["networking"]["address"],
            **({"zone": zone} if zone else {}),
        }


def _says_the_same(made: Mapping[str, Any], proxies: Sequence[Mapping[str, Any]], schemas: Schemas) -> bool:
    """By what the compiler makes of both, so that no knowledge of sets is needed here twice."""
    wanted = {resource.key: resource for proxy in proxies for resource, _ in judge(proxy, schemas).resources}
    verdict = judge(made, schemas)
    if verdict.findings or len(wanted) != len(proxies):
        return False
    return {resource.key: resource for resource, _ in verdict.resources[1:]} == wanted
