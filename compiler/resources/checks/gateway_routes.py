"""What a MeshGatewayRoute must hold beyond its schema (kuma-policies §4.2)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.checks.expressions import check_expression
from compiler.resources.checks.route import check_method
from compiler.resources.checks.tags import check_selectors, check_service_tag
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.suggest import one_of

_VALUELESS: Final = ("PRESENT", "ABSENT")
_STATUSES: Final = (301, 302, 303, 307, 308)
_SCHEMES: Final = ("http", "https")
_HOSTS: Final = frozenset({"host", ":authority"})
_PATHS: Final = frozenset({"replaceFull", "replacePrefixMatch"})


def check_gateway_route(route: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Matches that can match, filters that can run, backends that can be sent to."""
    yield from check_selectors(route["selectors"], join(pointer, "selectors"))
    for protocol, conf in route["conf"].items():
        at = join(pointer, "conf", protocol, "rules")
        if not conf["rules"]:
            yield Finding(at, MISSING_FIELD, "the route has no rules", "add one", on_key=True)
        for index, rule in enumerate(conf["rules"]):
            yield from _check_backends(rule.get("backends", ()), join(at, index, "backends"))
            if protocol == "http":
                yield from _check_rule(rule, join(at, index))
        if protocol == "tcp" and len(conf["rules"]) > 1:
            message = "connections cannot be told apart, so only the first rule counts"
            yield Finding(join(at, 1), NO_EFFECT, message, "put all backends into one rule")


def _check_backends(backends: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    for index, backend in enumerate(backends):
        yield from check_service_tag(backend["destination"], join(pointer, index, "destination"))
    if backends and not any(backend.get("weight", 1) for backend in backends):
        yield Finding(pointer, BAD_VALUE, "all weights are 0, so nothing is sent anywhere", "weigh one above 0")


def _check_rule(rule: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    filters, backends = rule.get("filters", ()), rule.get("backends")
    for index, match in enumerate(rule["matches"]):
        yield from _check_match(match, join(pointer, "matches", index))
    for index, entry in enumerate(filters):
        yield from _check_filter(entry, join(pointer, "filters", index), rule)
    yield from _check_rewrites(filters, join(pointer, "filters"))
    redirects = any("redirect" in entry for entry in filters)
    if redirects and len(filters) > 1:
        message = "a redirect answers by itself, so no other filter runs beside it"
        yield Finding(join(pointer, "filters"), EXCLUSIVE_FIELDS, message, "take the others out", on_key=True)
    if redirects and backends:
        message = "a redirect sends requests back to the caller, so no backend gets any"
        yield Finding(join(pointer, "backends"), EXCLUSIVE_FIELDS, message, "take backends out", on_key=True)
    if not redirects and not backends:
        yield Finding(pointer, MISSING_FIELD, "the rule has no backends", "add backends or a redirect", on_key=True)


def _check_match(match: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from check_method(match, pointer)
    if "path" in match:
        yield from _check_path(match["path"], join(pointer, "path", "value"))
    for part in ("headers", "queryParameters"):
        for index, named in enumerate(match.get(part, ())):
            yield from _check_named(named, join(pointer, part, index))


def _check_path(path: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    if path.get("match") == "REGEX":
        yield from check_expression(path["value"], pointer)
    elif not path["value"].startswith("/"):
        yield Finding(pointer, BAD_VALUE, "a path must begin with /", "write it as /cart")


def _check_named(named: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """A header, or a parameter of the query."""
    how, at = named.get("match", "EXACT"), join(pointer, "value")
    if how in _VALUELESS:
        if "value" in named:
            yield Finding(at, EXCLUSIVE_FIELDS, f"what is {how} has no value", "take value out", on_key=True)
    elif not named.get("value"):
        yield Finding(
            pointer, MISSING_FIELD, f"value is missing for {how}", "give what it is compared with", on_key=True
        )
    elif how == "REGEX":
        yield from check_expression(named["value"], at)


def _check_filter(entry: Mapping[str, Any], pointer: str, rule: Mapping[str, Any]) -> Iterator[Finding]:
    if "mirror" in entry:
        at = join(pointer, "mirror", "backend", "destination")
        yield from check_service_tag(entry["mirror"]["backend"]["destination"], at)
    if "rewrite" in entry:
        yield from _check_rewrite(entry["rewrite"], join(pointer, "rewrite"), rule)
    if "redirect" in entry:
        yield from _check_rewrite(entry["redirect"].get("path", {}), join(pointer, "redirect", "path"), rule)
        yield from _check_redirect(entry["redirect"], join(pointer, "redirect"))
    if "requestHeader" in entry and _rewrites_host(rule):
        yield from _check_host_header(entry["requestHeader"], join(pointer, "requestHeader"))
    elif "requestHeader" in entry:
        yield from _check_kept(entry["requestHeader"], join(pointer, "requestHeader"), ("add", "remove"))
    yield from _check_kept(entry.get("responseHeader", {}), join(pointer, "responseHeader"), ("set", "add", "remove"))


def _check_rewrites(filters: Sequence[Mapping[str, Any]], pointer: str) -> Iterator[Finding]:
    """The last of them would count."""
    paths = [index for index, entry in enumerate(filters) if not _PATHS.isdisjoint(entry.get("rewrite", ()))]
    for index in paths[1:]:
        message = "a rule rewrites paths once"
        yield Finding(join(pointer, index, "rewrite"), EXCLUSIVE_FIELDS, message, "keep one rewrite", on_key=True)


def _check_rewrite(rewrite: Mapping[str, Any], pointer: str, rule: Mapping[str, Any]) -> Iterator[Finding]:
    if "replaceFull" in rewrite and "replacePrefixMatch" in rewrite:
        message = "replaceFull and replacePrefixMatch exclude each other"
        yield Finding(join(pointer, "replacePrefixMatch"), EXCLUSIVE_FIELDS, message, "keep one", on_key=True)
    prefixes = all(match.get("path", {}).get("match") == "PREFIX" for match in rule["matches"])
    if "replacePrefixMatch" in rewrite and not prefixes:
        message = "replacePrefixMatch needs a prefix in every match of the rule"
        yield Finding(join(pointer, "replacePrefixMatch"), BAD_VALUE, message, "match paths by PREFIX", on_key=True)


def _check_redirect(redirect: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Browsers follow these, and Envoy has no others; the schema has judged the port."""
    if redirect["statusCode"] not in _STATUSES:
        message = f"{redirect['statusCode']} is no redirect that Envoy answers with"
        yield Finding(join(pointer, "statusCode"), BAD_VALUE, message, one_of(_STATUSES))
    if redirect.get("scheme", "http") not in _SCHEMES:
        message = f"a caller cannot be sent on by {redirect['scheme'][:64]!r}"
        yield Finding(join(pointer, "scheme"), BAD_VALUE, message, "http or https")


def _rewrites_host(rule: Mapping[str, Any]) -> bool:
    return any(entry.get("rewrite", {}).get("hostToBackendHostname") for entry in rule.get("filters", ()))


def _check_host_header(headers: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for part in ("set", "add", "remove"):
        for index, header in enumerate(headers.get(part, ())):
            name = header if isinstance(header, str) else header["name"]
            if name.lower() in _HOSTS:
                message = "hostToBackendHostname decides the host already"
                yield Finding(join(pointer, part, index), EXCLUSIVE_FIELDS, message, "take one of the two out")


def _check_kept(headers: Mapping[str, Any], pointer: str, parts: Sequence[str]) -> Iterator[Finding]:
    """A request has one host, and an answer none."""
    for part in parts:
        for index, header in enumerate(headers.get(part, ())):
            name = header if isinstance(header, str) else header["name"]
            if name.lower() in _HOSTS:
                at = join(pointer, part, index) if isinstance(header, str) else join(pointer, part, index, "name")
                hint = "set it for the request, or take it out"
                yield Finding(at, BAD_VALUE, "Envoy refuses to change this header", hint)
