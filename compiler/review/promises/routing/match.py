"""Whether a request is what a route, a header matcher or a domain means (Envoy's `route_components.proto`)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from compiler.review.promises.routing.answer import CannotTell, Headers

_OTHER = ("tls_context", "dynamic_metadata", "filter_state", "cookies", "grpc")
"""Conditions of a route that this engine does not know."""
_LONGEST_REGEX = 1000
_NO_MATCH = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way: what routes look at, and what they change."""

    method: str
    path: str
    authority: str
    headers: Headers = ()
    scheme: str = "http"

    @property
    def bare_path(self) -> str:
        """Without the query: what a route's path is held against."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> str:
        """With its question mark; empty where there is none."""
        _, mark, query = self.path.partition("?")
        return mark + query

    def header(self, name: str) -> str | None:
        """All values of a name, joined as Envoy joins them; None where it is absent."""
        match name.lower():
            case ":method":
                return self.method
            case ":path":
                return self.path
            case ":authority" | "host":
                return self.authority
            case wanted:
                values = [value for key, value in self.headers if key == wanted]
                return ",".join(values) if values else None


def matches_route(match: Any, request: Request) -> bool:
    """All conditions of a route but for its share of the requests."""
    for name in _OTHER:
        if match.HasField(name) if name in {"tls_context", "grpc"} else bool(getattr(match, name, ())):
            raise CannotTell(f"a route matches by {name}, which the Python engine does not know")
    return (
        matches_path(match, request.bare_path)
        and all(matches_header(one, request.header(one.name)) for one in match.headers)
        and _matches_query(match.query_parameters, request.path)
    )


def matches_path(match: Any, path: str) -> bool:
    folded = match.HasField("case_sensitive") and not match.case_sensitive.value
    seen = path.lower() if folded else path

    def wanted(text: str) -> str:
        return text.lower() if folded else text

    match match.WhichOneof("path_specifier"):
        case "prefix":
            return seen.startswith(wanted(match.prefix))
        case "path":
            return seen == wanted(match.path)
        case "path_separated_prefix":
            prefix = wanted(match.path_separated_prefix)
            return seen == prefix or seen.startswith(f"{prefix}/")
        case "safe_regex":
            return matches_regex(match.safe_regex.regex, path)
        case other:
            raise CannotTell(f"a route matches by {other}, which the Python engine does not know")


def matches_header(matcher: Any, value: str | None) -> bool:
    """An absent header matches nothing but its absence; `invert_match` does not turn that round."""
    kind = matcher.WhichOneof("header_match_specifier")
    if kind == "present_match":
        return ((value is not None) == matcher.present_match) is not bool(matcher.invert_match)
    if value is None and matcher.treat_missing_header_as_empty:
        value = ""
    if value is None:
        return bool(matcher.invert_match and kind is None)
    return _holds(matcher, kind, value) is not bool(matcher.invert_match)


def _holds(matcher: Any, kind: str | None, value: str) -> bool:
    match kind:
        case None:
            return True
        case "string_match":
            return matches_string(matcher.string_match, value)
        case "range_match":
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,18}", value) else None
            return number is not None and matcher.range_match.start <= number < matcher.range_match.end
        case _:
            raise CannotTell(f"a header is matched by {kind}, which the Python engine does not know")


def matches_string(matcher: Any, value: str) -> bool:
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return matches_regex(matcher.safe_regex.regex, value)
    if kind not in {"exact", "prefix", "suffix", "contains"}:
        raise CannotTell(f"a text is matched by {kind}, which the Python engine does not know")
    wanted = getattr(matcher, kind)
    if matcher.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    match kind:
        case "exact":
            return bool(value == wanted)
        case "prefix":
            return value.startswith(wanted)
        case "suffix":
            return value.endswith(wanted)
        case _:
            return wanted in value


def matches_regex(pattern: str, value: str) -> bool:
    """The whole value must match, as in Envoy."""
    return regex(pattern).fullmatch(value) is not None


@lru_cache(1024)  # a pattern compiles to the same expression for ever; as many as a large mesh's routes have
def regex(pattern: str) -> re.Pattern[str]:
    """Python's form of an RE2 pattern. What the two read differently, or Python could hang on, is not guessed at.

    RE2 knows no look-around and no back references, its `$` is the very end, and its classes are ASCII.
    """
    if len(pattern) > _LONGEST_REGEX:
        raise CannotTell(f"a regular expression of {len(pattern)} characters is too long for the Python engine")
    if re.search(r"\(\?(?:[=!<>#(]|P=)|\\[1-9pPCQEzkK]|\[\[:|\(\?[a-zA-Z-]*U", pattern):
        raise CannotTell(f"RE2 and Python read {pattern!r} differently: only a real Envoy can tell")
    if _may_explode(pattern):
        raise CannotTell(f"Python could take very long over {pattern!r}: only a real Envoy can tell")
    try:
        return re.compile(_very_end(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise CannotTell(f"Python cannot read the regular expression {pattern!r}: {error}") from error


def _may_explode(pattern: str) -> bool:
    """A repeated group that repeats something, or chooses, inside itself backtracks exponentially in Python."""
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern)
    depth: list[bool] = []
    for index, character in enumerate(plain):
        if character == "(":
            depth.append(False)
        elif character == ")" and depth:
            inside = depth.pop()
            repeated = plain[index + 1 : index + 2] in {"*", "+", "{"}
            if repeated and inside:
                return True
            if depth:
                depth[-1] = depth[-1] or inside or repeated
        elif character in "*+{|" and depth:
            depth[-1] = True
    return len(re.findall(r"[*+]|\{[0-9]*,", plain)) > _MOST_REPEATS


_MOST_REPEATS = 8
"""More than so many open-ended repetitions in a row could be slow on a long path, by a polynomial."""


def _very_end(pattern: str) -> str:
    r"""Python's `$` also matches before a last line break."""
    return re.sub(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", lambda found: found[1] or r"\Z", pattern)


def _matches_query(matchers: Sequence[Any], path: str) -> bool:
    """Of a parameter that stands twice the first value counts."""
    if not matchers:
        return True
    given: dict[str, str] = {}
    for name, value in _parameters(path):
        given.setdefault(name, value)
    return all(_matches_parameter(one, given) for one in matchers)


def _matches_parameter(matcher: Any, given: Mapping[str, str]) -> bool:
    match matcher.WhichOneof("query_parameter_match_specifier"):
        case "string_match":
            return matcher.name in given and matches_string(matcher.string_match, given[matcher.name])
        case "present_match":
            return (matcher.name in given) == bool(matcher.present_match)
        case _:
            return matcher.name in given


def _parameters(path: str) -> Iterator[tuple[str, str]]:
    for pair in path.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        yield name, value


def find_host(table: Any, authority: str) -> Any:
    """Exact domains first, then the longest that begins with a star, then the longest that ends in one, then `*`."""
    seen = authority.lower()
    if table.ignore_port_in_host_matching:
        seen = re.sub(r":[0-9]+$", "", seen)
    ranked = [(rank, host) for host in table.virtual_hosts if (rank := _best_rank(host.domains, seen)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _best_rank(domains: Sequence[str], authority: str) -> tuple[int, int] | None:
    return min((rank for domain in domains if (rank := _rank(domain.lower(), authority)) is not None), default=None)


def _rank(domain: str, authority: str) -> tuple[int, int] | None:
    """The smaller, the better; a star stands for one character at least."""
    if domain == "*":
        return 3, 0
    if domain.startswith("*"):
        return (1, -len(domain)) if authority.endswith(domain[1:]) and len(authority) >= len(domain) else None
    if domain.endswith("*"):
        return (2, -len(domain)) if authority.startswith(domain[:-1]) and len(authority) >= len(domain) else None
    return (0, 0) if domain == authority else None


def normalise_path(path: str) -> str:
    """What `normalize_path` does to the part before the query: dot segments go, and escapes that need not be."""
    bare, mark, query = path.partition("?")
    plain = re.sub(r"%([0-9A-Fa-f]{2})", _unescape, bare).replace("\\", "/")
    kept: list[str] = []
    segments = plain.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    trailing = "/" if segments[-1:] in ([".."], ["."]) and kept else ""
    return "/" + "/".join(kept) + trailing + mark + query


def merge_slashes(path: str) -> str:
    """What `merge_slashes` does to the part before the query."""
    bare, mark, query = path.partition("?")
    return re.sub("/+", "/", bare) + mark + query


def _unescape(found: re.Match[str]) -> str:
    character = unquote(found[0])
    return character if re.fullmatch(r"[A-Za-z0-9._~-]", character) else found[0]
