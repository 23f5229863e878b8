"""One entry of a TrafficRoute's `http` as a rule of a MeshHTTPRoute."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import differs, unsayable
from compiler.resources.legacy.headers import Header, modify_headers
from compiler.resources.legacy.said import Said, given

_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_PATHS: Final[Mapping[str, str]] = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}
_HEADERS: Final[Mapping[str, str]] = {"exact": "Exact", "prefix": "Prefix", "regex": "RegularExpression"}
_HOST: Final = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]{1,256}")


def read_match(match: Mapping[str, Any], at: str, found: list[Finding]) -> Said:
    """Method, path and headers, all of which must match."""
    parts = given(
        {
            "method": _method(match["method"], join(at, "method"), found) if "method" in match else None,
            "path": _path(match["path"], join(at, "path"), found) if "path" in match else None,
            "headers": list(_headers(match.get("headers", {}), join(at, "headers"), found)) or None,
        }
    )
    return Said(parts, at)


def _method(matcher: Mapping[str, str], at: str, found: list[Finding]) -> Said:
    ((way, text),) = matcher.items()
    if way != "exact" or text.upper() not in _METHODS:
        found.append(unsayable(at, "a MeshHTTPRoute matches one method by its name", "write one entry for each method"))
    return Said(text.upper() if text.upper() in _METHODS else "GET", join(at, way))


def _path(matcher: Mapping[str, str], at: str, found: list[Finding]) -> Said:
    ((way, text),) = matcher.items()
    pointer = join(at, way)
    if way != "regex" and not text.startswith("/"):
        found.append(unsayable(pointer, "a path begins with a slash"))
    if way == "prefix" and text != "/":
        message = f"a prefix ends where a segment does: {text.rstrip('/')} and what is below it, not every longer word"
        found.append(differs(pointer, message, "write a regex where longer words are meant too"))
        text = text.rstrip("/") or "/"
    return Said({"type": _PATHS[way], "value": text}, pointer)


def _headers(headers: Mapping[str, Any], at: str, found: list[Finding]) -> Iterator[Said]:
    for name, matcher in headers.items():
        ((way, text),) = matcher.items()
        if not _HEADER.fullmatch(name.lower()):
            found.append(unsayable(join(at, name), f"{name[:64]!r} is not the name of a header", on_key=True))
        yield Said({"type": _HEADERS[way], "name": name.lower(), "value": text}, join(at, name))


def read_filters(rule: Mapping[str, Any], at: str, found: list[Finding]) -> list[Any]:
    """What is changed of a request, in the order in which Envoy does it anyway."""
    modify, at = rule.get("modify", {}), join(at, "modify")
    rewrite = given({"path": _rewritten_path(modify, at), **_rewritten_host(modify, at, found)})
    filters: list[Any] = [Said({"type": "URLRewrite", "urlRewrite": rewrite}, at)] if rewrite else []
    for field, kind in (("requestHeaders", "RequestHeaderModifier"), ("responseHeaders", "ResponseHeaderModifier")):
        if changed := _changed_headers(modify.get(field, {}), join(at, field), found):
            filters.append({"type": kind, kind[0].lower() + kind[1:]: changed})
    return filters


def _rewritten_path(modify: Mapping[str, Any], at: str) -> Said | None:
    path, at = modify.get("path"), join(at, "path")
    if path is None:
        return None
    if "regex" in path:
        regex = Said(path["regex"], join(at, "regex"), copied=True)
        return Said({"type": "ReplaceRegexMatch", "replaceRegexMatch": regex}, at)
    prefix = Said(path["rewritePrefix"], join(at, "rewritePrefix"))
    return Said({"type": "ReplacePrefixMatch", "replacePrefixMatch": prefix}, at)


def _rewritten_host(modify: Mapping[str, Any], at: str, found: list[Finding]) -> dict[str, Said]:
    host, at = modify.get("host"), join(at, "host")
    if host is None:
        return {}
    if "fromPath" in host:
        return {"hostnameFromPath": Said(host["fromPath"], join(at, "fromPath"), copied=True)}
    if not _HOST.fullmatch(host["value"]):
        found.append(unsayable(join(at, "value"), "the host must be a domain name of lower-case letters"))
    return {"hostname": Said(host["value"], join(at, "value"))}


def _changed_headers(headers: Mapping[str, Any], at: str, found: list[Finding]) -> Said | None:
    changed = [
        Header(header["name"], header["value"], header.get("append", False), join(at, "add", index))
        for index, header in enumerate(headers.get("add", ()))
    ]
    removed = [
        Said(header["name"], join(at, "remove", index, "name"))
        for index, header in enumerate(headers.get("remove", ()))
    ]
    return modify_headers(changed, removed, at, found)
