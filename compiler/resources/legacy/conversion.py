"""What a legacy document becomes: newer policies, and what no newer policy can say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.resources.findings import NOT_SUPPORTED_YET, Finding

LEGACY_DIFFERENCE: Final = Code(
    "legacy-difference",
    Severity.WARNING,
    "a legacy policy whose newer form can mean something else",
    "Policies from before targetRef are compiled as the newer policies that say the same. Where the two do not say "
    "quite the same, this says how they differ; docs/compatibility-legacy.md has all of it.",
)


@dataclass(frozen=True, slots=True)
class Legacy:
    """A legacy document without its envelope; `pointer` leads to what it says."""

    mesh: str
    name: str
    content: Mapping[str, Any]
    pointer: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a document's Mesh says beside it, as far as it is known: its backends, and what its services speak."""

    logging: Mapping[str, Any] | None = None
    tracing: Mapping[str, Any] | None = None
    protocols: Mapping[str, str] = field(default_factory=dict)


NOTHING_KNOWN: Final = Surroundings()


@dataclass(frozen=True, slots=True)
class Policy:
    """A newer policy; `spec` is made of plain values and `Said` ones, `suffix` tells several of one type apart."""

    type: str
    spec: Mapping[str, Any]
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """All that a legacy document becomes; `unwritten` is why the policies are compiled, and cannot be written down."""

    policies: tuple[Policy, ...] = ()
    findings: tuple[Finding, ...] = ()
    unwritten: tuple[Finding, ...] = ()


def number(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The first of several of a type keeps the name of the legacy policy; the others count on from it."""
    counts: dict[str, int] = {}
    numbered = []
    for policy in policies:
        counts[policy.type] = counts.get(policy.type, 0) + 1
        suffix = f"-{counts[policy.type]}" if counts[policy.type] > 1 else ""
        numbered.append(Policy(policy.type, policy.spec, suffix))
    return tuple(numbered)


def unsayable(pointer: str, message: str, hint: str | None = None, *, on_key: bool = False) -> Finding:
    """For what Kuma accepts and no newer policy has a word for; it is refused rather than left out."""
    return Finding(pointer, NOT_SUPPORTED_YET, message, hint, on_key=on_key)


def differs(pointer: str, message: str, hint: str | None = None) -> Finding:
    """For what the newer policy says a little otherwise."""
    return Finding(pointer, LEGACY_DIFFERENCE, message, hint, on_key=True)
