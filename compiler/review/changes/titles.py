"""What a group is called: one sentence where one field tells it, else how much of what goes, changes and comes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson

from compiler.envoy.resources import ResourceType
from compiler.review.changes.compare import NODES
from compiler.review.plan import FieldChange, Kind, ResourceChange
from compiler.snapshot.snapshot import Snapshot

__all__ = ["moved_endpoints", "subject_of", "subjects_of", "title_of", "title_of_proxies", "whose"]

_WORDS: Final = {
    "routes/timeout": "request timeout",
    "routes/idleTimeout": "stream idle timeout",
    "routes/maxStreamDuration": "longest stream",
    "clusters/connectTimeout": "connection timeout",
    "clusters/idleTimeout": "idle timeout",
    "listeners/streamIdleTimeout": "stream idle timeout",
    "listeners/address": "address",
    "listeners/portValue": "port",
    "listeners/filterChains": "filter chains",
    "listeners/requestHeadersTimeout": "time for a request's headers",
    "listeners/accessLog": "access log",
    "listeners/tracing": "tracing",
    "extensions/accessLog": "access log",
    "extensions/idleTimeout": "idle timeout",
    "routes/numRetries": "number of retries",
    "routes/perTryTimeout": "time for each try",
    "routes/retryOn": "what is tried again",
    "routes/requests_per_unit": "requests that a service of rate limits lets through",
    "secrets/authority": "certificate authority",
    "secrets/uris": "identities",
    "secrets/trusted": "trusted domains",
    "secrets/sources": "secrets that it is made of",
    "secrets/lifetimeSeconds": "lifetime of certificates, in seconds",
    "nodes/zone": "zone",
    "nodes/workload": "workload",
}
"""What people call a field, by the type of the resource and the last step of its path."""
_KINDS: Final = {
    ResourceType.LISTENER.file: ("listener", "listeners"),
    ResourceType.ROUTE.file: ("route", "routes"),
    ResourceType.CLUSTER.file: ("cluster", "clusters"),
    ResourceType.ENDPOINT.file: ("load assignment", "load assignments"),
    ResourceType.EXTENSION.file: ("filter", "filters"),
    ResourceType.SECRET.file: ("secret name", "secret names"),
    NODES: ("place", "places"),
}
_VERBS: Final = {
    Kind.REMOVED: ("goes", "go"),
    Kind.CHANGED: ("changes", "change"),
    Kind.ADDED: ("comes", "come"),
}
_KRI: Final = re.compile(r"kri_(?P<type>[a-z]+)_[^_]*_[^_]*_[^_]*_(?P<name>[^_]*)_[^_.]*(?:\..*)?")
_KRI_WORDS: Final = {
    "msvc": "service",
    "extsvc": "external service",
    "mtp": "permission",
    "mzsvc": "service",
    "dp": "proxy",
}
_INBOUND: Final = re.compile(r"self_inbound_(?:[a-z]+_)?(?P<section>.+?)(?:\.rbac)?")
_PERMISSION: Final = ".rbac"
_PERMITS: Final = re.compile(r"kri_mtp_[^/]*")
_TARGETS: Final = frozenset({"cluster", "weightedClusters"})
_OF_TARGETS: Final = frozenset({ResourceType.CLUSTER.file, ResourceType.ENDPOINT.file})
_ADDRESS: Final = re.compile(r"/endpoints/\d+/lbEndpoints/\d+")
_LOCALITY: Final = re.compile(r"/endpoints(?:/\d+)?")
_LONGEST: Final = 60


def title_of_proxies(kind: Kind, snapshots: Sequence[Snapshot]) -> str:
    """Of proxies of one service that come or go."""
    verb = _VERBS[kind][len(snapshots) > 1]
    service = snapshots[0].node.workload
    if len(snapshots) == 1:
        return f"proxy {snapshots[0].node.proxy} of service {service} {verb}"
    return f"{len(snapshots):,} proxies of service {service} {verb}"


def title_of(changes: Sequence[ResourceChange], snapshots: Sequence[Snapshot]) -> str:
    """Of a change that these proxies are subject to; deletions first."""
    if all(change.fields and change.name.endswith(_PERMISSION) for change in changes):
        return f"permissions of {whose(changes, snapshots)} change"
    if all(change.fields for change in changes):
        fields = [(change, one) for change in changes for one in change.fields]
        said = {(_word(change.type, one), _json(one.before), _json(one.after)) for change, one in fields}
        if len(said) == 1 and _is_scalar(changes[0].fields[0]):
            return _of_field(changes[0], changes[0].fields[0], whose(changes, snapshots))
    if renamed := _of_identity(changes, snapshots):
        return renamed
    if (routed := _of_routing(changes, snapshots)) is not None:
        return routed
    if len(changes) == 1 and changes[0].kind is Kind.CHANGED:
        return _sentence(changes[0], whose(changes, snapshots))
    return _counts(changes, snapshots)


def _of_identity(changes: Sequence[ResourceChange], snapshots: Sequence[Snapshot]) -> str:
    """A proxy of another service or zone now, with the certificate that says so; empty where more than that differs."""
    if {one.type for one in changes} != {NODES, ResourceType.SECRET.file}:
        return ""
    places = [one for one in changes if one.type == NODES]
    fields = [field for one in places for field in one.fields]
    said = {(field.path, field.before, field.after) for field in fields}
    if len(said) != 1:
        return ""
    path, before, after = said.pop()
    if path == "/workload" and len(fields) == 1:
        return f"identity {before} → {after}"
    return _of_field(places[0], fields[0], whose(places, snapshots)) if path == "/zone" else ""


def _of_routing(changes: Sequence[ResourceChange], snapshots: Sequence[Snapshot]) -> str | None:
    """A route that leads elsewhere, with the clusters that go and come by that; None where more differs."""
    routes = [one for one in changes if one.kind is Kind.CHANGED]
    if len(routes) != 1 or any(one.type not in _OF_TARGETS for one in changes if one.kind is not Kind.CHANGED):
        return None
    [route] = routes
    fields = [field for field in route.fields if field.path.rpartition("/")[2] in _TARGETS]
    if not fields or len(fields) != len(route.fields):
        return None
    before, after = (
        sorted({subject_of(name, snapshots) for one in fields for name in _targets(one, side)})
        for side in (Kind.REMOVED, Kind.ADDED)
    )
    subject = whose(routes, snapshots)
    if before == after:
        return _of_weights(route, subject)
    return f"{subject} is routed to {_and(after)}" if after else f"route of {subject} changes target"


def _targets(field: FieldChange, side: Kind) -> Iterator[str]:
    value = field.before if side is Kind.REMOVED else field.after
    if isinstance(value, str):
        yield value
    elif value is not None:
        yield from (str(one.get("name", "")) for one in value.get("clusters", ()))


def subject_of(name: str, snapshots: Sequence[Snapshot]) -> str:
    """What an Envoy resource is about, in the words of the mesh."""
    if match := _KRI.fullmatch(name):
        return f"{_KRI_WORDS.get(match['type'], match['type'])} {match['name']}"
    if match := _INBOUND.fullmatch(name):
        services = sorted({one.node.workload for one in snapshots})
        return f"inbound {match['section']}" + (f" of {services[0]}" if len(services) == 1 else "")
    return name


def _sentence(change: ResourceChange, subject: str) -> str:
    if change.type == ResourceType.ENDPOINT.file:
        return _of_endpoints(change, subject)
    if any("weightedClusters" in one.path for one in change.fields):
        return _of_weights(change, subject)
    named = sorted({_word(change.type, one) for one in change.fields})
    if len(named) == 1:
        several = named[0].endswith("s") and not named[0].startswith(_KRI_WORDS["mtp"])
        return f"{named[0]} of {subject} {'change' if several else 'changes'}"
    return f"{_KINDS[change.type][bool(change.alike)]} of {subject} {_VERBS[Kind.CHANGED][bool(change.alike)]}"


def _of_weights(change: ResourceChange, subject: str) -> str:
    """Where a route's whole split is told, its weights; a single cluster has all of it."""
    before, after = (_weights(change, kind) for kind in (Kind.REMOVED, Kind.ADDED))
    if before and after:
        return f"traffic split of {subject}: {before} → {after}"
    return f"traffic split of {subject} changes"


def _weights(change: ResourceChange, kind: Kind) -> str:
    some = [one for one in change.fields if one.kind is kind]
    values = {one.path.rpartition("/")[2]: one.before if kind is Kind.REMOVED else one.after for one in some}
    if values.keys() == {"cluster"}:
        return "100"
    if values.keys() == {"weightedClusters"}:
        return "/".join(str(each.get("weight", 0)) for each in values["weightedClusters"].get("clusters", ()))
    return ""


def _of_field(change: ResourceChange, field: FieldChange, subject: str) -> str:
    before, after = (_short(value) if value is not None else "none" for value in (field.before, field.after))
    return f"{_word(change.type, field)} of {subject}: {before} → {after}"


def whose(changes: Iterable[ResourceChange], snapshots: Sequence[Snapshot]) -> str:
    """What resources of these names are about, together."""
    return subjects_of([name for one in changes for name in (one.name, *one.alike)], snapshots)


def subjects_of(names: Iterable[str], snapshots: Sequence[Snapshot]) -> str:
    """One by its name; of several how many there are, and of what kind."""
    subjects = sorted({subject_of(name, snapshots) for name in names})
    if len(subjects) == 1:
        return subjects[0]
    words = {subject.partition(" ")[0] for subject in subjects}
    return f"{len(subjects):,} {words.pop()}s" if len(words) == 1 else f"{len(subjects):,} destinations"


def moved_endpoints(change: ResourceChange) -> frozenset[tuple[Kind, str]]:
    """Endpoints that come and go, with their addresses; none where more than that is said of a field."""
    found = [(kind, address) for kind in (Kind.REMOVED, Kind.ADDED) for address in _addresses(change, kind)]
    whole = all(_ADDRESS.fullmatch(one.path) or _LOCALITY.fullmatch(one.path) for one in change.fields)
    return frozenset(found) if whole else frozenset()


def _of_endpoints(change: ResourceChange, subject: str) -> str:
    """By the addresses that go and come where nothing else does."""
    moved = sorted(moved_endpoints(change), key=lambda found: found[1])
    gone, come = ([address for kind, address in moved if kind is wanted] for wanted in (Kind.REMOVED, Kind.ADDED))
    both = {*gone} & {*come}
    told = (
        ([one for one in gone if one not in both], _VERBS[Kind.REMOVED]),
        (sorted(both), ("moves", "move")),
        ([one for one in come if one not in both], _VERBS[Kind.ADDED]),
    )
    parts = [_count_of(found, verbs) for found, verbs in told if found]
    return f"endpoints of {subject}: {', '.join(parts)}" if parts else f"endpoints of {subject} change"


def _count_of(addresses: Sequence[str], verbs: tuple[str, str]) -> str:
    return f"{addresses[0]} {verbs[0]}" if len(addresses) == 1 else f"{len(addresses):,} {verbs[1]}"


def _addresses(change: ResourceChange, kind: Kind) -> Iterator[str]:
    """Of whole endpoints, or of whole localities of them."""
    for one in change.fields:
        if one.kind is kind:
            value = one.before if kind is Kind.REMOVED else one.after
            endpoints = [value] if _ADDRESS.fullmatch(one.path) else _endpoints(one.path, value)
            for endpoint in endpoints:
                socket = endpoint.get("endpoint", {}).get("address", {}).get("socketAddress", {})
                yield f"{socket.get('address', '?')}:{socket.get('portValue', 0)}"


def _endpoints(path: str, value: Any) -> list[Any]:
    if path == "/endpoints":
        return [each for locality in value for each in locality.get("lbEndpoints", ())]
    return value.get("lbEndpoints", []) if _LOCALITY.fullmatch(path) else []


def _counts(changes: Sequence[ResourceChange], snapshots: Sequence[Snapshot]) -> str:
    parts = []
    for kind in (Kind.REMOVED, Kind.CHANGED, Kind.ADDED):
        some = Counter(one.type for one in changes if one.kind is kind for _ in (one.name, *one.alike))
        if some:
            words = [f"{number:,} {_KINDS[each][number > 1]}" for each, number in sorted(some.items())]
            parts.append(f"{_and(words)} {_VERBS[kind][sum(some.values()) > 1]}")
    subjects = {subject_of(name, snapshots) for one in changes for name in (one.name, *one.alike)}
    start = f"{subjects.pop()}: " if len(subjects) == 1 else ""
    return start + ", ".join(parts)


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _word(kind: str, field: FieldChange) -> str:
    """The last step that is a name; camelCase taken apart where we have no better word. A permission is all of it."""
    if permission := _PERMITS.search(field.path):
        return subject_of(permission[0], ())
    step = next((one for one in reversed(field.path.split("/")) if one and not one.isdigit()), "content")
    known = _WORDS.get(f"{kind}/{step}")
    return known or re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f" {match[0].lower()}", step)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _is_scalar(field: FieldChange) -> bool:
    return not any(isinstance(value, dict | list) for value in (field.before, field.after))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
