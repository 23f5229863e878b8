"""Which endpoints are near, and to which zones calls go when those are gone."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import field

from compiler.mesh.destination import Affinity, Failover, Spread
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Spec, TargetRef
from compiler.resources.values import Percentage

_TENTH: Final = 9
"""Of ten calls nine stay with whom they have an affinity to, of each kind in turn."""


class AffinityTag(Spec, frozen=True):
    key: str
    weight: int | None = None


class LocalZone(Spec, frozen=True):
    affinity_tags: tuple[AffinityTag, ...] = ()


class Zones(Spec, frozen=True):
    type: str = "Any"
    zones: tuple[str, ...] = ()


class FailoverRule(Spec, frozen=True):
    to: Zones
    from_: Zones = field(default=Zones(), name="from")


class Threshold(Spec, frozen=True):
    percentage: Percentage


class CrossZone(Spec, frozen=True):
    failover: tuple[FailoverRule, ...] = ()
    failover_threshold: Threshold | None = None


class LocalityAwareness(Spec, frozen=True):
    disabled: bool = False
    local_zone: LocalZone | None = None
    cross_zone: CrossZone | None = None


def shape_spread(aware: LocalityAwareness, tags: Mapping[str, str]) -> Spread:
    """What of it depends on the caller's tags; its zone is known where its endpoints are put together."""
    if aware.disabled:
        return Spread(disabled=True)
    local, across = aware.local_zone, aware.cross_zone
    return Spread(
        local_only=local is not None and across is None,
        affinities=tuple(_affinities(local, tags)) if local is not None else None,
        failovers=tuple(_failover(rule) for rule in across.failover) if across is not None else None,
        overprovisioning=_factor(across) if local is not None or across is not None else 0,
    )


def _affinities(local: LocalZone, tags: Mapping[str, str]) -> Iterator[Affinity]:
    count = len(local.affinity_tags)
    for index, tag in enumerate(local.affinity_tags):
        weight = tag.weight if tag.weight is not None else _TENTH * 10 ** (count - index - 1)
        if tag.key in tags:
            yield Affinity(tag.key, tags[tag.key], weight)


def _failover(rule: FailoverRule) -> Failover:
    return Failover(rule.to.type, tuple(sorted(rule.to.zones)), tuple(sorted(rule.from_.zones)))


def _factor(across: CrossZone | None) -> int:
    """In percent; Kuma cuts it to hundreds (kuma-policies §2.7)."""
    if across is None or across.failover_threshold is None:
        return 200
    return max(100, round(Decimal(10_000) / across.failover_threshold.percentage))


def check_locality(aware: Conf, target: TargetRef, pointer: str) -> Iterator[Finding]:
    yield from _check_tags(((aware.get("localZone") or {}).get("affinityTags")) or (), pointer)
    across = aware.get("crossZone")
    if across is not None:
        if target.kind == "MeshService" and (target.section_name or target.labels):
            message = "a MeshService is of one zone: no call to it can go to another"
            hint = "use a MeshMultiZoneService"
            yield Finding(join(pointer, "crossZone"), BAD_VALUE, message, hint, on_key=True)
        yield from _check_across(across, join(pointer, "crossZone"))


def _check_tags(tags: Any, pointer: str) -> Iterator[Finding]:
    weighted = ["weight" in tag for tag in tags]
    if any(weighted) and not all(weighted):
        at = join(pointer, "localZone", "affinityTags", weighted.index(False))
        yield Finding(at, MISSING_FIELD, "all affinity tags have a weight, or none has", "add a weight")


def _check_across(across: Conf, pointer: str) -> Iterator[Finding]:
    yield from _check_none(across.get("failover") or (), join(pointer, "failover"))
    for index, rule in enumerate(across.get("failover") or ()):
        kind, zones, at = rule["to"]["type"], rule["to"].get("zones"), join(pointer, "failover", index, "to", "zones")
        if kind in ("Any", "None") and zones:
            yield Finding(at, EXCLUSIVE_FIELDS, f"{kind} takes no zones", "take them out", on_key=True)
        if kind in ("Only", "AnyExcept") and not zones:
            yield Finding(join(pointer, "failover", index, "to"), MISSING_FIELD, f"{kind} needs zones", on_key=True)
    threshold = (across.get("failoverThreshold") or {}).get("percentage")
    if threshold is not None and not Percentage.parse(threshold):
        at = join(pointer, "failoverThreshold", "percentage")
        yield Finding(at, BAD_VALUE, "at 0 percent no call would ever leave the zone", "a percentage above 0")


def _check_none(rules: Sequence[Conf], pointer: str) -> Iterator[Finding]:
    """It adds no zone, and ends nothing: rules after it are asked as if it was not there (kuma-policies §8, 17)."""
    for index, rule in enumerate(rules):
        later = [other for other in rules[index + 1 :] if other["to"]["type"] != "None"]
        if rule["to"]["type"] == "None" and any(_share(rule, other) for other in later):
            message = "None does not end the list: a rule after it lets the same callers leave their zone"
            yield Finding(join(pointer, index, "to", "type"), NO_EFFECT, message, "name other zones under from")


def _share(one: Conf, other: Conf) -> bool:
    """Whether some zone calls by both; without `from` all zones do."""
    ours, theirs = (set((rule.get("from") or {}).get("zones") or ()) for rule in (one, other))
    return not ours or not theirs or not ours.isdisjoint(theirs)
