"""Who calls whom: for each service the services it calls, by index, sorted."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from random import Random

from benchmarks.tiers import EVEN_CALLS, Shape

Calls = tuple[tuple[int, ...], ...]

_LEAVES = 0.39
_MEAN_CALLS = 4.0
_P99_CALLS = 30.0
_P99_NORMAL_OF_CALLERS = 2.135
"""The quantile of the normal distribution at 1 - 0.01 / 0.61: a hundredth of all services are callers beyond it."""
_EXPONENT = 1.1
_HUB_REACH = 0.30


def draw_calls(shape: Shape, random: Random) -> Calls:
    """The graph that the shape names."""
    count = shape.services
    if shape.even:
        return tuple(_sorted((caller + step) % count for step in range(1, EVEN_CALLS + 1)) for caller in range(count))
    match shape.graph:
        case "zipf":
            return _zipf(count, random)
        case "kong":
            return _kong(count, random)
        case "full":
            return tuple(_sorted(set(range(count)) - {caller}) for caller in range(count))


def _sorted(targets: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(targets))


def _kong(count: int, random: Random) -> Calls:
    """An edge from i to j, later in the order, with probability 0.5/(j-i), as in Kong's published test.

    Drawn from edge to edge: the logarithm of the chance that there is none up to a distance is summed beforehand, and
    each distance follows from where an exponential number falls in it. Looking at every pair would be quadratic.
    """
    hazards = [0.0, *accumulate(-math.log1p(-0.5 / distance) for distance in range(1, count))]
    return tuple(tuple(_draw_later(caller, hazards, random)) for caller in range(count))


def _draw_later(caller: int, hazards: Sequence[float], random: Random) -> Iterator[int]:
    distance = 0
    while True:
        distance = bisect_left(hazards, hazards[distance] + random.expovariate(1), distance + 1)
        if caller + distance >= len(hazards):
            return
        yield caller + distance


def _zipf(count: int, random: Random) -> Calls:
    """Few services are called by many: out-degrees log-normal, targets by rank in a random order, the first the hub."""
    ranked = list(range(count))
    random.shuffle(ranked)
    degrees = [_draw_degree(random, count - 1) for _ in range(count)]
    cumulated = list(accumulate(_weights(count, _flatten(degrees, count))))
    return tuple(_draw_targets(caller, degree, ranked, cumulated, random) for caller, degree in enumerate(degrees))


def _draw_degree(random: Random, most: int) -> int:
    """Mean 4 and p99 30 over all services, of which 39 % call nobody."""
    if random.random() < _LEAVES:
        return 0
    mean = math.log(_MEAN_CALLS / (1 - _LEAVES))
    quantile = _P99_NORMAL_OF_CALLERS
    sigma = quantile - math.sqrt(quantile**2 - 2 * (math.log(_P99_CALLS) - mean))
    return min(most, max(1, round(random.lognormvariate(mean - sigma**2 / 2, sigma))))


def _flatten(degrees: Sequence[int], count: int) -> float:
    """How far the ranks are shifted so that the first is reached by the hub's share of services, as far as can be."""
    low, high = 0.0, 10.0 * count
    for _ in range(40):
        middle = (low + high) / 2
        weights = _weights(count, middle)
        first = weights[0] / sum(weights)
        reach = sum(1 - (1 - first) ** degree for degree in degrees) / count
        low, high = (middle, high) if reach > _HUB_REACH else (low, middle)
    return low


def _weights(count: int, shift: float) -> list[float]:
    return [(rank + 1 + shift) ** -_EXPONENT for rank in range(count)]


def _draw_targets(
    caller: int, degree: int, ranked: Sequence[int], cumulated: Sequence[float], random: Random
) -> tuple[int, ...]:
    """Distinct ones, without the caller; a caller of nearly everything takes the likeliest instead of drawing on."""
    targets: set[int] = set()
    for _ in range(50 * degree):
        if len(targets) == degree:
            break
        targets.add(ranked[bisect_left(cumulated, random.random() * cumulated[-1])])
        targets.discard(caller)
    rest = (target for target in ranked if target != caller and target not in targets)
    return _sorted(targets | {next(rest) for _ in range(degree - len(targets))})
