"""Who may newly call whom, and who may no more: as much of it is looked at as the change can concern."""

from compiler.review.access.concerns import Concern, find_concern
from compiler.review.access.edge import AccessDiff
from compiler.review.access.known import Known
from compiler.review.access.reaching import Moved, diff_edges, find_edges, renew
from compiler.review.changes.baseline import Baseline
from compiler.review.changes.compare import Comparison, Key
from compiler.review.changes.groups import service_of
from compiler.snapshot.canonical import Rendered

__all__ = ["compare_access"]


def compare_access(comparison: Comparison, base: Baseline) -> AccessDiff:
    """Of the base, which may be known, what is compared with it."""
    if not comparison:
        return AccessDiff()
    moved = _find_moved(comparison, base.known)
    if moved is None:
        after = find_edges(comparison.after, base.known)
        return diff_edges(base.access().edges, after)
    before = base.access()
    after = renew(before, comparison.after, moved, base.known) if any(moved) else before.edges
    return diff_edges(before.edges, after)


def _find_moved(comparison: Comparison, known: Known) -> Moved | None:
    """Of most changes none; None where it cannot be told by the services that differ."""
    if comparison.added or comparison.removed:
        return None
    concerns: dict[Key, Concern] = {}
    for key, (_, one) in comparison.carriers.items():
        if not isinstance(one.before, Rendered | None) or not isinstance(one.after, Rendered | None):
            return None
        concern = find_concern(one.before, one.after, known)
        if concern is None:
            return None
        concerns[key] = concern
    found = [(service_of(one.after), concerns[each.key]) for one in comparison.changed for each in one.differences]
    return Moved(
        frozenset(service for service, concern in found if concern.doors),
        frozenset(service for service, concern in found if concern.ways),
    )
