"""Who may call an inbound: MeshTrafficPermissions as one list of entries of which the first that matches decides."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from compiler.mesh.order import Item, Origin
from compiler.mesh.proxy import Permission, PermissionEntry, Principal, UriMatch
from compiler.mesh.subsets import SubsetRule, Tags, decisions
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


def admits(permitted: Permission, uris: Iterable[str]) -> bool:
    """Whether a caller with these URIs in its certificate gets through."""
    shown = frozenset(uris)
    deciding = next((entry for entry in permitted.entries if contains(entry.principal, shown)), None)
    return deciding is not None and deciding.action != DENY


def contains(principal: Principal, uris: frozenset[str]) -> bool:
    return all(_shows(match, uris) for match in principal.present) and not any(
        _shows(match, uris) for match in principal.absent
    )


def _shows(match: UriMatch, uris: frozenset[str]) -> bool:
    return any(uri.startswith(match.value) for uri in uris) if match.prefix else match.value in uris


def _entries_of_rules(rules: Sequence[Item]) -> Iterator[PermissionEntry]:
    """Every denial of every policy comes before anything that is allowed (kuma-core §4.8)."""
    written = [
        PermissionEntry(_caller(match), action, Origin(item.origin.kri, item.origin.policy, pointer))
        for field, action in _LISTS
        for item in rules
        for pointer, match in _matches(item, field)
    ]
    denials = [entry for entry in written if entry.action == DENY]
    yield from denials
    yield from (entry for entry in written if entry.action != DENY)


def _matches(item: Item, field: str) -> Iterator[tuple[str, Conf]]:
    for index, match in enumerate(item.conf.get(field) or ()):
        if match.get("spiffeID"):
            yield f"{item.origin.pointer}/default/{field}/{index}", match


def _caller(match: Conf) -> Principal:
    """A match by SNI is refused where the policy is checked: it says nothing about who calls a sidecar."""
    spiffe = match["spiffeID"]
    return Principal(present=(UriMatch(spiffe["value"], prefix=spiffe.get("type") == "Prefix"),))


def _entry_of_subset(mesh: str, rule: SubsetRule) -> PermissionEntry:
    principal = Principal(present=_uris(mesh, rule.positive), absent=_uris(mesh, rule.negative))
    return PermissionEntry(principal, rule.conf.get("action", DENY), rule.origins[-1])


def _uris(mesh: str, tags: Tags) -> tuple[UriMatch, ...]:
    """How a certificate of the builtin authority shows tags (kuma-core §2.1)."""
    return tuple(
        UriMatch(f"spiffe://{mesh}/{value}" if key == SERVICE else f"kuma://{key}/{value}") for key, value in tags
    )
