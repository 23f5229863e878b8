"""Who may call an inbound: MeshTrafficPermissions as one list of entries of which the first that matches decides."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from compiler.mesh.calls import Permission, PermissionEntry, Principal
from compiler.mesh.http_route import HeaderMatch, RouteMatch
from compiler.mesh.order import Item, Origin
from compiler.mesh.subsets import SubsetRule, Tags, decisions
from compiler.mesh.value import UriMatch
from compiler.resources.model import SERVICE, Conf

ALLOW: Final = "Allow"
DENY: Final = "Deny"
SHADOW: Final = "AllowWithShadowDeny"
_LISTS: Final = (("deny", DENY), ("allow", ALLOW), ("allowWithShadowDeny", SHADOW))


def permission(mesh: str, rules: Sequence[Item], sources: Sequence[Item]) -> Permission:
    """Of sorted items; where an inbound has `rules`, its `from` is passed over (kuma-policies §2.16)."""
    if rules:
        return Permission(tuple(_entries_of_rules(rules)))
    return Permission(tuple(_entry_of_subset(mesh, rule) for rule in decisions(sources)))


def permission_by_name(mesh: str, rules: Sequence[Item], sources: Sequence[Item], called: str) -> Permission:
    """Of a zone egress for the service that its callers name: matches may ask for the name, and for nobody."""
    if not rules:
        return permission(mesh, rules, sources)
    return Permission(tuple(_denials_first(_entries(rules, called))))


class Register(NamedTuple):
    """A permission for many questions: a hub's is not searched again for each of its callers.

    `alone` has the place of the first entry that any caller with this URI matches, `others` those of all that ask for
    more, or for something else.
    """

    entries: tuple[PermissionEntry, ...]
    alone: Mapping[str, int]
    others: tuple[int, ...]

    def admits(self, shown: frozenset[str]) -> bool:
        """Whether a caller with these URIs in its certificate gets through: the first entry that matches decides.

        What is said of some requests alone admits the caller, and denies it nothing else.
        """
        found = [place for uri in shown if (place := self.alone.get(uri)) is not None]
        found += [place for place in self.others if contains(self.entries[place].principal, shown)]
        return bool(found) and self.entries[min(found)].action != DENY


def register(permitted: Permission) -> Register:
    """The entries of a permission by what they ask for."""
    alone: dict[str, int] = {}
    others: list[int] = []
    for place, entry in enumerate(permitted.entries):
        if entry.action == DENY and entry.requests:
            continue
        present = entry.principal.present
        if len(present) == 1 and not present[0].prefix and not entry.principal.absent:
            alone.setdefault(present[0].value, place)
        else:
            others.append(place)
    return Register(permitted.entries, alone, tuple(others))


def admits(permitted: Permission, uris: Iterable[str]) -> bool:
    """Whether a caller with these URIs in its certificate gets through."""
    return register(permitted).admits(frozenset(uris))


def contains(principal: Principal, uris: frozenset[str]) -> bool:
    return all(_shows(match, uris) for match in principal.present) and not any(
        _shows(match, uris) for match in principal.absent
    )


def _shows(match: UriMatch, uris: frozenset[str]) -> bool:
    return any(uri.startswith(match.value) for uri in uris) if match.prefix else match.value in uris


def _entries_of_rules(rules: Sequence[Item]) -> Iterator[PermissionEntry]:
    yield from _denials_first(_entries(rules, ""))


def _denials_first(entries: Iterable[PermissionEntry]) -> Iterator[PermissionEntry]:
    """Every denial of every policy comes before anything that is allowed (kuma-core §4.8)."""
    written = list(entries)
    yield from (entry for entry in written if entry.action == DENY)
    yield from (entry for entry in written if entry.action != DENY)


def _entries(rules: Sequence[Item], called: str) -> Iterator[PermissionEntry]:
    for field, action in _LISTS:
        for item in rules:
            for pointer, match in _matches(item, field, called):
                origin = Origin(item.origin.kri, item.origin.policy, pointer)
                yield PermissionEntry(_caller(match), action, origin, tuple(map(_request, match.get("http") or ())))


def _matches(item: Item, field: str, called: str) -> Iterator[tuple[str, Conf]]:
    """A match that asks for the name of an external service is about calls through an egress only."""
    for index, match in enumerate(item.conf.get(field) or ()):
        if "sni" in match:
            holds = bool(called) and _names(match["sni"], called)
        else:
            holds = bool(match.get("spiffeID") or match.get("http"))
        if holds:
            yield f"{item.origin.pointer}/default/{field}/{index}", match


def _names(wanted: Conf, called: str) -> bool:
    return called.startswith(wanted["value"]) if wanted.get("type") == "Prefix" else called == wanted["value"]


def _caller(match: Conf) -> Principal:
    """Everyone, where a match asks for the called service alone."""
    spiffe = match.get("spiffeID")
    return Principal((UriMatch(spiffe["value"], prefix=spiffe.get("type") == "Prefix"),)) if spiffe else Principal()


def _request(written: Conf) -> RouteMatch:
    """As a route matches it."""
    path = written.get("path") or {}
    return RouteMatch(
        path_type=path.get("type", "PathPrefix"),
        path=path.get("value", "/"),
        method=written.get("method") or "",
        headers=tuple(
            HeaderMatch(one["name"], one.get("type") or "Exact", one.get("value") or "")
            for one in written.get("headers") or ()
        ),
    )


def _entry_of_subset(mesh: str, rule: SubsetRule) -> PermissionEntry:
    return PermissionEntry(principal_of(mesh, rule), rule.conf.get("action", DENY), rule.origins[-1])


def principal_of(mesh: str, rule: SubsetRule) -> Principal:
    """The callers of a class by tags."""
    return Principal(present=_uris(mesh, rule.positive), absent=_uris(mesh, rule.negative))


def _uris(mesh: str, tags: Tags) -> tuple[UriMatch, ...]:
    """How a certificate of the builtin authority shows tags (kuma-core §2.1)."""
    return tuple(UriMatch(f"spiffe://{mesh}/{value}" if key == SERVICE else tag_uri(key, value)) for key, value in tags)


def tag_uri(key: str, value: str) -> str:
    """Of a tag that is not the service, for which there is the SPIFFE id."""
    return f"kuma://{key}/{value}"
