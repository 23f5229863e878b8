"""Which requests of which calls a rule of a route is about: of two rules with one mark, names alone decide."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from compiler.mesh.merge import match_key
from compiler.mesh.order import items_of
from compiler.resources.model import Conf, Policy, Resource


class Marked(NamedTuple):
    """A rule of a route; `pointer` is relative to its spec."""

    mark: str
    pointer: str
    conf: Conf


def marked_rules(policy: Resource) -> Iterator[Marked]:
    """Those of one route, in order; none of a policy that is none."""
    if not isinstance(policy.spec, Policy) or all(item.rules is None for item in policy.spec.to):
        return
    for item in items_of(policy, "to"):
        if item.item is not None and item.item.rules is not None:
            about = msgspec.json.encode((policy.key.type, item.rank, item.target, item.item.hostnames)).decode()
            for index, rule in enumerate(item.item.rules):
                mark = f"{about}{match_key(rule.get('matches') or ())}"
                yield Marked(mark, f"{item.origin.pointer}/rules/{index}", rule.get("default") or {})
