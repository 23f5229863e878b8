"""What many proxies want, computed ahead on every core, where it is worth the copies between processes."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from compiler.forks import map_shares
from compiler.memo import Memo
from compiler.mesh.members import ENDPOINTS
from compiler.mesh.shape import REPLICA, Replica
from compiler.mesh.zones.views import SEEN
from compiler.resources.model import ResourceKey
from compiler.snapshot.parts import ASSIGNMENT, Assignment, PartKey
from compiler.snapshot.rendering import RENDERED, Part
from compiler.snapshot.take import CALLED, CALLED_FROM, CALLS, COMMON, LISTED, Caller

ENOUGH: Final = 1500
"""Parts below which one process is as fast; measured, see docs/decisions/0014."""
MANY: Final = 500
"""Proxies below which nobody need count their parts."""


class Computed(NamedTuple):
    """A part by the number of what was asked, and what it was computed from."""

    number: int
    part: Part
    sources: tuple[tuple[str, Hashable], ...]


def compute_ahead(memo: Memo, proxies: Sequence[ResourceKey], processes: int) -> None:
    """What these proxies want and is not remembered; afterwards asking for it costs nothing."""
    if processes < 2 or len(proxies) < MANY:
        return
    replicas = [replica for key in proxies if (replica := memo.ask(REPLICA, key)) is not None]
    _compute(memo, _list_parts(memo, replicas), processes)


def _compute(memo: Memo, asked: Iterable[PartKey], processes: int) -> None:
    wanted = [one for one in dict.fromkeys(asked) if memo.lacks(*one)]
    if len(wanted) < ENOUGH:
        return

    def compute(numbers: Sequence[int]) -> list[Computed]:
        return [Computed(one, memo.ask(*wanted[one]), memo.sources(*wanted[one])) for one in numbers]

    for found in map_shares(compute, range(len(wanted)), processes=processes):
        for one in found:
            query, key = wanted[one.number]
            if memo.lacks(query, key):
                memo.adopt(query, key, one.part, one.sources)
                memo.count(RENDERED, len(one.part.rendered) + len(one.part.templates))


def _list_parts(memo: Memo, replicas: Iterable[Replica]) -> Iterator[PartKey]:
    """What parts lean on is resolved on the way: children answer with what was asked, and remember nothing else.

    A part can be missing only where something is that is made of parts; of what was put together before, where an
    assignment went stale. A few of these are not worth looking for.
    """
    for shape in dict.fromkeys([replica.shape for replica in replicas]):
        if memo.lacks(COMMON, shape):
            yield from memo.ask(LISTED, shape)
    callers = dict.fromkeys([Caller(replica.shape, replica.zone) for replica in replicas])
    few = len(memo.stale(ASSIGNMENT)) < MANY
    for calls in dict.fromkeys([memo.ask(CALLS, one) for one in callers if memo.lacks(CALLED_FROM, one)]):
        if few and memo.has(CALLED, calls):
            continue
        for assignment in calls.assignments:
            if _is_settled(memo, assignment):
                continue
            yield ASSIGNMENT, assignment


def _is_settled(memo: Memo, assignment: Assignment) -> bool:
    """Endpoints that differ may well look as before from behind a zone proxy: then there is nothing to compute."""
    if assignment.seen is None:
        memo.ask(ENDPOINTS, assignment.port)
        return False
    memo.ask(SEEN, assignment.seen)
    if memo.has(ASSIGNMENT, assignment):
        memo.ask(ASSIGNMENT, assignment)
        return True
    return False
