"""When a child must be killed: a pure judgement over what the supervisor has seen of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from compiler.reconcile.options import Limits

_EXCUSED: Final = 4
"""Times its bound, the most that starvation excuses.

Killed and begun again, a child would need more of the CPU that it does not get.
"""


class Death(StrEnum):
    """Why a child ended, in one word."""

    STALLED = "stalled"
    MEMORY = "memory"
    TIME = "time"
    CRASHED = "crashed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Phase:
    """What a worker is at; `commit` and `tree` are empty unless their content is being read or compiled."""

    name: str
    commit: str = ""
    tree: str = ""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Seconds on the monotonic clock; `heard` is None before the first beat.

    Of the silence since then and of the phase, the child spent `starved_…` seconds in line for a CPU.
    """

    now: float
    started: float
    heard: float | None
    phase: Phase
    phase_since: float
    resident: int
    starved_silent: float = 0.0
    starved_in_phase: float = 0.0


def judge_worker(vitals: Vitals, limits: Limits, last_compile: float | None) -> Death | None:
    """None while the worker may live on."""
    if vitals.resident > limits.worker_memory:
        return Death.MEMORY
    if is_silent(vitals, limits.start, limits.silence):
        return Death.STALLED
    bound = phase_bound(vitals.phase.name, limits, last_compile)
    if bound is None or _lasts(vitals.now - vitals.phase_since, vitals.starved_in_phase, bound) <= bound:
        return None
    return Death.TIME


def is_silent(vitals: Vitals, start: float, silence: float) -> bool:
    """A child that is still importing has longer until its first beat; one that gets no CPU, a while."""
    if vitals.heard is None:
        return vitals.now - vitals.started > start
    return _lasts(vitals.now - vitals.heard, vitals.starved_silent, silence) > silence


def _lasts(seconds: float, starved: float, bound: float) -> float:
    return seconds - min(starved, _EXCUSED * bound)


def phase_bound(phase: str, limits: Limits, last_compile: float | None) -> float | None:
    """Seconds that a phase may take; an idle worker has no bound."""
    match phase:
        case "fetch" | "read":
            return limits.fetch
        case "compile":
            return _compile_bound(limits, last_compile)
        case "publish":
            return limits.publish
        case "answer":
            return limits.answer
        case _:
            return None


def _compile_bound(limits: Limits, last_compile: float | None) -> float:
    if last_compile is None:
        return limits.first_compile
    return limits.compile_base + limits.compile_factor * last_compile
