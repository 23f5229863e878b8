"""One type of one stream: what is subscribed, believed held, in flight and doubted; from these, what is owed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from compiler.xds.served import NOTHING, WILDCARD_TYPES, Resource, sum_marks

UNBOUNDED = 1 << 30
ANY_KEY = "*"


class Flight(NamedTuple):
    """A response that has no answer yet; `before` is what was believed held of the names that it touches.

    `trial` are the additions that the client has not accepted before: the culprit of a refusal is one of them.
    `repairs` are the names that were in doubt; `names` all that are added or removed.
    """

    nonce: str
    digest: str
    version: str
    additions: tuple[Resource, ...]
    removals: tuple[str, ...]
    before: Mapping[str, Resource]
    marks: int
    trial: tuple[Resource, ...]
    repairs: frozenset[str]
    names: tuple[str, ...]

    @property
    def is_handover(self) -> bool:
        return bool(self.additions and self.removals)


@dataclass(slots=True)
class TypeState:
    """`asked` is owed at once, `changed` in its turn, `gone` last of all; `judge` and `settle` alone write these three.

    `unsure` maps names whose state at the client nobody knows to the exclusive keys that they may hold there.
    Of a `whole` type a client takes all that there is, so that absence is a removal.
    `withheld` names stand in the configuration but were refused: neither sent nor removed.
    """

    type_url: str
    whole: bool = field(init=False)
    wildcard: bool = False
    opened: bool = False
    sent: bool = False
    greeting_due: bool = False
    claim: str = ""
    names: set[str] = field(default_factory=set)
    listed: tuple[str, ...] = ()
    denied: dict[str, None] = field(default_factory=dict)
    held: dict[str, Resource] = field(default_factory=dict)
    _marks: int | None = 0
    marks_accepted: int = 0
    last_touch: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, frozenset[str]] = field(default_factory=dict)
    flights: dict[str, Flight] = field(default_factory=dict)
    target: Mapping[str, Resource] = field(default_factory=lambda: NOTHING)
    withheld: frozenset[str] = frozenset()
    replaced: dict[str, Resource] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    batch: int = UNBOUNDED
    foreign: bool = False

    def __post_init__(self) -> None:
        self.whole = self.type_url in WILDCARD_TYPES

    @property
    def owes_additions(self) -> bool:
        return bool(self.asked or self.changed)

    def is_subscribed(self, name: str) -> bool:
        return self.wildcard or name in self.names

    @property
    def marks(self) -> int:
        """The state-of-the-world version of what is held."""
        if self._marks is None:
            self._marks = sum_marks(self.held)
        return self._marks

    def hold(self, *resources: Resource) -> None:
        self._marks = None
        for resource in resources:
            self.held[resource.name] = resource
        if self.unsure:
            for resource in resources:
                self.unsure.pop(resource.name, None)

    def let_go(self, name: str) -> None:
        """The name's former content counts no longer, whatever comes in its place."""
        self._marks = None
        self.held.pop(name, None)
        self.unsure.pop(name, None)

    def doubt(self, name: str, *witnesses: Resource | None) -> None:
        """Nobody knows what the client has under this name; the witnesses are what it may be."""
        seen = [_list_keys(each) for each in (self.held.get(name), *witnesses) if each is not None]
        former = self.unsure.get(name, frozenset() if seen else frozenset({ANY_KEY}))
        self.let_go(name)
        self.unsure[name] = former.union(*seen)

    def aim(self, target: Mapping[str, Resource], withheld: frozenset[str]) -> None:
        """A new target; only what differs from the old one is judged again, and nothing before a first request."""
        former, before = self.target, self.withheld
        self.target, self.withheld = target, withheld
        if not self.opened:
            return
        if former is not target:
            self.judge(_DIFFERENCES.between(former, target))
            if self.unsure or not self.held.keys() <= target.keys():
                # What is held and in neither target (claimed from before a restart) may have become removable.
                self.judge([name for name in (*self.held, *self.unsure) if name not in target])
        if before != withheld:
            self.judge(before ^ withheld)

    def judge_all(self) -> None:
        self.judge(sorted({*self.target, *self.held, *self.unsure, *self.names}))

    def judge(self, names: Iterable[str]) -> None:
        """What is owed of a name follows from what is wanted, held and doubted, and from nothing else."""
        asked, changed, gone = self.asked, self.changed, self.gone
        owing = bool(asked or changed or gone)
        for name in names:
            if owing:
                asked.pop(name, None)
                changed.pop(name, None)
                gone.pop(name, None)
            wanted = self.target.get(name) if self.wildcard or name in self.names else None
            held = self.held.get(name)
            if wanted is None:
                if self.whole and name not in self.withheld and (held is not None or name in self.unsure):
                    gone[name] = None
            elif name in self.unsure:
                changed[name] = None
            elif held is None:
                asked[name] = None
            elif held is not wanted and held.version != wanted.version:
                changed[name] = None

    def settle(self, names: Iterable[str]) -> None:
        """As `judge`, of names that were owed and of which just that is held now which is wanted."""
        for name in names:
            self.asked.pop(name, None)
            self.changed.pop(name, None)

    def may_hold(self, name: str) -> frozenset[str]:
        """The exclusive keys that the client may have in use under this name."""
        held = self.held.get(name)
        return self.unsure.get(name, frozenset()) if held is None else _list_keys(held)


class _Differences:
    """Of the two mappings that were compared last, by their identity: replicas share theirs, and are told in a row."""

    def __init__(self) -> None:
        self._former: Mapping[str, Resource] = NOTHING
        self._target: Mapping[str, Resource] = NOTHING
        self._names: list[str] = []

    def between(self, former: Mapping[str, Resource], target: Mapping[str, Resource]) -> list[str]:
        """Names in order; equal resources are mostly the very same object."""
        if former is not self._former or target is not self._target:
            changed = [name for name, each in target.items() if former.get(name) is not each]
            gone = former.keys() - target.keys()
            self._former, self._target, self._names = former, target, sorted([*changed, *gone])
        return self._names


_DIFFERENCES: Final = _Differences()


def _list_keys(resource: Resource) -> frozenset[str]:
    """What is known by its version alone, from a claim, may hold anything."""
    if not resource.body:
        return frozenset({ANY_KEY})
    return frozenset({resource.exclusive}) if resource.exclusive else frozenset()
