"""The sizes that are measured, and everything else that decides what a workload looks like."""

from dataclasses import dataclass
from typing import Final, Literal

Graph = Literal["zipf", "kong", "full"]


@dataclass(frozen=True, slots=True)
class Tier:
    """So many services, with so many proxies between them."""

    name: str
    services: int
    proxies: int


TIERS: Final = {
    tier.name: tier
    for tier in (
        Tier("S", 10, 30),
        Tier("M", 100, 1_000),
        Tier("K", 1_000, 2_000),
        Tier("L", 1_000, 10_000),
        Tier("XL", 10_000, 100_000),
    )
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Two equal shapes give the same repository, to the tree id.

    `even` is for exponents, where tiers may differ in size alone: ten replicas and four callers for every service.
    `per_dataplane` writes a file for each proxy instead of one DataplaneSet for each service.
    """

    tier: Tier
    graph: Graph = "zipf"
    seed: int = 1
    even: bool = False
    per_dataplane: bool = False

    @property
    def proxies(self) -> int:
        return self.tier.services * EVEN_REPLICAS if self.even else self.tier.proxies


EVEN_REPLICAS: Final = 10
EVEN_CALLS: Final = 4
