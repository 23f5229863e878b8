"""Classes of callers: sets that several policies tell apart, cut so that each policy says one thing of each class."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from compiler.mesh.calls import Principal
from compiler.mesh.value import UriMatch

EVERYONE = Principal()


def classes(told_apart: Sequence[Sequence[Principal]]) -> tuple[Principal, ...]:
    """For policies of which each tells some callers apart, in the order in which the first that names a caller counts.

    Within a policy a set stands before those that contain it. A class is a set of each policy, or everyone, together;
    sets of one SPIFFE id or its beginning are in each other or apart, so that most combinations are of nobody.
    """
    known = [(*sets, EVERYONE) for sets in told_apart if sets]
    found = (_intersect(choice) for choice in product(*known))
    return tuple(_without_hidden(callers for callers in found if callers is not None and callers != EVERYONE))


def includes(outer: Principal, inner: Principal) -> bool:
    """Whether every caller of the inner set is in the outer one, as far as their conditions tell."""
    shown = all(any(_contains(one, other) for other in inner.present) for one in outer.present)
    return shown and set(outer.absent) <= set(inner.absent)


def _intersect(sets: Iterable[Principal]) -> Principal | None:
    """None for nobody: one caller has one SPIFFE id, and one value of each tag."""
    conditions = {match for one in sets for match in one.present}
    absent = {match for one in sets for match in one.absent}
    present = {one for one in conditions if not any(other != one and _contains(one, other) for other in conditions)}
    if any(_exclude(one, other) for one in present for other in present if one != other):
        return None
    if any(_contains(one, other) for one in absent for other in present):
        return None
    return Principal(tuple(sorted(present, key=_order)), tuple(sorted(absent, key=_order)))


def _without_hidden(ordered: Iterable[Principal]) -> Iterator[Principal]:
    """Nobody is left for a set that one before it includes."""
    before: list[Principal] = []
    for callers in ordered:
        if not any(includes(one, callers) for one in before):
            before.append(callers)
            yield callers


def _contains(outer: UriMatch, inner: UriMatch) -> bool:
    return inner.value.startswith(outer.value) if outer.prefix else outer == inner


def _exclude(one: UriMatch, other: UriMatch) -> bool:
    """Conditions of which neither contains the other, on what a caller has only one of."""
    return _subject(one) == _subject(other)


def _subject(match: UriMatch) -> str:
    """The SPIFFE id, or the tag that a URI stands for."""
    return match.value.rpartition("/")[0] if match.value.startswith("kuma://") else "spiffe"


def _order(match: UriMatch) -> tuple[str, bool]:
    return match.value, match.prefix
