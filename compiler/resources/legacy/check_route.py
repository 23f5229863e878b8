"""What a TrafficRoute must hold: where calls go, what of them matches, and what is changed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compiler.resources.checks.expressions import check_expression, check_substitution
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join
from compiler.resources.model import SERVICE


def check_traffic_route(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """The route of last resort, and each entry before it."""
    yield from _check_goal(conf, at)
    for index, rule in enumerate(conf.get("http", ())):
        pointer = join(at, "http", index)
        yield from _check_goal(rule, pointer)
        yield from _check_match(rule, join(pointer, "match"))
        yield from _check_modify(rule, join(pointer, "modify"))
    ring = conf.get("loadBalancer", {}).get("ringHash", {})
    if int(ring.get("minRingSize", 0)) > int(ring.get("maxRingSize", 8_000_000)):
        pointer = join(at, "loadBalancer", "ringHash", "minRingSize")
        yield Finding(pointer, BAD_VALUE, "minRingSize must not be above maxRingSize")


def _check_goal(goal: Mapping[str, Any], at: str) -> Iterator[Finding]:
    if "split" in goal and "destination" in goal:
        yield Finding(at, EXCLUSIVE_FIELDS, "split and destination exclude each other", "keep one of them")
    elif "split" not in goal and "destination" not in goal:
        yield Finding(at, MISSING_FIELD, "it does not say where calls go", "give split or destination")
    if "destination" in goal:
        yield from _check_destination(goal["destination"], join(at, "destination"))
    yield from _check_split(goal.get("split", ()), join(at, "split"))


def _check_split(split: Sequence[Mapping[str, Any]], at: str) -> Iterator[Finding]:
    for index, share in enumerate(split):
        yield from _check_destination(share["destination"], join(at, index, "destination"))
    if split and not any(share["weight"] for share in split):
        yield Finding(at, BAD_VALUE, "one weight at least must be above zero")


def _check_destination(tags: Mapping[str, str], at: str) -> Iterator[Finding]:
    if SERVICE not in tags:
        yield Finding(
            at, MISSING_FIELD, f"the tag {SERVICE} is missing", f"{SERVICE}: '*' is the service that is called"
        )


def _check_match(rule: Mapping[str, Any], at: str) -> Iterator[Finding]:
    if not any(rule.get("match", {}).get(field) for field in ("method", "path", "headers")):
        yield Finding(at, MISSING_FIELD, "it matches nothing", "give method, path or headers")
    match = rule.get("match", {})
    matchers: dict[tuple[str, ...], Any] = {("method",): match.get("method", {}), ("path",): match.get("path", {})}
    matchers |= {("headers", name): matcher for name, matcher in match.get("headers", {}).items()}
    for steps, matcher in matchers.items():
        if "regex" in matcher:
            yield from check_expression(matcher["regex"], join(at, *steps, "regex"))


def _check_modify(rule: Mapping[str, Any], at: str) -> Iterator[Finding]:
    modify = rule.get("modify", {})
    for part, one, other in (("path", "rewritePrefix", "regex"), ("host", "value", "fromPath")):
        if part in modify and len(modify[part]) != 1:
            yield Finding(join(at, part), EXCLUSIVE_FIELDS, f"either {one} or {other} must be given")
    if "rewritePrefix" in modify.get("path", {}) and "prefix" not in rule.get("match", {}).get("path", {}):
        pointer = join(at, "path", "rewritePrefix")
        yield Finding(pointer, BAD_VALUE, "without match.path.prefix there is no prefix to be rewritten", on_key=True)
    for steps in (("path", "regex"), ("host", "fromPath")):
        if steps[1] in modify.get(steps[0], {}):
            yield from check_substitution(modify[steps[0]][steps[1]], join(at, *steps))
