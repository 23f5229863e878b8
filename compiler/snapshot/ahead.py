"""Parts computed ahead on every core, where there are so many that the copies between processes are worth it."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from compiler.forks import map_shares
from compiler.memo import Memo
from compiler.mesh.resolve import PROXY
from compiler.mesh.services import ENDPOINTS
from compiler.mesh.shape import REPLICA
from compiler.resources.model import ResourceKey
from compiler.snapshot.parts import ASSIGNMENT, Part, PartKey, list_parts
from compiler.snapshot.take import calls_of, list_assignments

ENOUGH: Final = 4000
"""Parts below which one process is as fast; measured, see docs/decisions/0014."""


class Computed(NamedTuple):
    """A part by its number, and what it was computed from."""

    number: int
    part: Part
    sources: tuple[tuple[str, Hashable], ...]


def compute_ahead(memo: Memo, proxies: Iterable[ResourceKey], processes: int) -> None:
    """Every part that these proxies want and that is not remembered; afterwards asking for it costs nothing."""
    if processes < 2:
        return
    wanted = [part for part in dict.fromkeys(_list_wanted(memo, proxies)) if memo.lacks(*part)]
    if len(wanted) < ENOUGH:
        return

    def compute(numbers: Sequence[int]) -> list[Computed]:
        return [Computed(one, memo.ask(*wanted[one]), memo.sources(*wanted[one])) for one in numbers]

    for found in map_shares(compute, range(len(wanted)), processes):
        for one in found:
            query, key = wanted[one.number]
            if memo.lacks(query, key):
                memo.adopt(query, key, one.part, one.sources)


def _list_wanted(memo: Memo, proxies: Iterable[ResourceKey]) -> Iterator[PartKey]:
    """What the parts lean on is resolved on the way: children answer with parts, and remember nothing else."""
    replicas = [replica for key in proxies if (replica := memo.ask(REPLICA, key)) is not None]
    for shape in dict.fromkeys(replica.shape for replica in replicas):
        yield from list_parts(memo.ask(PROXY, shape))
    for calls in dict.fromkeys(calls_of(memo, replica) for replica in replicas):
        for assignment in list_assignments(calls):
            memo.ask(ENDPOINTS, assignment.port)
            yield ASSIGNMENT, assignment
