"""Who may talk to whom, told from compiled snapshots alone: listeners, RBAC, routes, clusters and endpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

OUTSIDE = "external/"
"""What stands before the name of a destination that is no proxy of a mesh."""
PASSTHROUGH = f"{OUTSIDE}passthrough"
"""Anywhere that the caller's workload asks for: its proxy hands on what no listener of the mesh wants."""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A caller may reach a port of a service. Services are `mesh/workload`, or begin with `OUTSIDE`.

    `methods` and `paths` are empty where every one may be called; a path ends in `*` where it is a prefix, and is
    written `~expression` where it is a regular expression. `conditions` are what else must hold, in words. Port 0
    stands for any.
    """

    caller: str
    service: str
    port: int
    protocol: str = ""
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    identity: bool = True
    """Whether the caller is known by its certificate there; False where the port takes plaintext from anyone."""
    conditions: tuple[str, ...] = ()
    proxied: bool = True
    """Whether the caller's own proxy gets in; False where its calls are refused and the workload must go past it."""

    @property
    def place(self) -> str:
        """What is called, as every output names it."""
        if self.service == PASSTHROUGH:
            return "anything outside"
        return f"{self.service}:{self.port}" if self.port else self.service

    @property
    def requests(self) -> str:
        """Which ones are let through, in words."""
        words = [" or ".join(self.methods)] if self.methods else []
        words += [" or ".join(self.paths)] if self.paths else []
        return ", ".join([*words, *(f"if {one}" for one in self.conditions)]) or "every request"

    @property
    def warning(self) -> str:
        """Who else gets in, and how; nothing where callers are known."""
        if self.identity or self.service.startswith(OUTSIDE):
            return ""
        return "in plaintext, by anyone" if self.proxied else "only past its proxy, in plaintext"

    @property
    def terms(self) -> str:
        """How it may be called, in words; a reader misses nothing that narrows or widens it."""
        words = [f":{self.port} {self.protocol}" if self.port else self.protocol]
        words += [self.requests] if self.methods or self.paths or self.conditions else []
        words += [self.warning] if self.warning else []
        return ", ".join(words)

    def covers(self, other: "Edge") -> bool:
        """Whether all that the other lets through goes through this one too; a shown certificate is asked of more."""
        return (
            (self.caller, self.service, self.port, self.protocol)
            == (other.caller, other.service, other.port, other.protocol)
            and _holds(self.methods, other.methods)
            and _holds(self.paths, other.paths)
            and set(self.conditions) <= set(other.conditions)
            and (not self.identity or other.identity)
            and (self.proxied or not other.proxied)
        )


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """The edges of one caller to one port that it could call before and still can, but on other terms."""

    before: tuple[Edge, ...]
    after: tuple[Edge, ...]

    @property
    def edge(self) -> Edge:
        """One of those of now: caller, service and port are the same in all of them."""
        return self.after[0]

    @property
    def gained(self) -> tuple[Edge, ...]:
        """What goes through now and did not."""
        return _uncovered(self.after, self.before)

    @property
    def lost(self) -> tuple[Edge, ...]:
        """What went through and does not any more."""
        return _uncovered(self.before, self.after)

    @property
    def says(self) -> str:
        """The difference in words."""
        return ", ".join([*self._protocols(), *self._requests(), *self._trust()]) or "on other terms"

    def _protocols(self) -> Iterator[str]:
        was, now = (sorted({one.protocol for one in side}) for side in (self.before, self.after))
        if was != now:
            yield f"{' and '.join(now)} instead of {' and '.join(was)}"

    def _requests(self) -> Iterator[str]:
        was, now = (dict.fromkeys(one.requests for one in side) for side in (self.before, self.after))
        come, gone = ([one for one in side if one not in other] for side, other in ((now, was), (was, now)))
        if come and not self.lost:
            yield f"also {'; '.join(come)}"
        elif (come or gone) and not self.gained:
            yield f"only {'; '.join(now)} now"
        elif come or gone:
            yield f"{'; '.join(now)} instead of {'; '.join(was)}"

    def _trust(self) -> Iterator[str]:
        """Who gets in beside the caller's own proxy."""
        was, now = (any(one.proxied for one in side) for side in (self.before, self.after))
        if was != now:
            yield "its proxy gets in too" if now else "its proxy is refused now"
        known, asked = (all(one.identity for one in side) for side in (self.before, self.after))
        if known != asked:
            yield "only with a certificate now" if asked else "also without a certificate"


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """Edges of pairs that could not call at all before, or cannot any more; of others what changed. Each sorted."""

    added: tuple[Edge, ...] = ()
    removed: tuple[Edge, ...] = ()
    kept: int = 0
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def _uncovered(edges: tuple[Edge, ...], others: tuple[Edge, ...]) -> tuple[Edge, ...]:
    return tuple(edge for edge in edges if not any(other.covers(edge) for other in others))


def _holds(wider: tuple[str, ...], narrower: tuple[str, ...]) -> bool:
    """Empty stands for every one; a prefix holds what begins with it."""
    return not wider or (bool(narrower) and all(any(_begins(one, each) for one in wider) for each in narrower))


def _begins(wider: str, narrower: str) -> bool:
    return wider == narrower or (
        wider.endswith("*") and not narrower.startswith("~") and narrower.startswith(wider[:-1])
    )
