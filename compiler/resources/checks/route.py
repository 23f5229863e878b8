"""What a MeshHTTPRoute must hold beyond its schema (kuma-policies §2.4)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.diagnostics import Severity
from compiler.resources.checks.expressions import check_expression, check_substitution
from compiler.resources.checks.lists import repeated
from compiler.resources.findings import (
    BAD_VALUE,
    DUPLICATE_NAME,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    UNSUPPORTED_TARGET,
    Finding,
    join,
)
from compiler.resources.target_ref import check_backend_ref

_FILTER_FIELDS: Final[Mapping[str, str]] = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "RequestMirror": "requestMirror",
}
_PATH_FIELDS: Final[Mapping[str, str]] = {
    "ReplaceFullPath": "replaceFullPath",
    "ReplacePrefixMatch": "replacePrefixMatch",
    "ReplaceRegexMatch": "replaceRegexMatch",
}
_NEW_HOSTS: Final = ("hostname", "hostnameFromPath", "hostToBackendHostname")
_MODIFIERS: Final = ("RequestHeaderModifier", "ResponseHeaderModifier")
_PARTS: Final = ("remove", "set", "add")
_AFTER_REDIRECT: Final = frozenset({"URLRewrite", "RequestMirror"})
_GATEWAYS: Final = frozenset({"MeshGateway"})


def check_route(spec: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Matches that can match, filters that can run, backends that can be sent to."""
    for_gateway = spec.get("targetRef", {}).get("kind") in _GATEWAYS
    for index, item in enumerate(spec.get("to", ())):
        at = join(pointer, "to", index)
        if "hostnames" in item and not for_gateway:
            message = "hostnames go with a gateway only: a proxy's route is for one service already"
            yield Finding(join(at, "hostnames"), UNSUPPORTED_TARGET, message, "take them out", on_key=True)
        for place, rule in enumerate(item["rules"]):
            yield from _check_rule(rule, join(at, "rules", place), for_gateway=for_gateway)


def check_headers(headers: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    """Present and Absent have nothing to compare with; an expression must be one."""
    for index, header in enumerate(headers):
        at = join(pointer, index, "value")
        how = header.get("type", "Exact")
        if how in ("Present", "Absent") and "value" in header:
            yield Finding(at, EXCLUSIVE_FIELDS, f"a header that is {how} has no value", "take value out", on_key=True)
        if how == "RegularExpression":
            yield from check_expression(header.get("value", ""), at)


def _check_rule(rule: Mapping[str, Any], pointer: str, *, for_gateway: bool) -> Iterator[Finding]:
    for index, match in enumerate(rule["matches"]):
        yield from _check_match(match, join(pointer, "matches", index))
    conf, at = rule["default"], join(pointer, "default")
    filters = conf.get("filters", ())
    yield from _check_filters(filters, join(at, "filters"), rule["matches"], for_gateway=for_gateway)
    redirects = any(each["type"] == "RequestRedirect" for each in filters)
    if for_gateway and not redirects and not conf.get("backendRefs"):
        message = "a gateway has no service of its own, so that the rule needs backendRefs"
        yield Finding(at, MISSING_FIELD, message, "add backendRefs or a redirect", on_key=True)
    for index, backend in enumerate(conf.get("backendRefs", ())):
        yield from check_backend_ref(backend, join(at, "backendRefs", index))


def _check_match(match: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from check_request(match, pointer)
    yield from check_method(match, pointer)
    path = match.get("path", {})
    if path.get("type") in ("Exact", "PathPrefix") and not {"?", "#"}.isdisjoint(path["value"]):
        at, hint = join(pointer, "path", "value"), "match parameters by queryParams"
        yield Finding(at, NO_EFFECT, "no request has such a path: it ends before a ? or a #", hint)
    parameters = match.get("queryParams", ())
    yield from repeated([each["name"] for each in parameters], join(pointer, "queryParams"), "parameter", "name")
    for index, each in enumerate(parameters):
        if each["type"] == "RegularExpression":
            yield from check_expression(each["value"], join(pointer, "queryParams", index, "value"))


def check_method(match: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Envoy answers a CONNECT with 404: it names no path, and every route of ours has one."""
    if match.get("method") == "CONNECT":
        message = "no request gets here: a CONNECT names no path, and takes no route that has one"
        yield Finding(join(pointer, "method"), NO_EFFECT, message, "take it out, or route connections")


def check_request(request: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """The path and the headers of a request, wherever one is matched."""
    if "path" in request:
        yield from _check_path(request["path"]["type"], request["path"]["value"], join(pointer, "path", "value"))
    yield from check_headers(request.get("headers", ()), join(pointer, "headers"))


def _check_path(how: str, path: str, pointer: str) -> Iterator[Finding]:
    if how == "RegularExpression":
        yield from check_expression(path, pointer)
    elif not path.startswith("/"):
        yield Finding(pointer, BAD_VALUE, "a path must begin with a slash")
    elif how == "PathPrefix" and path != "/" and path.endswith("/"):
        hint = "a prefix matches whole segments: /v1 matches /v1 and /v1/orders"
        yield Finding(pointer, BAD_VALUE, "a prefix must not end with a slash", hint)


def _check_filters(
    filters: Sequence[Mapping[str, Any]], pointer: str, found: Sequence[Mapping[str, Any]], *, for_gateway: bool
) -> Iterator[Finding]:
    redirected = False
    for index, each in enumerate(filters):
        at = join(pointer, index)
        yield from _check_filter(each, at, found, for_gateway=for_gateway)
        if redirected and each["type"] in _AFTER_REDIRECT:
            message = f"{each['type']} after RequestRedirect never runs: a redirected request goes nowhere"
            yield Finding(join(at, "type"), EXCLUSIVE_FIELDS, message, "take one of them out")
        redirected = redirected or each["type"] == "RequestRedirect"
    for kind in _MODIFIERS:
        yield from _check_order(filters, kind, pointer)
    yield from _check_host(filters, pointer)


def _check_order(filters: Sequence[Mapping[str, Any]], kind: str, pointer: str) -> Iterator[Finding]:
    """Of all filters of a rule Envoy first takes headers out, then sets them, then adds to them."""
    last: dict[str, int] = {}
    for index, each in enumerate(filters):
        changes = list(_changes(each.get(_FILTER_FIELDS[kind], {}))) if each["type"] == kind else []
        for name, part, place in changes:
            if last.get(name, -1) > _PARTS.index(part):
                at = join(pointer, index, _FILTER_FIELDS[kind], part, place)
                message = f"what an earlier filter does to the header {name} is done after this"
                yield Finding(at, NO_EFFECT, message, "say all of a header in one place")
        last |= {name: _PARTS.index(part) for name, part, _ in changes}


def _changes(modifier: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for part, entries in modifier.items():
        for place, entry in enumerate(entries):
            yield entry if isinstance(entry, str) else entry["name"], part, place


def _check_host(filters: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    """A host that is set as a header is one that is rewritten."""
    rewrites = [each.get("urlRewrite", {}) for each in filters]
    if any(one.get(name) for one in rewrites for name in _NEW_HOSTS):
        for index, each in enumerate(filters):
            for name, part, place in _changes(each.get("requestHeaderModifier", {})):
                if (name, part) == ("host", "set"):
                    at = join(pointer, index, "requestHeaderModifier", part, place)
                    yield Finding(at, EXCLUSIVE_FIELDS, "a URLRewrite decides the host already", "take one of them out")


def _check_filter(
    each: Mapping[str, Any], pointer: str, found: Sequence[Mapping[str, Any]], *, for_gateway: bool
) -> Iterator[Finding]:
    kind, wanted = each["type"], _FILTER_FIELDS[each["type"]]
    if wanted not in each:
        yield Finding(pointer, MISSING_FIELD, f"a {kind} needs {wanted}")
        return
    for name in each:
        if name not in ("type", wanted):
            yield Finding(
                join(pointer, name), EXCLUSIVE_FIELDS, f"a {kind} has no {name}", "make two filters of it", on_key=True
            )
    conf, at = each[wanted], join(pointer, wanted)
    match kind:
        case "RequestHeaderModifier" | "ResponseHeaderModifier":
            yield from _check_modifier(conf, at)
        case "RequestRedirect" | "URLRewrite":
            yield from _check_moved(kind, conf, at)
            yield from _check_path_modifier(conf.get("path"), join(at, "path"), found)
            if "hostToBackendHostname" in conf and not for_gateway:
                message = "hostToBackendHostname goes with a gateway only"
                yield Finding(join(at, "hostToBackendHostname"), UNSUPPORTED_TARGET, message, on_key=True)
        case "RequestMirror":
            yield from check_backend_ref(conf["backendRef"], join(at, "backendRef"))
            if conf["backendRef"].get("weight", 1) != 1:
                message = "a mirror has all requests of the rule, or a percentage of them: weight says nothing"
                yield Finding(join(at, "backendRef", "weight"), NO_EFFECT, message, "say percentage", on_key=True)


def _check_moved(kind: str, conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    if kind == "RequestRedirect" and conf.keys() <= {"statusCode"}:
        message = "the redirect leads to where the request came from, so that it never ends"
        yield Finding(pointer, BAD_VALUE, message, "say scheme, hostname, path or port", severity=Severity.WARNING)
    if kind == "URLRewrite" and not any(conf.values()):
        yield Finding(pointer, NO_EFFECT, "the filter rewrites nothing", "say hostname or path")
    if "hostnameFromPath" in conf:
        yield from check_substitution(conf["hostnameFromPath"], join(pointer, "hostnameFromPath"))
        for other in _NEW_HOSTS:
            if other != "hostnameFromPath" and conf.get(other):
                message = f"hostnameFromPath and {other} exclude each other"
                yield Finding(join(pointer, other), EXCLUSIVE_FIELDS, message, "keep one", on_key=True)


def _check_modifier(modifier: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for part in ("set", "add", "remove"):
        for index, entry in enumerate(modifier.get(part, ())):
            name = entry if part == "remove" else entry["name"]
            if name == "host" and (part, pointer.endswith("requestHeaderModifier")) != ("set", True):
                at = join(pointer, part, index) if part == "remove" else join(pointer, part, index, "name")
                yield Finding(at, BAD_VALUE, "a request has one host, and an answer none", "set it, for requests")
            elif name in seen:
                message = f"the header {name} is changed twice"
                yield Finding(join(pointer, part, index), DUPLICATE_NAME, message, "one change for each header")
            seen.add(name)
    if not seen:
        yield Finding(pointer, MISSING_FIELD, "the filter changes no header", "list headers under set, add or remove")


def _check_path_modifier(
    path: Mapping[str, Any] | None, pointer: str, found: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    if path is None:
        return
    wanted = _PATH_FIELDS[path["type"]]
    if wanted not in path:
        yield Finding(pointer, MISSING_FIELD, f"{path['type']} needs {wanted}")
    elif wanted == "replaceRegexMatch":
        yield from check_substitution(path[wanted], join(pointer, wanted))
    elif path[wanted] and not path[wanted].startswith("/"):
        yield Finding(join(pointer, wanted), BAD_VALUE, "a path must begin with a slash", severity=Severity.WARNING)
    for other in _PATH_FIELDS.values():
        if other in path and other != wanted:
            yield Finding(join(pointer, other), EXCLUSIVE_FIELDS, f"{path['type']} has no {other}", on_key=True)
    prefixed = all(match.get("path", {}).get("type") == "PathPrefix" for match in found)
    if path["type"] == "ReplacePrefixMatch" and not prefixed:
        message = "ReplacePrefixMatch needs a PathPrefix in every match of the rule: there is no prefix to replace"
        yield Finding(join(pointer, "type"), EXCLUSIVE_FIELDS, message, "use ReplaceFullPath, or match by PathPrefix")
