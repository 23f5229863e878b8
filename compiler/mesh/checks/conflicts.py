"""Routes that say different things of the same requests, of which one wins by its name alone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo, Query
from compiler.mesh.graph import ALIKE, RESOURCE
from compiler.mesh.merge import merge_confs
from compiler.mesh.rule_marks import marked_rules
from compiler.resources.findings import Finding
from compiler.resources.model import Conf, Resource, ResourceKey

ROUTE_CONFLICT: Final = Code(
    "route-conflict",
    Severity.WARNING,
    "two routes that say different things of the same requests",
    "Two routes of equal precedence, for some of the same proxies and the same destination, have a rule with the same "
    "matches, and the rules differ. The route whose name comes first in the alphabet wins. Both places are reported.",
)


def check_conflicts(memo: Memo, route: Resource, meet: Callable[[Resource], bool]) -> Iterator[Finding]:
    """`meet` says whether some proxy has this route and the other one."""
    for one in marked_rules(route):
        for key in sorted(memo.read(ALIKE, (route.key.mesh, one.mark)) - {route.key}):
            other = memo.read(RESOURCE, key)
            theirs = memo.ask(CONFS_BY_MARK, key).get(one.mark, ())
            if other is None or not any(_differ(one.conf, conf) for conf in theirs) or not meet(other):
                continue
            wins = "this one" if (route.name, route.key) < (other.name, other.key) else repr(other.name)
            message = f"{key.type} {other.name!r} says something else of the same requests; {wins} wins by its name"
            yield Finding(one.pointer, ROUTE_CONFLICT, message, "make one of the two more specific, or merge them")


def _differ(one: Conf, other: Conf) -> bool:
    """Two rules that add to each other do not."""
    return one != other and merge_confs([one, other]) != merge_confs([other, one])


def _confs_by_mark(memo: Memo, key: ResourceKey) -> Mapping[str, tuple[Conf, ...]]:
    route = memo.read(RESOURCE, key)
    found: dict[str, tuple[Conf, ...]] = {}
    for rule in marked_rules(route) if route is not None else ():
        found[rule.mark] = (*found.get(rule.mark, ()), rule.conf)
    return found


CONFS_BY_MARK: Final[Query[ResourceKey, Mapping[str, tuple[Conf, ...]]]] = Query("confs by mark", _confs_by_mark)
"""What the rules of a route say, which each route that is like it asks."""
