"""A request, and what became of it: the form in which both engines answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Protocol

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in order; a name may stand more than once."""

RETRIED_STATUS: Final = 503
"""What the service answers while its retries are counted."""

_OWN: Final = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "date",
        "location",
        "server",
        "te",
        "transfer-encoding",
        "via",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    }
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of one proxy's workload through one of its outbound listeners, and what the service answers to it.

    Where the listener takes TCP only the first two fields count. `counts_retries`: ask once more, with a service that
    answers 503 always.
    """

    caller: str
    listener: str
    method: str = "GET"
    path: str = "/"
    authority: str = ""
    headers: Headers = ()
    answer_status: int = 200
    answer_headers: Headers = ()
    counts_retries: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Taken:
    """The route that took a request, by its place: route configuration, virtual host, index among its routes."""

    table: str
    host: str
    index: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request led to. `status` is None for TCP; `node` is the proxy that took it, empty where none did.

    `path`, `authority` and `request_headers` are as the service saw them. `timeout` is in seconds, 0 for none, None
    where nothing was forwarded. Headers that every Envoy sets by itself are left out (`is_own`).
    """

    status: int | None
    service: str = ""
    node: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    denied: bool = False
    path: str = ""
    authority: str = ""
    request_headers: Headers = ()
    response_headers: Headers = ()
    location: str = ""
    timeout: float | None = None
    retries: int | None = None
    identities: tuple[str, ...] = ()
    taken: Taken | None = None
    why: str = field(default="", compare=False)
    """A sentence of what decided, where no service answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of the answers that a request may get, and its share of many such requests."""

    share: Fraction
    answer: Answer


class CannotTell(Exception):
    """The engine knows no answer; the message says what it does not know."""


class Engine(Protocol):
    """Answers requests: for each all that may become of it, likeliest first, or why it cannot be told."""

    @property
    def name(self) -> str: ...

    def answer(self, asks: Sequence[Ask]) -> Sequence[tuple[Outcome, ...] | CannotTell]: ...


def is_own(name: str) -> bool:
    """Headers that Envoy sets, takes away or rewrites by itself, so that no promise of a repository is about them."""
    return name in _OWN or name.startswith(("x-envoy-", "x-meshwright-", ":"))


def collect(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Equal answers are one outcome; the likeliest first, then by what was reached."""
    shares: dict[Answer, Fraction] = {}
    for outcome in outcomes:
        shares[outcome.answer] = shares.get(outcome.answer, Fraction(0)) + outcome.share
    found = [Outcome(share, answer) for answer, share in shares.items()]
    return tuple(sorted(found, key=lambda one: (-one.share, one.answer.service, one.answer.node, str(one.answer))))


def without_own(headers: Headers) -> Headers:
    """Sorted by name, so that engines can be compared; values of one name keep their order."""
    return tuple(sorted((pair for pair in headers if not is_own(pair[0])), key=lambda pair: pair[0]))


def with_retries(outcome: Outcome, retries: int) -> Outcome:
    return replace(outcome, answer=replace(outcome.answer, retries=retries))
