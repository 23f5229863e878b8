"""What policies must hold beyond their schemas (kuma-policies §1.1, §1.2 and the chapter of each)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.resources.checks.route import check_headers, check_request, check_route
from compiler.resources.findings import (
    BAD_TARGET,
    BAD_VALUE,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    Finding,
    join,
)
from compiler.resources.target_ref import check_target_ref
from compiler.resources.values import Duration

WIDE_PREFIX: Final = Code(
    "wide-prefix",
    Severity.WARNING,
    "a prefix that also matches names that only begin alike",
    "A prefix is compared letter by letter: `spiffe://shop/web` matches `spiffe://shop/website` as well. "
    "With a slash at its end it matches only what is below it.",
)
_RULES_OR_TO: Final = frozenset({"MeshTimeout", "MeshAccessLog", "MeshCircuitBreaker", "MeshRateLimit"})
"""These refuse `rules` beside `to`; all refuse `rules` beside `from`."""
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "MeshTimeout": ("to", "rules", "from"),
    "MeshAccessLog": ("to", "rules", "from"),
    "MeshCircuitBreaker": ("to", "rules", "from"),
    "MeshTrafficPermission": ("rules", "from"),
}
_DOES_UNASKED: Final = frozenset({"MeshPassthrough", "MeshOPA"})
"""A `default` of these with nothing in it lets nothing through, and asks the agent."""
_CONNECTION_LEVEL: Final = ("connectionTimeout", "idleTimeout")
_HTTP_CONNECTION_LEVEL: Final = ("maxStreamDuration", "maxConnectionDuration")
_WITHOUT_EFFECT: Final = "{} changes nothing for a MeshHTTPRoute"
_OF_A_ROUTE: Final = "a route has requestTimeout and streamIdleTimeout"
_BY_CALLER: Final = frozenset({"requestTimeout", "streamIdleTimeout"})
_ODD_PATH: Final = re.compile(r"//|/\.{1,2}(?:/|$)|%2f|%5c", re.IGNORECASE)
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
_ONCE: Final = "OmitPreviousPriorities"
_PERMISSIONS: Final = ("deny", "allow", "allowWithShadowDeny")


def check_policy(kind: str, spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """All that can be said of one policy by itself; the kinds of targets are the policy module's table."""
    yield from _check_sections(kind, spec, pointer)
    yield from _check_targets(spec, pointer)
    yield from _OF_KIND.get(kind, _nothing_more)(spec, pointer)


def _check_sections(kind: str, spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    if "rules" in spec and "from" in spec:
        message = "from and rules exclude each other: rules is the newer form"
        yield Finding(join(pointer, "from"), EXCLUSIVE_FIELDS, message, "move what from says to rules", on_key=True)
    if kind in _RULES_OR_TO and "rules" in spec and "to" in spec:
        message = f"a {kind} has rules or to, not both"
        yield Finding(join(pointer, "rules"), EXCLUSIVE_FIELDS, message, "make two policies of it", on_key=True)
    sections = _SECTIONS.get(kind, ("to", "rules", "from", "default"))
    if not any(spec.get(section) for section in sections) and not (kind in _DOES_UNASKED and "default" in spec):
        yield _empty(kind, sections, pointer)


def _empty(kind: str, sections: tuple[str, ...], pointer: str) -> Finding:
    if kind in _SECTIONS:
        needed = ", ".join(sections[:-1]) + " or " + sections[-1]
        return Finding(pointer, MISSING_FIELD, f"a {kind} needs entries in {needed}", on_key=True)
    return Finding(pointer, NO_EFFECT, f"a {kind} without any entry changes nothing", on_key=True)


def _check_targets(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    target = spec.get("targetRef")
    if target is not None:
        at = join(pointer, "targetRef")
        yield from check_target_ref(target, at)
        if target["kind"] == "Dataplane" and "sectionName" in target and not (spec.get("rules") or spec.get("from")):
            message = "sectionName names an inbound, and this policy says nothing of incoming traffic"
            yield Finding(join(at, "sectionName"), BAD_TARGET, message, "take it out, or use rules", on_key=True)
    for part in ("to", "from"):
        for index, item in enumerate(spec.get(part, ())):
            yield from check_target_ref(item["targetRef"], join(pointer, part, index, "targetRef"))
    for index, rule in enumerate(spec.get("rules", ())):
        for place, match in enumerate(rule.get("matches", ())):
            yield from _check_caller(match, join(pointer, "rules", index, "matches", place))


def _check_caller(match: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """The last segment of a prefix need not be a whole one."""
    if "spiffeID" not in match:
        return
    value, at = match["spiffeID"]["value"], join(pointer, "spiffeID", "value")
    segments = value.removeprefix("spiffe://").split("/")[1:]
    if match["spiffeID"]["type"] == "Prefix":
        if not value.endswith("/"):
            message = f"the prefix {value} also matches names that only begin alike"
            yield Finding(at, WIDE_PREFIX, message, "end it with a slash")
        segments = segments[:-1]
    if not _NO_SEGMENTS.isdisjoint(segments):
        hint = "no slash at the end, no two in a row, no . or .. between them"
        yield Finding(at, BAD_VALUE, f"no caller has the SPIFFE ID {value}", hint)


def _check_timeout(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    on_route = spec.get("targetRef", {}).get("kind") == "MeshHTTPRoute"
    for index, item in enumerate(spec.get("to", ())):
        at = join(pointer, "to", index, "default")
        if on_route:
            yield from _beyond(item["default"], at, BAD_VALUE, "a MeshTimeout for a MeshHTTPRoute cannot set {}")
        elif item["targetRef"]["kind"] == "MeshHTTPRoute":
            yield from _beyond(item["default"], at, NO_EFFECT, _WITHOUT_EFFECT)
        if on_route or item["targetRef"]["kind"] == "MeshHTTPRoute":
            yield from _before_route(item["default"].get("http", {}), join(at, "http"))
    if on_route:
        yield from _coming_in(spec, pointer)
    for index, rule in enumerate(spec.get("rules", ())):
        if any("spiffeID" in match for match in rule.get("matches", ())):
            yield from _beyond_caller(rule["default"], join(pointer, "rules", index, "default"))


def _before_route(http: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """A request takes a route once its headers are there."""
    name = "requestHeadersTimeout"
    if name in http:
        message = _WITHOUT_EFFECT.format(f"http.{name}")
        yield Finding(join(pointer, name), NO_EFFECT, message, _OF_A_ROUTE, on_key=True)


def _coming_in(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for part in ("rules", "from"):
        if spec.get(part):
            message = f"{part} changes nothing for a MeshHTTPRoute: what comes in takes no route"
            yield Finding(join(pointer, part), NO_EFFECT, message, "make a policy for the proxies of it", on_key=True)


def _beyond(conf: Mapping[str, Any], pointer: str, code: Code, message: str) -> Iterator[Finding]:
    """What belongs to a connection and thus to no single route."""
    for name in _CONNECTION_LEVEL:
        if name in conf:
            yield Finding(join(pointer, name), code, message.format(name), _OF_A_ROUTE, on_key=True)
    for name in _HTTP_CONNECTION_LEVEL:
        if name in conf.get("http", {}):
            yield Finding(join(pointer, "http", name), code, message.format(f"http.{name}"), _OF_A_ROUTE, on_key=True)


def _beyond_caller(conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    message = "{} cannot depend on the caller: connections are shared"
    for name in _CONNECTION_LEVEL:
        if name in conf:
            yield Finding(
                join(pointer, name), BAD_VALUE, message.format(name), "set it in a rule without spiffeID", on_key=True
            )
    for name in conf.get("http", {}):
        if name not in _BY_CALLER:
            at = join(pointer, "http", name)
            yield Finding(at, BAD_VALUE, message.format(name), "set it in a rule without spiffeID", on_key=True)


def _check_permission(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for index, rule in enumerate(spec.get("rules", ())):
        if not any(rule["default"].get(name) for name in _PERMISSIONS):
            at = join(pointer, "rules", index, "default")
            yield Finding(at, MISSING_FIELD, "the rule lists nobody", "list callers under allow or deny", on_key=True)
        for name in _PERMISSIONS:
            for place, callers in enumerate(rule["default"].get(name, ())):
                yield from _check_caller(callers, join(pointer, "rules", index, "default", name, place))
                for number, request in enumerate(callers.get("http", ())):
                    at = join(pointer, "rules", index, "default", name, place, "http", number)
                    yield from check_request(request, at)
                    yield from _check_normal(request.get("path") or {}, join(at, "path", "value"))


def _check_normal(path: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Permissions are asked for once a path is normalised, and without its query."""
    value = path.get("value", "") if path.get("type") != "RegularExpression" else ""
    if "?" in value or "#" in value:
        yield Finding(pointer, BAD_VALUE, "no path has a query or a fragment", "take it out")
    elif _ODD_PATH.search(value):
        message = "no request has such a path: dot segments, double and escaped slashes are resolved before"
        yield Finding(pointer, BAD_VALUE, message, "write the path that it stands for")


def _check_retry(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    on_route = spec.get("targetRef", {}).get("kind") == "MeshHTTPRoute"
    for index, item in enumerate(spec.get("to", ())):
        at, conf = join(pointer, "to", index, "default"), item["default"]
        yield from check_retries(conf, at)
        if "tcp" in conf and (on_route or item["targetRef"]["kind"] == "MeshHTTPRoute"):
            message = _WITHOUT_EFFECT.format("tcp")
            yield Finding(join(at, "tcp"), NO_EFFECT, message, "a route has http and grpc", on_key=True)


def _check_http_route(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from check_route(spec, pointer)
    for index, item in enumerate(spec.get("to", ())):
        for place, rule in enumerate(item["rules"]):
            at = join(pointer, "to", index, "rules", place, "default", "retry")
            yield from check_retries(rule["default"].get("retry", {}), at)


def check_retries(conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Retries of requests, wherever they are written."""
    yield from _check_retried(conf.get("http", {}), join(pointer, "http"))
    for protocol in ("http", "grpc"):
        back_off = conf.get(protocol, {}).get("backOff", {})
        shortest, longest = (back_off.get(name) for name in ("baseInterval", "maxInterval"))
        if shortest and longest and Duration.parse(longest) < Duration.parse(shortest):
            at = join(pointer, protocol, "backOff", "maxInterval")
            message = f"maxInterval is shorter than baseInterval, which is {shortest}"
            yield Finding(at, BAD_VALUE, message, "make it as long at least")


def _check_retried(http: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for field in ("retriableRequestHeaders", "retriableResponseHeaders"):
        yield from check_headers(http.get(field, ()), join(pointer, field))
    selections, at = http.get("hostSelection", ()), join(pointer, "hostSelection")
    for place, selection in enumerate(selections):
        yield from _check_selection(selection, join(at, place))
    once = [place for place, selection in enumerate(selections) if selection["predicate"] == _ONCE]
    for place in once[1:]:
        message = f"a retry has {_ONCE} once: the last would count"
        yield Finding(join(at, place, "predicate"), DUPLICATE_NAME, message, "keep one of them")


def _check_selection(selection: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    predicate = selection["predicate"]
    if predicate == "OmitHostsWithTags" and not selection.get("tags"):
        yield Finding(
            pointer, MISSING_FIELD, "OmitHostsWithTags needs tags", "name the tags of the endpoints to leave out"
        )
    for field, owner in (("tags", "OmitHostsWithTags"), ("updateFrequency", "OmitPreviousPriorities")):
        if field in selection and predicate != owner:
            yield Finding(join(pointer, field), EXCLUSIVE_FIELDS, f"{field} goes with {owner} only", on_key=True)


def _nothing_more(_: Mapping[str, Any], __: str) -> Iterator[Finding]:
    return iter(())


_OF_KIND: Final[Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Finding]]]] = {
    "MeshTimeout": _check_timeout,
    "MeshTrafficPermission": _check_permission,
    "MeshRetry": _check_retry,
    "MeshHTTPRoute": _check_http_route,
}
