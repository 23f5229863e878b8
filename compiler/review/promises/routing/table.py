"""Which route of a table takes a request, and the shares of those that take it by chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from envoy.type.v3.percent_pb2 import FractionalPercent

from compiler.review.promises.routing.answer import CannotTell, Taken
from compiler.review.promises.routing.match import Request, find_host, matches_route

_KINDS: Final = FractionalPercent.DenominatorType
_DENOMINATORS: Final = {_KINDS.HUNDRED: 100, _KINDS.TEN_THOUSAND: 10_000, _KINDS.MILLION: 1_000_000}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A route that takes this share of the requests; `host` and `route` are None where there is none (404)."""

    share: Fraction
    host: Any = None
    route: Any = None
    taken: Taken | None = None


def fraction_of(percent: Any) -> Fraction:
    return Fraction(min(percent.numerator, _DENOMINATORS[percent.denominator]), _DENOMINATORS[percent.denominator])


def choose(table: Any, request: Request) -> Iterator[Chosen]:
    """The first route that matches; one with a runtime fraction leaves the rest of the requests to those after it.

    One number is drawn for a request, so that a second fraction of one half takes nothing that a first left over.
    """
    host = find_host(table, request.authority)
    left = Fraction(0)
    for index, route in enumerate(host.routes if host is not None else ()):
        if not matches_route(route.match, request):
            continue
        bound = fraction_of(route.match.runtime_fraction.default_value) if _is_drawn(route) else Fraction(1)
        if bound > left:
            yield Chosen(bound - left, host, route, Taken(table.name, host.name, index))
            left = bound
        if left == 1:
            return
    yield Chosen(1 - left)


def _is_drawn(route: Any) -> bool:
    return bool(route.match.HasField("runtime_fraction"))


def clusters_of(action: Any) -> Iterator[tuple[Fraction, str, Any]]:
    """The clusters that a route forwards to, with their shares, and what each weighted one changes by itself."""
    match action.WhichOneof("cluster_specifier"):
        case "cluster":
            yield Fraction(1), action.cluster, None
        case "weighted_clusters":
            weighted = [one for one in action.weighted_clusters.clusters if one.weight.value]
            total = sum(one.weight.value for one in weighted)
            for one in weighted:
                yield Fraction(one.weight.value, total), one.name, one
        case other:
            raise CannotTell(f"a route forwards by {other}, which the Python engine does not know")
