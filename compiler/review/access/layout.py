"""Where the boxes and lines of a directed graph go: in columns from left to right, with few crossings.

The usual four steps: cycles are broken, every node gets a column, the order within columns is improved by the middle of
what each is connected to, and then the heights. A line that passes columns by is led through them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean
from typing import Final

Arc = tuple[str, str]
_SWEEPS: Final = 12
_SETTLINGS: Final = 8
_COLUMNS: Final = (4, 7)
"""At least and at most so many may be needed; what circles would make a picture that is only wide."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns count from 0, heights are in rows, from 0; a bend is where a line crosses a column on its way."""

    columns: Mapping[str, int]
    rows: Mapping[str, float]
    bends: Mapping[Arc, tuple[tuple[int, float], ...]]

    @property
    def width(self) -> int:
        return max(self.columns.values(), default=-1) + 1

    @property
    def height(self) -> float:
        bends = (row for chain in self.bends.values() for _, row in chain)
        return max([*self.rows.values(), *bends], default=0.0) + 1


def lay_out(nodes: Iterable[str], arcs: Iterable[Arc]) -> Layout:
    """The same for the same graph; an arc from a node to itself has no bends."""
    names = sorted(set(nodes))
    wanted = sorted({arc for arc in arcs if arc[0] != arc[1]})
    columns = _compact(_columns(names, _acyclic(names, wanted)))
    chains = {arc: _through(arc, columns) for arc in wanted}
    order, beside = _order(columns, chains)
    rows = _heights(order, beside)
    bends = {arc: tuple((columns_of(one, columns), rows[one]) for one in chain[1:-1]) for arc, chain in chains.items()}
    return Layout(columns, {name: rows[name] for name in names}, bends)


def columns_of(name: str, columns: Mapping[str, int]) -> int:
    """A bend's name ends with its column."""
    return columns[name] if name in columns else int(name.rpartition("\0")[2])


def _acyclic(names: Sequence[str], arcs: Sequence[Arc]) -> list[Arc]:
    """Arcs that would lead back are turned around, for the columns only; without recursion, whatever the depth."""
    after: dict[str, list[str]] = defaultdict(list)
    for start, end in arcs:
        after[start].append(end)
    called = {end for _, end in arcs}
    finished: dict[str, bool] = {}
    turned: set[Arc] = set()
    for root in sorted(names, key=lambda name: (name in called, name)):
        stack = [(root, iter(after[root]))] if root not in finished else []
        finished.setdefault(root, False)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                finished[name] = True
                stack.pop()
            elif following not in finished:
                finished[following] = False
                stack.append((following, iter(after[following])))
            elif not finished[following]:
                turned.add((name, following))
    return [(end, start) if (start, end) in turned else (start, end) for start, end in arcs]


def _columns(names: Sequence[str], arcs: Sequence[Arc]) -> dict[str, int]:
    """As far right as its longest way from the left; who is called by nobody stands just before whom it calls."""
    after: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(names, 0)
    for start, end in sorted(set(arcs)):
        after[start].append(end)
        waiting[end] += 1
    columns = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    roots = list(ready)
    for name in ready:
        for end in after[name]:
            columns[end] = max(columns[end], columns[name] + 1)
            waiting[end] -= 1
            if not waiting[end]:
                ready.append(end)
    for name in roots:
        if after[name]:
            columns[name] = min(columns[end] for end in after[name]) - 1
    return columns


def _compact(columns: dict[str, int]) -> dict[str, int]:
    """Neighbouring columns become one where there are too many; then there are arcs within a column."""
    low, high = _COLUMNS
    most = min(max(low, round(sqrt(len(columns)))), high)
    total = max(columns.values(), default=0) + 1
    return columns if total <= most else {name: column * most // total for name, column in columns.items()}


def _through(arc: Arc, columns: Mapping[str, int]) -> list[str]:
    """The arc with a bend in every column between its ends."""
    start, end = columns[arc[0]], columns[arc[1]]
    step = 1 if start < end else -1
    between = [f"{arc[0]}\0{arc[1]}\0{column}" for column in range(start + step, end, step)]
    return [arc[0], *between, arc[1]]


def _order(
    columns: Mapping[str, int], chains: Mapping[Arc, Sequence[str]]
) -> tuple[list[list[str]], Mapping[str, list[str]]]:
    """The names of each column from above, and what each is connected to."""
    beside: dict[str, list[str]] = defaultdict(list)
    found: dict[int, dict[str, None]] = defaultdict(dict)
    for name in columns:
        found[columns[name]][name] = None
    for chain in chains.values():
        for one, other in pairwise(chain):
            beside[one].append(other)
            beside[other].append(one)
        for bend in chain[1:-1]:
            found[columns_of(bend, columns)][bend] = None
    order = [list(found[column]) for column in range(max(found, default=-1) + 1)]
    for sweep in range(_SWEEPS):
        _sweep(order, beside, forward=sweep % 2 == 0)
    return order, beside


def _sweep(order: list[list[str]], beside: Mapping[str, list[str]], *, forward: bool) -> None:
    """Each column in the order of the middle of what its nodes are connected to in the column just done."""
    indices = range(1, len(order)) if forward else range(len(order) - 2, -1, -1)
    for index in indices:
        place = {name: at for at, name in enumerate(order[index - 1 if forward else index + 1])}
        now = {name: at for at, name in enumerate(order[index])}
        middle = {name: _middle(beside.get(name, ()), place, now[name]) for name in order[index]}
        order[index].sort(key=lambda name: (middle[name], now[name]))


def _middle(neighbours: Iterable[str], place: Mapping[str, int], otherwise: float) -> float:
    there = [place[one] for one in neighbours if one in place]
    return fmean(there) if there else otherwise


def _heights(order: Sequence[Sequence[str]], beside: Mapping[str, list[str]]) -> dict[str, float]:
    """Each as near to the middle of its neighbours as the others of its column let it."""
    rows = {name: float(at) for names in order for at, name in enumerate(names)}
    for settling in range(_SETTLINGS):
        for names in order if settling % 2 == 0 else reversed(order):
            wanted = [fmean([rows[one] for one in beside[name]]) if beside.get(name) else rows[name] for name in names]
            rows |= dict(zip(names, _apart(wanted, [_room(name) for name in names]), strict=True))
    top = min(rows.values(), default=0.0)
    return {name: row - top for name, row in rows.items()}


def _room(name: str) -> float:
    """A line needs less than a box."""
    return 0.5 if "\0" in name else 1.0


def _apart(wanted: Sequence[float], rooms: Sequence[float]) -> list[float]:
    """The nearest heights that keep the order and the distances: neighbours that collide move together."""
    offsets = [0.0]
    for one, other in pairwise(rooms):
        offsets.append(offsets[-1] + (one + other) / 2)
    blocks: list[tuple[float, int]] = []
    for height, offset in zip(wanted, offsets, strict=False):
        mean, count = height - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, size = blocks.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
