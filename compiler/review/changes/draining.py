"""What a changed field of a listener costs the connections that are open (measured with Envoy 1.40).

Envoy builds a changed filter chain anew and drains the connections of the old one; a field of the listener itself takes
all chains with it. Chains that are added or put in another order cost nobody.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from compiler.review.plan import FieldChange, Kind

__all__ = ["Drain", "drained_by"]


class Drain(IntEnum):
    """How much drains: nothing, the connections of a chain, all of the listener."""

    NOTHING = 0
    CHAIN = 1
    LISTENER = 2


_CHAIN: Final = re.compile(r"/filterChains/\d+(?P<inside>/.*)?")
_HARMLESS: Final = frozenset({"connectionBalanceConfig"})


def drained_by(fields: Iterable[FieldChange]) -> Drain:
    """The most that one of the fields costs."""
    return max((_drained_by(field) for field in fields), default=Drain.NOTHING)


def _drained_by(field: FieldChange) -> Drain:
    chain = _CHAIN.fullmatch(field.path)
    if chain:
        return Drain.NOTHING if field.kind is Kind.ADDED and not chain["inside"] else Drain.CHAIN
    top = field.path.split("/")[1]
    if top == "defaultFilterChain":
        return Drain.NOTHING if field.kind is Kind.ADDED and field.path.count("/") == 1 else Drain.CHAIN
    return Drain.NOTHING if top in _HARMLESS else Drain.LISTENER
