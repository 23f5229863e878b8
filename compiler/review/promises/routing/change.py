"""What a route does to a request and to its response: paths, hosts, headers, redirects."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import RedirectAction

from compiler.review.promises.routing.answer import CannotTell, Headers
from compiler.review.promises.routing.match import Request, regex

_ACTIONS: Final = HeaderValueOption.HeaderAppendAction
_COMMAND: Final = re.compile(r"%%|%(?:REQ\((?P<name>:?[^()?:]+)\)|[A-Z_0-9]+(?:\([^()]*\))?(?::[0-9]+)?)%|%")
_CODES: Final = RedirectAction.RedirectResponseCode
_STATUS: Final = {
    _CODES.MOVED_PERMANENTLY: 301,
    _CODES.FOUND: 302,
    _CODES.SEE_OTHER: 303,
    _CODES.TEMPORARY_REDIRECT: 307,
    _CODES.PERMANENT_REDIRECT: 308,
}


_USUAL_PORT: Final = {"http": ":80", "https": ":443"}


def redirect_status(redirect: Any) -> int:
    return _STATUS[redirect.response_code]


def redirect_request(redirect: Any, match: Any, request: Request) -> Request:
    """The request with the path to which it is sent away."""
    query = "" if redirect.strip_query else request.query
    return replace(request, path=_redirect_path(redirect, match, request) + query)


def redirect_location(redirect: Any, match: Any, request: Request) -> str:
    """Where a redirect leads: by the scheme by which the caller came, unless the route says otherwise."""
    scheme = "https" if redirect.https_redirect else redirect.scheme_redirect or request.scheme
    host, port = _split_port(request.authority)
    if redirect.host_redirect:
        host, port = redirect.host_redirect, ""
    if redirect.port_redirect:
        port = f":{redirect.port_redirect}"
    elif scheme != request.scheme and port == _USUAL_PORT[request.scheme]:
        port = ""
    return f"{scheme}://{host}{port}{redirect_request(redirect, match, request).path}"


def _redirect_path(redirect: Any, match: Any, request: Request) -> str:
    match redirect.WhichOneof("path_rewrite_specifier"):
        case "path_redirect":
            if "?" in redirect.path_redirect:
                raise CannotTell("a redirect to a path with a query of its own")
            return str(redirect.path_redirect)
        case "prefix_rewrite":
            return _with_prefix(match, redirect.prefix_rewrite, request.bare_path)
        case "regex_rewrite":
            return _substitute(redirect.regex_rewrite, request.bare_path)
        case _:
            return request.bare_path


def _split_port(authority: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?)(:[0-9]+)?", authority)
    return (found[1], found[2] or "") if found else (authority, "")


def rewrite(action: Any, match: Any, request: Request) -> Request:
    """The path and the host as the route's action changes them."""
    path = request.bare_path
    if action.HasField("path_rewrite_policy"):
        raise CannotTell("a route rewrites by path_rewrite_policy, which the Python engine does not know")
    if action.prefix_rewrite:
        path = _with_prefix(match, action.prefix_rewrite, path)
    elif action.HasField("regex_rewrite"):
        path = _substitute(action.regex_rewrite, path)
    return replace(request, path=path + request.query, authority=_rewrite_host(action, request))


def _rewrite_host(action: Any, request: Request) -> str:
    match action.WhichOneof("host_rewrite_specifier"):
        case None:
            return request.authority
        case "host_rewrite_literal":
            return str(action.host_rewrite_literal)
        case "host_rewrite_header":
            return request.header(action.host_rewrite_header) or request.authority
        case "host_rewrite_path_regex":
            return _substitute(action.host_rewrite_path_regex, request.bare_path)
        case other:
            raise CannotTell(f"a route rewrites the host by {other}, which the Python engine does not know")


def _with_prefix(match: Any, wanted: str, path: str) -> str:
    """The matched part of the path is exchanged; a regular expression matches all of it."""
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return wanted + path[len(match.prefix) :]
        case "path_separated_prefix":
            return wanted + path[len(match.path_separated_prefix) :]
        case _:
            return wanted


def _substitute(rewriting: Any, path: str) -> str:
    r"""RE2's `GlobalReplace`: every match, where the next begins after it; `.*` matches a whole path once."""
    pattern, substitution = regex(rewriting.pattern.regex), rewriting.substitution
    if pattern.pattern in {".*", ".*\\Z"}:
        return _expand(substitution, re.fullmatch(r"(?s).*", path), path)
    return pattern.sub(lambda found: _expand(substitution, found, path), path)


def _expand(substitution: str, found: re.Match[str] | None, path: str) -> str:
    r"""`\1` is a group, `\0` all of it, `\\` a backslash."""

    def part(escape: re.Match[str]) -> str:
        if escape[1] == "\\":
            return "\\"
        number = int(escape[1])
        return path if found is None else found[number] or ""

    return re.sub(r"\\(\\|[0-9])", part, substitution)


def change_request(levels: Sequence[Any], request: Request) -> Request:
    """Each level takes headers away, then sets and adds its own; a value may quote the request as far as it is."""
    for level in levels:
        request = replace(request, headers=_without(request.headers, level.request_headers_to_remove))
        for option in level.request_headers_to_add:
            request = replace(request, headers=_with(request.headers, option, request))
    return request


def change_response(levels: Sequence[Any], headers: Headers, request: Request) -> Headers:
    """The same, of the response; a value may quote the request as it was sent on, or redirected."""
    for level in levels:
        headers = _without(headers, level.response_headers_to_remove)
        for option in level.response_headers_to_add:
            headers = _with(headers, option, request)
    return headers


def _without(headers: Headers, names: Sequence[str]) -> Headers:
    gone = {name.lower() for name in names}
    return tuple(pair for pair in headers if pair[0] not in gone)


def _with(headers: Headers, option: Any, request: Request) -> Headers:
    name, value = option.header.key.lower(), _format(option.header.value, request)
    present = any(key == name for key, _ in headers)
    if not value and not option.keep_empty_value:
        return headers
    match _action(option):
        case _ACTIONS.ADD_IF_ABSENT if present:
            return headers
        case _ACTIONS.OVERWRITE_IF_EXISTS if not present:
            return headers
        case _ACTIONS.OVERWRITE_IF_EXISTS | _ACTIONS.OVERWRITE_IF_EXISTS_OR_ADD:
            return (*_without(headers, [name]), (name, value))
        case _:
            return (*headers, (name, value))


def _action(option: Any) -> int:
    """The older field, where somebody's patch has set it, decides alone."""
    if option.HasField("append"):
        return int(_ACTIONS.APPEND_IF_EXISTS_OR_ADD if option.append.value else _ACTIONS.OVERWRITE_IF_EXISTS_OR_ADD)
    return int(option.append_action)


def _format(text: str, request: Request) -> str:
    """Envoy reads `%REQ(name)%` and its like in a header's value; a percent sign of one's own is doubled."""

    def fill(command: re.Match[str]) -> str:
        if command[0] == "%%":
            return "%"
        if command["name"] is None:
            raise CannotTell(f"a header's value holds {command[0]}, which only a real Envoy fills in")
        return request.header(command["name"]) or ""

    return _COMMAND.sub(fill, text)
