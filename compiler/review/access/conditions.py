"""What a request must be like to be let through, as alternatives of things that must all hold.

Only as clever as permissions are: what grows beyond `_MOST` alternatives, or is not about methods and paths, is said
in words and never left out, so that an answer is at worst less precise.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Final, Literal, NamedTuple

__all__ = ["ALWAYS", "NEVER", "OPAQUE", "Formula", "Grant", "Literally", "both", "either", "grants", "negate", "only"]

_MOST: Final = 64


class Literally(NamedTuple):
    """One thing that must hold: the method, the path (`/a`, `/a*` or `~expression`), or a sentence."""

    kind: Literal["method", "path", "word", "opaque"]
    value: str
    negated: bool = False


Clause = frozenset[Literally]
Formula = frozenset[Clause]
"""Alternatives; in each of them everything must hold."""

NEVER: Final[Formula] = frozenset()
ALWAYS: Final[Formula] = frozenset({frozenset[Literally]()})
_UNSAID: Final = Literally("opaque", "(conditional)")
OPAQUE: Final[Formula] = frozenset({frozenset({_UNSAID})})
"""Sometimes, and it is not told when."""


class Grant(NamedTuple):
    """Requests with one of these methods to one of these paths, where the conditions hold; empty is every one."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


def only(kind: Literal["method", "path", "word"], value: str) -> Formula:
    """Just this must hold."""
    return frozenset({frozenset({Literally(kind, value)})})


def either(formulas: Iterable[Formula]) -> Formula:
    """One of them is enough."""
    found = list(formulas)
    if len(found) == 1:
        return found[0]
    return _shortened(clause for formula in found for clause in formula)


def both(formulas: Iterable[Formula]) -> Formula:
    """All of them must hold."""
    result = ALWAYS
    for formula in formulas:
        if formula == ALWAYS:
            continue
        if result == ALWAYS:
            result = formula
            continue
        joined = (_simplified(one | other) for one, other in product(result, formula))
        result = _shortened(clause for clause in joined if clause is not None)
    return result


def negate(formula: Formula) -> Formula:
    """It must not hold."""
    if formula == NEVER:
        return ALWAYS
    return both(_shortened(frozenset({_not(one)}) for one in clause) for clause in formula)


def grants(formula: Formula) -> tuple[Grant, ...]:
    """Methods that go with the same paths stand together, then paths that go with the same methods."""
    if formula == ALWAYS:
        return (Grant(),)
    by_path: dict[tuple[tuple[str, ...], tuple[str, ...]], set[str]] = defaultdict(set)
    for clause in formula:
        methods, paths, conditions = _split(clause)
        by_path[paths, conditions] |= methods or {""}
    by_method: dict[tuple[tuple[str, ...], tuple[str, ...]], set[str]] = defaultdict(set)
    for (paths, conditions), methods in by_path.items():
        by_method[_sorted(methods), conditions] |= set(paths) or {""}
    return tuple(sorted(Grant(methods, _sorted(paths), said) for (methods, said), paths in by_method.items()))


def _sorted(words: set[str]) -> tuple[str, ...]:
    """The empty word stands for every one."""
    return () if "" in words else tuple(sorted(words))


def _split(clause: Clause) -> tuple[set[str], tuple[str, ...], tuple[str, ...]]:
    """The method, the path, and the rest in words; of two paths that both must fit, the second is of the rest."""
    methods = {one.value for one in clause if one.kind == "method" and not one.negated}
    paths = sorted(one.value for one in clause if one.kind == "path" and not one.negated)
    words = [_in_words(one) for one in clause if one.negated or one.kind in {"word", "opaque"}]
    return methods, tuple(paths[:1]), tuple(sorted([*words, *(f"path {path}" for path in paths[1:])]))


def _in_words(one: Literally) -> str:
    what = one.value if one.kind in {"word", "opaque"} else f"{one.kind} {one.value}"
    return f"not {what}" if one.negated else what


def _not(one: Literally) -> Literally:
    """What is not told does not get clearer."""
    return one if one.kind == "opaque" else one._replace(negated=not one.negated)


def _shortened(clauses: Iterable[Clause]) -> Formula:
    """An alternative that asks for more than another adds nothing."""
    found: list[Clause] = []
    for clause in sorted(set(clauses), key=len):
        if not any(other <= clause for other in found):
            found.append(clause)
    return frozenset(found) if len(found) <= _MOST else OPAQUE


def _simplified(clause: Clause) -> Clause | None:
    """None where it cannot hold: two methods, or two paths that no request has at once."""
    if any(one.kind != "opaque" and one._replace(negated=not one.negated) in clause for one in clause):
        return None
    methods = [one for one in clause if one.kind == "method" and not one.negated]
    if len(methods) > 1:
        return None
    if methods:
        clause = frozenset(one for one in clause if one.kind != "method" or not one.negated)
    return _narrowed(clause)


def _narrowed(clause: Clause) -> Clause | None:
    """Of paths that must all fit, the narrowest says it all; of regular expressions each stays."""
    paths = [one.value for one in clause if one.kind == "path" and not one.negated and not one.value.startswith("~")]
    if len(paths) < 2:
        return clause
    narrowest = max(paths, key=lambda path: (not path.endswith("*"), len(path)))
    if not all(_fits(narrowest, path) for path in paths):
        return None
    return clause - {Literally("path", path) for path in paths if path != narrowest}


def _fits(path: str, wider: str) -> bool:
    return path == wider or (wider.endswith("*") and path.startswith(wider[:-1]))
