"""The services of a workload and where their replicas stand: what the documents and the edits are written from."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Final

from benchmarks.graph import Calls, draw_calls
from benchmarks.tiers import EVEN_PERIOD, EVEN_REPLICAS, Shape

ZONES: Final = ("east", "north", "west")
_MOST_REPLICAS: Final = 200
_TEAM_SIZE: Final = 25
_INBOUND_TIMEOUTS: Final = 0.35
_OUTBOUND_TIMEOUTS: Final = 0.25
_ROUTES: Final = 0.57
"""Six services of ten call an HTTP service, and half call two: this gives 0.5 timeouts and 0.3 routes a service."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One proxy; its name follows the service's."""

    name: str
    address: str
    zone: str


OTHERS: Final = {
    "rate-limit": 0.2,
    "fault": 0.1,
    "health-check": 0.1,
    "load-balancing": 0.08,
    "proxy-patch": 0.02,
}
"""How many of a service there are on average."""
_EVEN_OTHERS: Final = {
    "rate-limit": {0, 5},
    "fault": {3},
    "health-check": {7},
    "load-balancing": {9},
    "proxy-patch": set[int](),
}


@dataclass(frozen=True, slots=True)
class Service:
    """`calls` and `callers` are indexes; the flags say which policies it has, if it calls what they are about.

    `others` are the names in `OTHERS` of policies that few services have.
    """

    index: int
    name: str
    team: str
    protocol: str
    two_ports: bool
    replicas: tuple[Replica, ...]
    calls: tuple[int, ...]
    callers: tuple[int, ...]
    inbound_timeout: bool
    outbound_timeout: bool
    route: bool
    retry: bool
    others: frozenset[str] = frozenset()

    @property
    def folder(self) -> str:
        return f"teams/{self.team}/{self.name}"


@dataclass(frozen=True)
class Fleet:
    """All of a workload; equal shapes give equal fleets."""

    shape: Shape
    services: tuple[Service, ...] = field(repr=False)

    @cached_property
    def hub(self) -> Service:
        """The service with the most callers."""
        return max(self.services, key=lambda service: (len(service.callers), -service.index))

    @cached_property
    def median(self) -> Service:
        """Of the HTTP services that are called and call an HTTP service, the one of the middle by replicas.

        In even workloads all have the same number, and the first stands at the same place of the pattern in any tier.
        """
        fit = [service for service in self.services if service.callers and self.http_calls(service)]
        fit = [service for service in fit if service.protocol == "http" and service is not self.hub]
        if self.shape.even:
            return fit[0]
        ordered = sorted(fit or self.services, key=lambda service: (len(service.replicas), service.index))
        return ordered[len(ordered) // 2]

    def http_calls(self, service: Service) -> tuple[Service, ...]:
        """The destinations whose requests can be routed one by one."""
        targets = (self.services[target] for target in service.calls)
        return tuple(target for target in targets if target.protocol != "tcp")

    @property
    def node_ids(self) -> tuple[str, ...]:
        return tuple(f"default.{service.name}-{replica.name}" for service, replica in self.proxies())

    def proxies(self) -> Iterator[tuple[Service, Replica]]:
        for service in self.services:
            for replica in service.replicas:
                yield service, replica


def draw_fleet(shape: Shape) -> Fleet:
    """Separate sources of chance, so that a change of one part of the generator leaves the other parts as they were."""
    calls = draw_calls(shape, Random(f"{shape.seed}/calls"))
    counts = _draw_counts(shape, Random(f"{shape.seed}/replicas"))
    starts = [0, *accumulate(counts)]
    random = Random(f"{shape.seed}/services")
    callers = _invert(calls)
    drawn = [
        _draw_service(index, calls, callers, _place(starts[index], counts[index]), random)
        for index in range(shape.services)
    ]
    others = Random(f"{shape.seed}/others")
    drawn = [replace(service, others=_draw_others(others)) for service in drawn]
    return Fleet(shape, tuple(map(_repeat_pattern, drawn) if shape.even else drawn))


def _draw_others(random: Random) -> frozenset[str]:
    return frozenset(name for name, share in OTHERS.items() if random.random() < share)


def name_service(index: int) -> str:
    return f"svc-{index:05d}"


def place_replica(number: int, name: str) -> Replica:
    """Addresses count up from 10.0.0.1; zones take turns."""
    number += 1
    return Replica(name, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", ZONES[number % len(ZONES)])


def _place(start: int, count: int) -> tuple[Replica, ...]:
    return tuple(place_replica(start + each, str(each)) for each in range(count))


def _invert(calls: Calls) -> Calls:
    callers: list[list[int]] = [[] for _ in calls]
    for caller, targets in enumerate(calls):
        for target in targets:
            callers[target].append(caller)
    return tuple(map(tuple, callers))


def _draw_counts(shape: Shape, random: Random) -> list[int]:
    """Log-normal, between 1 and 200, exactly as many in all as the tier has proxies."""
    services = shape.services
    if shape.even:
        return [EVEN_REPLICAS] * services
    weights = [random.lognormvariate(0, 1) for _ in range(services)]
    scale = shape.proxies / sum(weights)
    counts = [min(_MOST_REPLICAS, max(1, round(weight * scale))) for weight in weights]
    while missing := shape.proxies - sum(counts):
        step = 1 if missing > 0 else -1
        open_ones = [index for index, count in enumerate(counts) if 1 <= count + step <= _MOST_REPLICAS]
        for index in open_ones[: abs(missing)]:
            counts[index] += step
    return counts


def _draw_service(index: int, calls: Calls, callers: Calls, replicas: tuple[Replica, ...], random: Random) -> Service:
    protocol = random.choices(("http", "grpc", "tcp"), (70, 20, 10))[0]
    timeout = random.random()
    return Service(
        index=index,
        name=name_service(index),
        team=f"team-{index // _TEAM_SIZE:03d}",
        protocol=protocol,
        two_ports=random.random() < 0.15,
        replicas=replicas,
        calls=calls[index],
        callers=callers[index],
        inbound_timeout=timeout < _INBOUND_TIMEOUTS,
        outbound_timeout=_INBOUND_TIMEOUTS <= timeout < _INBOUND_TIMEOUTS + _OUTBOUND_TIMEOUTS,
        route=random.random() < _ROUTES,
        retry=random.random() < 0.3,
    )


def _repeat_pattern(service: Service) -> Service:
    """What chance decides elsewhere follows from the place in the pattern, so that neighbourhoods are alike."""
    place = service.index % EVEN_PERIOD
    return replace(
        service,
        protocol="grpc" if place in {3, 8} else "tcp" if place == 6 else "http",
        two_ports=place == 5,
        inbound_timeout=place in {1, 4, 7},
        outbound_timeout=place in {2, 9},
        route=place in {0, 1, 4, 6, 7, 8},
        retry=place in {2, 5, 8},
        others=frozenset(name for name, places in _EVEN_OTHERS.items() if place in places),
    )
