"""Where a changed listener or route guards a workload less than before, or makes what it answers fail on purpose."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered

__all__ = ["faults", "is_guarding", "lost_authorizations", "lost_limits"]

_AUTHORIZATION: Final = "ExtAuthz"
_LIMIT: Final = "LocalRateLimit"
_FAULT: Final = "HTTPFault"
_GUARDING: Final = frozenset({ResourceType.LISTENER.file, ResourceType.ROUTE.file})
_PERCENT: Final = {"TEN_THOUSAND": 100, "MILLION": 10_000}
"""How many parts of each are one percent; of a hundred it is one."""

_NAMED: Final = tuple(f'.{name}"'.encode() for name in (_AUTHORIZATION, _LIMIT, _FAULT))

Json = Mapping[str, Any]


def is_guarding(resource: Rendered) -> bool:
    """Whether anything that is told of here may stand in it; of most resources a look at their bytes is enough."""
    written = resource.json
    return any(name in written for name in _NAMED)


def lost_authorizations(kind: str, before: Json, after: Json) -> Iterator[str]:
    """Who decides about requests is asked no more, or passed over where it does not answer."""
    were, now = (
        list(_messages(side, _AUTHORIZATION)) if kind == ResourceType.LISTENER.file else [] for side in (before, after)
    )
    if were and not now:
        yield "nobody decides any more which requests may pass"
    elif any(map(_is_open, now)) and were and not any(map(_is_open, were)):
        yield "requests pass where who decides about them does not answer"


def lost_limits(kind: str, before: Json, after: Json) -> Iterator[str]:
    """A slot without a bucket is no limit."""
    were, now = (any("tokenBucket" in one for one in _messages(side, _LIMIT)) for side in (before, after))
    if kind in _GUARDING and were and not now:
        yield "nothing is limited any more"


def faults(kind: str, before: Json, after: Json) -> Iterator[str]:
    """Those that were not there, as they are written now."""
    if kind == ResourceType.ROUTE.file:
        were, now = ({words for one in _messages(side, _FAULT) for words in _struck(one)} for side in (before, after))
        yield from sorted(now - were)


def _messages(value: Any, name: str) -> Iterator[Json]:
    """Of a type, wherever they stand."""
    if isinstance(value, dict):
        if str(value.get("@type", "")).endswith(f".{name}"):
            yield value
        for each in value.values():
            yield from _messages(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _messages(each, name)


def _is_open(authorization: Json) -> bool:
    return bool(authorization.get("failureModeAllow"))


def _struck(fault: Json) -> Iterator[str]:
    abort, delay, slowed = (fault.get(name) for name in ("abort", "delay", "responseRateLimit"))
    if abort:
        yield f"{_share(abort)} of requests are answered with {abort.get('httpStatus', 'an error')}"
    if delay:
        yield f"{_share(delay)} of requests wait for {delay.get('fixedDelay', 'some time')}"
    if slowed:
        yield f"{_share(slowed)} of answers come slowly"


def _share(part: Json) -> str:
    found = part.get("percentage", {})
    percent = found.get("numerator", 0) / _PERCENT.get(found.get("denominator", ""), 1)
    return f"{percent:g} %"
