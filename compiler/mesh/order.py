"""Precedence of policy items: which of two confs overrides the other (kuma-core §4.6)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, cast

from compiler.resources.backends import LOWEST_ROLE
from compiler.resources.model import ORIGIN, ROLE, Conf, Policy, PolicyItem, Resource, ResourceKey, TargetRef

Side = Literal["to", "from", "rules", "default"]

KIND_RANK: Final[Mapping[str, int]] = {
    "Mesh": 1,
    "Dataplane": 2,
    "MeshSubset": 3,
    "MeshGateway": 4,
    "MeshService": 5,
    "MeshExternalService": 6,
    "MeshMultiZoneService": 7,
    "MeshServiceSubset": 8,
    "MeshHTTPRoute": 9,
}
"""How specific a kind is; the more specific one overrides."""

_ORIGIN_RANK: Final[Mapping[str, int]] = {"global": 1, "": 2, "zone": 3}
_ROLE_RANK: Final[Mapping[str, int]] = {
    LOWEST_ROLE: 0,
    "": 1,
    "system": 1,
    "producer": 2,
    "consumer": 3,
    "workload-owner": 4,
}

Rank = tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a part of a conf was written; `pointer` is relative to the policy's spec."""

    kri: str
    policy: ResourceKey
    pointer: str


@dataclass(frozen=True)
class Item:
    """One conf of a policy; `item` is None for a policy that has a single `default`."""

    policy: Resource
    side: Side
    index: int
    item: PolicyItem | None = field(default=None, compare=False, repr=False)

    @cached_property
    def origin(self) -> Origin:
        pointer = "/default" if self.side == "default" else f"/{self.side}/{self.index}"
        return Origin(self.policy.kri(), self.policy.key, pointer)

    @cached_property
    def conf(self) -> Conf:
        return self.item.conf if self.item is not None else spec_of(self.policy).default or {}

    @cached_property
    def target(self) -> TargetRef:
        """The destination or source that the conf is about; the whole mesh where none is written."""
        return self.item.target_ref if self.item is not None else TargetRef()

    @cached_property
    def rank(self) -> Rank:
        """Greater overrides; the names, which decide last, are compared apart because they count in reverse."""
        return _policy_rank(self.policy) + (_destination_rank(self.target) if self.side == "to" else (0, 0))


def spec_of(policy: Resource) -> Policy:
    """The spec of a resource that is known to be a policy."""
    return cast("Policy", policy.spec)


def items_of(policy: Resource, side: Side) -> tuple[Item, ...]:
    """The items of one side, in the order in which they are written."""
    spec = spec_of(policy)
    match side:
        case "default":
            return () if spec.default is None else (Item(policy, side, 0),)
        case "to":
            written = spec.to
        case "from":
            written = spec.from_
        case "rules":
            written = spec.rules
    return tuple(Item(policy, side, index, item) for index, item in enumerate(written))


def sort_items(items: Iterable[Item]) -> tuple[Item, ...]:
    """Ascending precedence: a later item overrides an earlier one.

    The order is total and does not depend on the proxy, so a slice of a sorted sequence is sorted. Among names the
    lexicographically smaller overrides; where Kuma leaves a tie (one display name twice) the resource's own name
    decides.
    """
    ordered = list(items)
    if len(ordered) > 1:
        ordered.sort(key=_position)
        ordered.sort(key=_names, reverse=True)
        ordered.sort(key=_rank)
    return tuple(ordered)


def sort_policies(policies: Iterable[Resource]) -> tuple[Resource, ...]:
    """Policies by their own attributes alone, ascending precedence."""
    ordered = sorted(policies, key=lambda policy: (policy.name, policy.key), reverse=True)
    ordered.sort(key=_policy_rank)
    return tuple(ordered)


def _position(item: Item) -> tuple[str, int]:
    return item.side, item.index


def _names(item: Item) -> tuple[str, ResourceKey]:
    return item.policy.name, item.policy.key


def _rank(item: Item) -> Rank:
    return item.rank


def _policy_rank(policy: Resource) -> Rank:
    top = spec_of(policy).target_ref
    dataplane, gateway = top.kind == "Dataplane", top.kind == "MeshGateway"
    return (
        KIND_RANK.get(top.kind, 0),
        int(dataplane and bool(top.section_name)),
        int(dataplane and bool(top.name)),
        _ORIGIN_RANK.get(policy.labels.get(ORIGIN, ""), 2),
        len(top.tags) if gateway else 0,
        _ROLE_RANK.get(policy.labels.get(ROLE, ""), 1),
    )


def _destination_rank(target: TargetRef) -> Rank:
    return KIND_RANK.get(target.kind, 0), int(target.kind == "MeshService" and bool(target.section_name))
