"""What a step of the reconcile loop says: go on, or stop here and what has to happen before it is worth another try."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from compiler.diagnostics import Diagnostic
from compiler.reconcile.guard import Census
from compiler.reconcile.ports import Compiled, Published, Tip
from compiler.source.tree import SourceTree


class Next(StrEnum):
    """What to do after a step; all but PROCEED end the attempt."""

    PROCEED = "proceed"
    SETTLED = "settled"
    WAIT_FOR_AUTHOR = "wait-for-author"
    RETRY = "retry"


class State(StrEnum):
    """How a candidate commit stands, in the words of `/status`."""

    COMPILING = "compiling"
    REFUSED = "refused"
    HELD = "held"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    RETRYING = "retrying"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One commit on its way to the proxies; each step hands on a copy that holds what it found.

    `timings` are clock points in seconds since 1970: `moved`, `detected`, `compiled`, `durable`.
    """

    tip: Tip | None = None
    tree: SourceTree | None = None
    compiled: Compiled | None = None
    census: Census | None = None
    published: Published | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    timings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step's answer; `reason` is a sentence for the status page, the attempt's diagnostics lead to file and line."""

    next: Next
    attempt: Attempt
    state: State = State.COMPILING
    reason: str = ""
