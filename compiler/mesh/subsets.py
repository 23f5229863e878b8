"""Confs by client tags: the rules that Kuma 2 makes of `from` (kuma-core §4.9)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from compiler.mesh.match import source_tags
from compiler.mesh.merge import merge_confs, origins_of
from compiler.mesh.order import Item, Origin
from compiler.resources.model import Conf

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SubsetRule:
    """A conf for the clients that carry every positive tag and none of the negative ones."""

    positive: Tags
    negative: Tags
    conf: Conf
    origins: tuple[Origin, ...]

    def contains(self, tags: Mapping[str, str]) -> bool:
        return all(tags.get(key) == value for key, value in self.positive) and all(
            tags.get(key) != value for key, value in self.negative
        )


def subset_rules(items: Sequence[Item]) -> tuple[SubsetRule, ...]:
    """Rules of sorted items, of which the first that contains a client holds: the merge of all items about that client.

    Kuma orders by the number of positive tags, by which a rule of fewer items can hide one of more; the number of items
    comes first here. There can be as many rules as there are combinations of the tags: `decisions` is linear.
    """
    subsets = [_subset(item) for item in items]
    regions = {region for clique in _maximal_cliques(tuple(dict.fromkeys(subsets))) for region in _regions(clique)}
    found = [(_implied(positive, subsets), positive, negative) for positive, negative in regions]
    found.sort(key=lambda entry: (-len(entry[0]), -len(entry[1]), entry[1], entry[2]))
    return tuple(
        _rule(positive, negative, [items[index] for index in implied])
        for implied, positive, negative in found
        if implied
    )


def decisions(items: Sequence[Item]) -> tuple[SubsetRule, ...]:
    """Sorted items from the last to the first, as far as one can decide; the first that contains a client holds.

    Equal in effect to `subset_rules` for confs that a later one replaces whole, as `action` of MeshTrafficPermission;
    origins then name the one item that decides.
    """
    rules: dict[Tags, SubsetRule] = {}
    for item in reversed(items):
        positive = _subset(item)
        rules.setdefault(positive, _rule(positive, (), [item]))
        if not positive:
            break
    return tuple(rules.values())


def first_containing(rules: Iterable[SubsetRule], tags: Mapping[str, str]) -> SubsetRule | None:
    return next((rule for rule in rules if rule.contains(tags)), None)


def may_overlap(one: SubsetRule, other: SubsetRule) -> bool:
    """Whether some client is in both, so that their order decides between them."""
    return (
        _are_compatible(one.positive, other.positive)
        and not set(one.positive) & set(other.negative)
        and not set(one.negative) & set(other.positive)
    )


def _rule(positive: Tags, negative: Tags, items: Sequence[Item]) -> SubsetRule:
    return SubsetRule(positive, negative, merge_confs(item.conf for item in items), origins_of(items))


def _subset(item: Item) -> Tags:
    return tuple(sorted(source_tags(item.target).items()))


def _implied(positive: Tags, subsets: Sequence[Tags]) -> tuple[int, ...]:
    """Items about everyone who carries these tags."""
    carried = set(positive)
    return tuple(index for index, subset in enumerate(subsets) if carried.issuperset(subset))


def _regions(clique: Sequence[Tags]) -> Iterator[tuple[Tags, Tags]]:
    """Every way to have, for each key, one of the values that occur or none of them."""
    values: dict[str, set[str]] = {}
    for key, value in (pair for subset in clique for pair in subset):
        values.setdefault(key, set()).add(value)
    keys = sorted(values)
    for choice in product(*([*sorted(values[key]), None] for key in keys)):
        chosen = list(zip(keys, choice, strict=True))
        positive = tuple((key, value) for key, value in chosen if value is not None)
        negative = tuple((key, value) for key, picked in chosen if picked is None for value in sorted(values[key]))
        yield positive, negative


def _maximal_cliques(subsets: Sequence[Tags]) -> Iterator[tuple[Tags, ...]]:
    """Largest groups of subsets that one client can all be in (Bron and Kerbosch, with a pivot)."""
    neighbours = {
        index: {
            other for other, theirs in enumerate(subsets) if other != index and _are_compatible(subsets[index], theirs)
        }
        for index in range(len(subsets))
    }
    pending: list[tuple[tuple[int, ...], set[int], set[int]]] = [((), set(neighbours), set())] if subsets else []
    while pending:
        clique, candidates, excluded = pending.pop()
        if not candidates and not excluded:
            yield tuple(subsets[index] for index in sorted(clique))
            continue
        pivot = max(candidates | excluded, key=lambda index: (len(neighbours[index] & candidates), index))
        for index in sorted(candidates - neighbours[pivot]):
            pending.append(((*clique, index), candidates & neighbours[index], excluded & neighbours[index]))
            candidates, excluded = candidates - {index}, excluded | {index}


def _are_compatible(one: Tags, other: Tags) -> bool:
    theirs = dict(other)
    return all(theirs.get(key, value) == value for key, value in one)
