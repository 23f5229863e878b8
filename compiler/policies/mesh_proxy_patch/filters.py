"""Filters of a chain: which of them a name means, and where a new one goes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from compiler.envoy.names import HTTP_FILTER, ROUTER_FILTER, TCP_FILTER

_FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
_LIMITS: Final = "envoy.extensions.filters.network.local_ratelimit.v3"
_WELL_KNOWN: Final[Mapping[str, str]] = {
    f"{_FILTERS}.http.rbac.v3.RBAC": "envoy.filters.http.rbac",
    f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy": TCP_FILTER,
    f"{_FILTERS}.network.local_ratelimit.v3.LocalRateLimit": f"{_LIMITS}.LocalRateLimit",
}
"""What documents call filters that have other names here: those that come by ECDS have the names of their slots."""
_LAST: Final = frozenset({HTTP_FILTER, TCP_FILTER, ROUTER_FILTER})
"""Filters that end a chain: nothing may follow them."""


def is_called(one: Any, name: str) -> bool:
    """Without a name every filter is meant."""
    return not name or one.name == name or _WELL_KNOWN.get(one.typed_config.type_url) == name


def splice(operation: str, name: str, filters: Sequence[Any], new: Any) -> tuple[list[Any], bool]:
    """With the new filter, and whether its place was found; beside the first of those that are called so."""
    place = _place(operation, name, filters, new)
    if place is None:
        return list(filters), False
    return [*filters[:place], new, *filters[place:]], True


def _place(operation: str, name: str, filters: Sequence[Any], new: Any) -> int | None:
    """The last place is the one before the filter that ends the chain, since Envoy takes none behind it."""
    if operation == "AddFirst":
        return 0
    if operation == "AddLast":
        return len(filters) - (bool(filters) and _ends(filters[-1]) and not _ends(new))
    found = next((index for index, one in enumerate(filters) if is_called(one, name)), None)
    return found + (operation == "AddAfter") if found is not None else None


def _ends(one: Any) -> bool:
    return any(is_called(one, name) for name in _LAST)
