"""Work in proportion to the change: what an edit makes the compiler do, and whether a larger mesh makes it do more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PROPORTIONATE: Final = ("E1", "E3", "E5")
"""The edits that concern one service, whatever the mesh holds beside it."""

_BUILDING: Final = (
    "inbound listeners",
    "inbound clusters",
    "inbound traffic",
    "outbound resources",
    "upstream resources",
    "load assignments",
    "transparent resources",
    "filled",
)
"""The queries that make Envoy's messages or fill in their templates; one of them may make several."""

PROOFS: Final[Mapping[str, Sequence[str]]] = {
    "documents parsed": ("documents parsed",),
    "verdicts computed": ("verdicts computed",),
    "proxies resolved": ("proxy",),
    "resources built": ("resources built",),
    "JSON rendered": ("JSON rendered",),
    "objects written": ("objects written",),
    "pushes sent": ("pushes",),
}
"""By the name that people read the counters that are summed for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One counter of one edit, in a smaller and in a larger mesh."""

    operation: str
    counter: str
    smaller: float
    larger: float

    @property
    def grew(self) -> bool:
        return self.larger > self.smaller

    def __str__(self) -> str:
        return f"{self.operation} {self.counter}: {self.smaller:g}, then {self.larger:g}"


def count_built(counters: Mapping[str, float]) -> float:
    """Resources translated; by runs of the queries that translate where the compiler does not count them itself."""
    if "resources built" in counters:
        return counters["resources built"]
    return sum(counters.get(name, 0) for name in _BUILDING)


def count_work(counters: Mapping[str, float]) -> Mapping[str, float]:
    """The counters that prove proportion, under the names that people read; what nobody counted is left out."""
    found = {
        name: sum(counters.get(one, 0) for one in counted)
        for name, counted in PROOFS.items()
        if any(one in counters for one in counted)
    }
    return found | ({"resources built": count_built(counters)} if counters.keys() & set(_BUILDING) else {})


def compare(smaller: Mapping[str, Mapping[str, float]], larger: Mapping[str, Mapping[str, float]]) -> Iterator[Step]:
    """Of counters by edit those that both meshes counted."""
    for operation in PROPORTIONATE:
        before, after = (count_work(each.get(operation, {})) for each in (smaller, larger))
        for counter in PROOFS:
            if counter in before and counter in after:
                yield Step(operation, counter, before[counter], after[counter])
