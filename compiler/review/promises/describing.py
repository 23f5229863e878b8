"""Requests, answers and expectations in the words of a report."""

from fractions import Fraction

from compiler.envoy.resources import ResourceType
from compiler.resources.values import Duration
from compiler.review.promises.route_tests import Share, Tags
from compiler.review.promises.routing.answer import Answer, Ask
from compiler.review.promises.routing.held import Fleet, is_http, terminal_filter


def describe_ask(ask: Ask, fleet: Fleet) -> str:
    """The request as a person would repeat it."""
    caller = fleet[ask.caller]
    last = caller.filter(terminal_filter(caller.find(ResourceType.LISTENER, ask.listener).filter_chains[0]))
    if not is_http(last):
        return f"{ask.caller} connects to {ask.authority}"
    headers = "".join(f", {name}: {value}" for name, value in ask.headers)
    return f"{ask.caller} {ask.method} {ask.authority}{ask.path}{headers}"


def describe(answer: Answer) -> str:
    """What became of a request, in a few words."""
    if answer.denied:
        return f"denied by {answer.node or answer.service}"
    if answer.status is None:
        return _describe_place(answer) if answer.node else f"no connection to {answer.service}"
    if answer.location:
        return f"{answer.status} to {answer.location}"
    return f"{answer.status} from {_describe_place(answer)}" if answer.node else f"{answer.status}"


def _describe_place(answer: Answer) -> str:
    tags = tuple(pair for pair in answer.tags if not pair[0].startswith("kuma.io/"))
    return f"{answer.service} ({describe_tags(tags)})" if tags else answer.service


def describe_share(share: Share) -> str:
    parts = [
        f"{share.status}" if share.status is not None else "",
        share.service or "",
        f"({describe_tags(share.tags)})" if share.tags else "",
    ]
    return " ".join(part for part in parts if part) or "anything"


def describe_tags(tags: Tags) -> str:
    return ", ".join(f"{name}={value}" for name, value in tags)


def describe_duration(seconds: float) -> str:
    return str(Duration(round(seconds * 10**9))) if seconds else "0s (no limit)"


def percent(share: Fraction) -> str:
    return f"{float(share) * 100:.4g} %"
