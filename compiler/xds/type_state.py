"""One type of one stream: what is subscribed, believed held, in flight and doubted; from these, what is owed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compiler.xds.served import NOTHING, WILDCARD_TYPES, Resource

UNBOUNDED = 1 << 30
ANY_KEY = "*"


@dataclass(frozen=True, slots=True)
class Flight:
    """A response that has no answer yet; `before` is what was believed held of the names that it touches.

    `trial` are the additions that the client has not accepted before: the culprit of a refusal is one of them.
    `repairs` are the names that were in doubt.
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

    @property
    def names(self) -> tuple[str, ...]:
        return (*(resource.name for resource in self.additions), *self.removals)

    @property
    def is_handover(self) -> bool:
        return bool(self.additions and self.removals)


@dataclass(slots=True)
class TypeState:
    """`asked` is owed at once, `changed` in its turn, `gone` last of all; `judge` alone writes these three.

    `unsure` maps names whose state at the client nobody knows to the exclusive keys that they may hold there.
    `withheld` names stand in the configuration but were refused: neither sent nor removed.
    """

    type_url: str
    wildcard: bool = False
    opened: bool = False
    sent: bool = False
    greeting_due: bool = False
    claim: str = ""
    names: set[str] = field(default_factory=set)
    listed: tuple[str, ...] = ()
    denied: dict[str, None] = field(default_factory=dict)
    held: dict[str, Resource] = field(default_factory=dict)
    marks: int = 0
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

    @property
    def whole(self) -> bool:
        """Whether a client takes all that there is of this type, so that absence is a removal."""
        return self.type_url in WILDCARD_TYPES

    @property
    def owes_additions(self) -> bool:
        return bool(self.asked or self.changed)

    @property
    def owes_answer(self) -> bool:
        return bool(self.asked or self.changed or self.denied or self.greeting_due)

    def is_subscribed(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def hold(self, resource: Resource) -> None:
        self.let_go(resource.name)
        self.held[resource.name] = resource
        self.marks = (self.marks + resource.mark) % (1 << 128)

    def let_go(self, name: str) -> None:
        """The name's former content counts no longer, whatever comes in its place."""
        former = self.held.pop(name, None)
        self.unsure.pop(name, None)
        if former is not None:
            self.marks = (self.marks - former.mark) % (1 << 128)

    def doubt(self, name: str, *witnesses: Resource | None) -> None:
        """Nobody knows what the client has under this name; the witnesses are what it may be."""
        seen = [_list_keys(each) for each in (self.held.get(name), *witnesses) if each is not None]
        former = self.unsure.get(name, frozenset() if seen else frozenset({ANY_KEY}))
        self.let_go(name)
        self.unsure[name] = former.union(*seen)

    def aim(self, target: Mapping[str, Resource], withheld: frozenset[str]) -> None:
        """A new target; only what differs from the old one is judged again."""
        former, before = self.target, self.withheld
        self.target, self.withheld = target, withheld
        if former is not target:
            self.judge(
                sorted(each for each in former.keys() | target.keys() if former.get(each) is not target.get(each))
            )
            # What is held and in neither target (claimed from before a restart) may have become removable.
            self.judge([name for name in (*self.held, *self.unsure) if name not in target])
        if before != withheld:
            self.judge(before ^ withheld)

    def judge_all(self) -> None:
        self.judge(sorted({*self.target, *self.held, *self.unsure, *self.names}))

    def judge(self, names: Iterable[str]) -> None:
        """What is owed of a name follows from what is wanted, held and doubted, and from nothing else."""
        for name in names:
            self.asked.pop(name, None)
            self.changed.pop(name, None)
            self.gone.pop(name, None)
            owed_as = self._owed_as(name)
            if owed_as is not None:
                owed_as[name] = None

    def _owed_as(self, name: str) -> dict[str, None] | None:
        wanted = self.target.get(name) if self.is_subscribed(name) else None
        held = self.held.get(name)
        if wanted is None:
            stays = not self.whole or name in self.withheld or (held is None and name not in self.unsure)
            return None if stays else self.gone
        if name in self.unsure:
            return self.changed
        if held is None:
            return self.asked
        return self.changed if held.version != wanted.version else None

    def may_hold(self, name: str) -> frozenset[str]:
        """The exclusive keys that the client may have in use under this name."""
        held = self.held.get(name)
        return self.unsure.get(name, frozenset()) if held is None else _list_keys(held)


def _list_keys(resource: Resource) -> frozenset[str]:
    """What is known by its version alone, from a claim, may hold anything."""
    if not resource.body:
        return frozenset({ANY_KEY})
    return frozenset({resource.exclusive}) if resource.exclusive else frozenset()
