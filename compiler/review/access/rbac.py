"""What Envoy's RBAC says of one caller: always, never, or for which requests. Shadow rules decide nothing.

A policy holds where one of its permissions and one of its principals does; a principal that needs one exact name is
found by that name, since a hub has a thousand of them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from compiler.review.access.conditions import ALWAYS, NEVER, OPAQUE, Formula, both, either, negate, only

__all__ = ["Caller", "Rbac", "read_rbac"]

_ALLOW: Final = 0
_DENY: Final = 1
_WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_")


class Caller(NamedTuple):
    """What a connection shows: the URIs of its certificate, where it has one, and the port that it came to."""

    uris: frozenset[str] = frozenset()
    certified: bool = False
    port: int = 0


@dataclass(frozen=True)
class Rule:
    """One policy of a filter: its requests, none where it is for all of them, and its principals.

    `enough` are names each of which is all that is asked; `named` are principals that ask for that name among others.
    """

    name: str
    requests: tuple[Any, ...]
    enough: frozenset[str]
    named: Mapping[str, tuple[Any, ...]]
    others: tuple[Any, ...]
    conditional: bool = False

    def holds(self, caller: Caller) -> Formula:
        callers = self._callers(caller)
        if callers == NEVER:
            return NEVER
        if not self.requests:
            return OPAQUE if self.conditional else callers
        requests = either(_evaluate(one, caller) for one in self.requests)
        return both((callers, requests, OPAQUE if self.conditional else ALWAYS))

    def _callers(self, caller: Caller) -> Formula:
        if caller.certified and not self.enough.isdisjoint(caller.uris):
            return ALWAYS
        candidates = [*self.others, *(one for uri in caller.uris for one in self.named.get(uri, ()))]
        return either(_evaluate(one, caller) for one in candidates) if candidates else NEVER


@dataclass(frozen=True)
class Rbac:
    """One filter's rules; `limited` is False for a filter that has none and lets everyone through."""

    limited: bool = False
    denies: bool = False
    rules: tuple[Rule, ...] = ()
    opaque: bool = False
    _known: dict[Caller, Formula] = field(default_factory=dict, compare=False, repr=False)

    def admits(self, caller: Caller) -> Formula:
        """For which requests this caller gets through; asked of each caller once."""
        if not self.limited:
            return OPAQUE if self.opaque else ALWAYS
        if caller not in self._known:
            found = either([rule.holds(caller) for rule in self.rules] or [NEVER])
            self._known[caller] = negate(found) if self.denies else found
        return self._known[caller]

    def deciding(self, caller: Caller) -> tuple[str, ...]:
        """The names of the policies that hold for this caller, for whichever requests."""
        return tuple(rule.name for rule in self.rules if rule.holds(caller) != NEVER)


def read_rbac(message: Any) -> Rbac:
    """Of the filter for HTTP or for connections; both have the same rules."""
    if not message.HasField("rules"):
        return Rbac(opaque=message.HasField("matcher"))
    rules = message.rules
    if rules.action not in {_ALLOW, _DENY}:
        return Rbac()
    read = tuple(_rule(name, rules.policies[name]) for name in sorted(rules.policies))
    return Rbac(True, rules.action == _DENY, read)


def _rule(name: str, policy: Any) -> Rule:
    enough: set[str] = set()
    named: dict[str, list[Any]] = defaultdict(list)
    others: list[Any] = []
    for principal in policy.principals:
        needed = _needed(principal)
        if needed is None:
            others.append(principal)
        elif principal.WhichOneof("identifier") == "authenticated":
            enough.add(needed)
        else:
            named[needed].append(principal)
    conditional = policy.HasField("condition") or policy.HasField("checked_condition")
    found = {uri: tuple(principals) for uri, principals in named.items()}
    requests = () if any(one.any for one in policy.permissions) else tuple(policy.permissions)
    return Rule(name, requests, frozenset(enough), found, tuple(others), conditional)


def _needed(principal: Any) -> str | None:
    """A name without which the principal cannot hold."""
    match principal.WhichOneof("identifier"):
        case "authenticated" if principal.authenticated.principal_name.WhichOneof("match_pattern") == "exact":
            matcher = principal.authenticated.principal_name
            return None if matcher.ignore_case else str(matcher.exact)
        case "and_ids":
            needed = (_needed(one) for one in principal.and_ids.ids)
            return next((one for one in needed if one is not None), None)
    return None


def _evaluate(message: Any, caller: Caller) -> Formula:
    """A permission or a principal: the words that they share mean the same."""
    kind = message.WhichOneof("identifier" if "identifier" in message.DESCRIPTOR.oneofs_by_name else "rule")
    reader = _READERS.get(kind)
    return reader(getattr(message, kind), caller) if reader is not None else OPAQUE


def _authenticated(principal: Any, caller: Caller) -> Formula:
    """Any URI of the certificate will do; without a name every certificate does."""
    if not caller.certified:
        return NEVER
    if not principal.HasField("principal_name"):
        return ALWAYS
    return either(_compared(principal.principal_name, uri) for uri in sorted(caller.uris)) if caller.uris else NEVER


def _compared(matcher: Any, text: str) -> Formula:
    """Regular expressions are Envoy's own to judge."""
    kind = matcher.WhichOneof("match_pattern")
    if kind in {None, "safe_regex", "custom"}:
        return OPAQUE
    wanted = getattr(matcher, kind)
    if matcher.ignore_case:
        text, wanted = text.lower(), wanted.lower()
    return ALWAYS if _COMPARISONS[kind](text, wanted) else NEVER


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": lambda text, wanted: text.startswith(wanted),
    "suffix": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def _header(matcher: Any, _: Caller) -> Formula:
    name = matcher.name.lower()
    match name:
        case ":method":
            found = _methods(matcher)
        case ":path":
            found = _path(_string(matcher)) if _string(matcher) is not None else only("word", f"header {name}")
        case _:
            found = only("word", f"header {name}{_said(matcher)}")
    return negate(found) if matcher.invert_match else found


def _methods(matcher: Any) -> Formula:
    """`GET|POST` is how a list is usually written."""
    text = _string(matcher)
    if text is None:
        return OPAQUE
    kind = text.WhichOneof("match_pattern")
    if kind == "exact":
        return only("method", text.exact)
    words = text.safe_regex.regex.strip("^$()").split("|") if kind == "safe_regex" else []
    if words and all(word and _WORD.issuperset(word) for word in words):
        return either(only("method", word) for word in words)
    return only("word", f"method {_pattern(text)}")


def _string(matcher: Any) -> Any | None:
    return matcher.string_match if matcher.WhichOneof("header_match_specifier") == "string_match" else None


def _said(matcher: Any) -> str:
    """What is asked of a header, in words."""
    match matcher.WhichOneof("header_match_specifier"):
        case "string_match":
            return f" {_pattern(matcher.string_match)}"
        case "present_match":
            return " present" if matcher.present_match else " absent"
        case None:
            return " present"
    return " (conditional)"


def _url_path(matcher: Any, _: Caller) -> Formula:
    return _path(matcher.path)


def _path(text: Any) -> Formula:
    if text.ignore_case or text.WhichOneof("match_pattern") not in {"exact", "prefix", "safe_regex"}:
        return only("word", f"path {_pattern(text)}")
    return only("path", _pattern(text))


def _pattern(text: Any) -> str:
    """As an edge writes paths, and header values alike."""
    kind = text.WhichOneof("match_pattern")
    value = text.safe_regex.regex if kind == "safe_regex" else getattr(text, kind, "") if kind else ""
    written = {"exact": value, "prefix": f"{value}*", "suffix": f"*{value}", "contains": f"*{value}*"}
    return written.get(kind, f"~{value}") + (" in any case" if text.ignore_case else "")


def _range(ports: Any, caller: Caller) -> Formula:
    return ALWAYS if ports.start <= caller.port < ports.end else NEVER


def _all(messages: Iterable[Any], caller: Caller) -> Formula:
    return both(_evaluate(one, caller) for one in messages)


def _any(messages: Iterable[Any], caller: Caller) -> Formula:
    return either(_each(messages, caller))


def _each(messages: Iterable[Any], caller: Caller) -> Iterator[Formula]:
    return (_evaluate(one, caller) for one in messages)


_READERS: Final[Mapping[str | None, Callable[[Any, Caller], Formula]]] = {
    "any": lambda value, _: ALWAYS if value else NEVER,
    "and_ids": lambda value, caller: _all(value.ids, caller),
    "or_ids": lambda value, caller: _any(value.ids, caller),
    "not_id": lambda value, caller: negate(_evaluate(value, caller)),
    "and_rules": lambda value, caller: _all(value.rules, caller),
    "or_rules": lambda value, caller: _any(value.rules, caller),
    "not_rule": lambda value, caller: negate(_evaluate(value, caller)),
    "authenticated": _authenticated,
    "header": _header,
    "url_path": _url_path,
    "destination_port": lambda value, caller: ALWAYS if value == caller.port else NEVER,
    "destination_port_range": _range,
}
