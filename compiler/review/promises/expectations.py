"""Whether the answers to a test's requests are what it expects; the first that is not is the counter-example."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from compiler.review.promises.calls import Planned, clusters_behind
from compiler.review.promises.checks import Result
from compiler.review.promises.decided import Deciders
from compiler.review.promises.describing import (
    describe,
    describe_ask,
    describe_duration,
    describe_share,
    describe_tags,
    percent,
)
from compiler.review.promises.route_tests import Expected, RouteTest, Share
from compiler.review.promises.routing.answer import Answer, Ask, CannotTell, Headers, Outcome
from compiler.review.promises.routing.held import Fleet

_NEAR: Final = Fraction(1, 100)
"""Shares that differ by less count as equal: of a large total only so many draws are tried."""
_ROUTES: Final = "MeshHTTPRoute"
_NO_TIME: Final = 0.0015
"""Seconds; Envoy tells milliseconds."""

Answers = tuple[Outcome, ...] | CannotTell


@dataclass(frozen=True, slots=True)
class Miss:
    """An expectation that an answer does not meet; `by` is the policy that would have decided it."""

    expected: str
    came: str
    by: str = _ROUTES


@dataclass(frozen=True)
class Judge:
    """Compares, and says which lines of the repository decided."""

    fleet: Fleet
    deciders: Deciders

    def judge(self, planned: Planned, answers: Sequence[Answers]) -> Result:
        """Passed where every answer to every caller is as expected."""
        test = planned.test
        if not planned.asks:
            return self._without_way(planned)
        for ask, outcomes in zip(planned.asks, answers, strict=True):
            if isinstance(outcomes, CannotTell):
                return _result(test, f"it cannot be told: {outcomes}", (f"request: {describe_ask(ask, self.fleet)}",))
            if failed := self._compare(test, ask, outcomes):
                return failed
        return _result(test, "")

    def _without_way(self, planned: Planned) -> Result:
        """A proxy that has no outbound to a service cannot call it, however much it would be permitted."""
        test = planned.test
        if test.expected.denied is True:
            return _result(test, "")
        callers = ", ".join(planned.callers[:3]) + (" and others" if len(planned.callers) > 3 else "")
        line = f"request: {callers} to {test.sent.to}"
        return _result(test, f"{callers} has no outbound to {test.sent.to}: nothing takes the call", (line,))

    def _compare(self, test: RouteTest, ask: Ask, outcomes: Sequence[Outcome]) -> Result | None:
        if test.expected.split and (miss := _miss_split(test.expected.split, outcomes)):
            return self._failed(test, ask, outcomes[0].answer, miss)
        for outcome in outcomes:
            miss = next(_misses(test.expected, outcome.answer), None)
            if miss is not None:
                return self._failed(test, ask, outcome.answer, miss, outcome.share)
        return None

    def _failed(self, test: RouteTest, ask: Ask, answer: Answer, miss: Miss, of_all: Fraction = Fraction(1)) -> Result:
        share = f" ({percent(of_all)} of such requests)" if of_all != 1 else ""
        detail = [
            f"request:  {describe_ask(ask, self.fleet)}",
            f"expected: {miss.expected}",
            f"came:     {miss.came}{share}",
        ]
        if answer.why and answer.why not in miss.came:
            detail.append(f"because:  {answer.why}")
        detail += [f"decided:  {line}" for line in self._decided(ask, answer, miss)]
        return _result(test, f"expected {miss.expected}, came {miss.came}{share}", tuple(detail))

    def _decided(self, ask: Ask, answer: Answer, miss: Miss) -> Iterator[str]:
        """Of a denial the permissions of the service; of anything else the route, or the policy that it follows."""
        if answer.denied:
            found = self.deciders.permissions(answer.node or self._callee(ask))
            yield from found or ("no MeshTrafficPermission is about the service: nobody may call it",)
        elif answer.taken is not None and miss.by != _ROUTES:
            found = self.deciders.conf(ask.caller, answer.taken, miss.by)
            yield from found or (f"no {miss.by} is about the route",)
        elif answer.taken is not None:
            found = self.deciders.route(ask.caller, answer.taken)
            yield from found or ("the default route: no MeshHTTPRoute of the service takes the request",)

    def _callee(self, ask: Ask) -> str:
        """A proxy behind the listener; who closed a TCP connection does not show."""
        caller = self.fleet[ask.caller]
        clusters = clusters_behind(caller, ask.listener)
        return next((one.node for name in clusters for one in self.fleet.callees(caller, name)), "")


def _result(test: RouteTest, message: str, detail: tuple[str, ...] = ()) -> Result:
    position = test.position("name")
    return Result(test.name, position.file, position.line, not message, message, detail)


def _miss_split(split: Sequence[Share], outcomes: Sequence[Outcome]) -> Miss | None:
    """Every entry gets its share, and together they are all."""
    total = sum(one.weight for one in split)
    expected = ", ".join(f"{percent(Fraction(one.weight, total))} {describe_share(one)}" for one in split)
    came = ", ".join(f"{percent(one.share)} {describe(one.answer)}" for one in outcomes)
    for share in split:
        found = sum((one.share for one in outcomes if _fits(share, one.answer)), Fraction(0))
        if abs(found - Fraction(share.weight, total)) > (_NEAR if share.weight else 0):
            return Miss(expected, came)
    if any(not any(_fits(share, one.answer) for share in split) for one in outcomes):
        return Miss(f"{expected} and nothing else", came)
    return None


def _fits(share: Share, answer: Answer) -> bool:
    return (
        (share.service is None or share.service == answer.service)
        and set(share.tags) <= set(answer.tags)
        and (share.status is None or share.status == answer.status)
    )


def _misses(expected: Expected, answer: Answer) -> Iterator[Miss]:
    """What an answer lacks; whether it was permitted first, since nothing else holds where it was not."""
    came = describe(answer)
    if expected.denied is not None and expected.denied != answer.denied:
        yield Miss("the call to be denied" if expected.denied else "the call to be permitted", came)
    reached = answer.service if answer.node or answer.denied else ""
    if expected.service is not None and expected.service != reached:
        yield Miss(f"service {expected.service}", came)
    if expected.tags and not set(expected.tags) <= set(answer.tags):
        yield Miss(describe_tags(expected.tags), came)
    if expected.status is not None and expected.status != answer.status:
        yield Miss(f"status {expected.status}", came)
    yield from _miss_texts(expected, answer)
    yield from _miss_headers("request", expected.request_headers, expected.without_request_headers, answer)
    yield from _miss_headers("response", expected.response_headers, expected.without_response_headers, answer)
    yield from _miss_limits(expected, answer)


def _miss_texts(expected: Expected, answer: Answer) -> Iterator[Miss]:
    for name, wanted, found in (
        ("path", expected.path, answer.path),
        ("host", expected.host, answer.authority),
        ("location", expected.location, answer.location),
    ):
        if wanted is not None and wanted != found:
            yield Miss(f"{name} {wanted}", f"{name} {found}" if found else describe(answer))
    if expected.identity is not None and not _shows(answer, expected.identity):
        shown = ", ".join(answer.identities)
        yield Miss(
            f"identity {expected.identity or 'of nobody'}",
            f"identity {shown}" if shown else f"{describe(answer)}, with no identity",
        )


def _shows(answer: Answer, identity: str) -> bool:
    return identity in answer.identities if identity else not answer.identities


def _miss_headers(side: str, wanted: Headers, unwanted: Sequence[str], answer: Answer) -> Iterator[Miss]:
    headers = answer.request_headers if side == "request" else answer.response_headers
    for name, value in wanted:
        found = ",".join(one for key, one in headers if key == name)
        if found != value or not any(key == name for key, _ in headers):
            yield Miss(
                f"{side} header {name}: {value}",
                f"{name}: {found}" if found else f"none of that name; {describe(answer)}",
            )
    for name in unwanted:
        found = ",".join(one for key, one in headers if key == name)
        if any(key == name for key, _ in headers):
            yield Miss(f"no {side} header {name}", f"{name}: {found}")


def _miss_limits(expected: Expected, answer: Answer) -> Iterator[Miss]:
    if expected.timeout is not None and (answer.timeout is None or abs(answer.timeout - expected.timeout) > _NO_TIME):
        came = describe(answer) if answer.timeout is None else f"a timeout of {describe_duration(answer.timeout)}"
        yield Miss(f"a timeout of {describe_duration(expected.timeout)}", came, "MeshTimeout")
    if expected.retries is not None and expected.retries != answer.retries:
        came = describe(answer) if answer.retries is None else f"{answer.retries} retries"
        yield Miss(f"{expected.retries} retries", came, "MeshRetry")
