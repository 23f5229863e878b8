"""Changes of access as sentences, and the group of changes that each is the doing of."""

from collections.abc import Iterable, Iterator

from compiler.review.access.edge import OUTSIDE, AccessDiff, Edge
from compiler.review.changes.deciders import Deciders

__all__ = ["closed_edges", "opened_edges", "share_edges"]

Told = tuple[Edge, str]


def opened_edges(access: AccessDiff) -> Iterator[Told]:
    """What may be called that could not be before; whom nobody let in comes first."""
    for edge in access.added:
        yield edge, f"{edge.caller} may newly call {edge.place}{_without(edge)}"
    for change in access.changed:
        if change.gained:
            yield change.edge, f"{change.edge.caller} may call more of {change.edge.place} ({change.says})"


def closed_edges(access: AccessDiff) -> Iterator[Told]:
    """What may not be called any more; a pair that only gained something closes nothing."""
    for edge in access.removed:
        yield edge, f"{edge.caller} may no longer call {edge.place}{_without(edge)}"
    for change in access.changed:
        if change.lost:
            yield change.edge, f"{change.edge.caller} may call less of {change.edge.place} ({change.says})"


def _without(edge: Edge) -> str:
    """Outside of the mesh nobody asks for its certificates."""
    if edge.identity or edge.service.startswith(OUTSIDE):
        return ""
    return " without a certificate" if edge.proxied else " past its own proxy, without a certificate"


def share_edges(told: Iterable[Told], deciders: Deciders, groups: int) -> list[list[str]]:
    """Each to the group that decided it."""
    shares: list[list[str]] = [[] for _ in range(groups)]
    for edge, words in told:
        place = deciders.place(edge)
        if place is not None:
            shares[place].append(words)
    return shares
