"""The sizes that are measured, and everything else that decides what a workload looks like."""

from dataclasses import dataclass
from typing import Final, Literal

Graph = Literal["zipf", "kong", "full"]
Trimming = Literal["none", "services", "listed", "automatic"]


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

EVEN_REPLICAS: Final = 10
EVEN_CALLS: Final = 4
EVEN_PERIOD: Final = 10
"""Of even workloads every tenth service has the same protocol, ports and policies; so each has a multiple of ten."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Two equal shapes give the same repository, to the tree id.

    `even` is for exponents, where tiers may differ in size alone: ten replicas and four callers for every service, and
    as many services as give the tier's proxies. `per_dataplane` writes a file for each proxy instead of one
    DataplaneSet for each service. `trimming` is by the permissions, or by a list in each DataplaneSet, of backends or
    of the services of 2.x, or not at all.
    """

    tier: Tier
    graph: Graph = "zipf"
    seed: int = 1
    even: bool = False
    per_dataplane: bool = False
    trimming: Trimming = "automatic"

    @property
    def services(self) -> int:
        if not self.even:
            return self.tier.services
        return max(1, self.tier.proxies // (EVEN_REPLICAS * EVEN_PERIOD)) * EVEN_PERIOD

    @property
    def proxies(self) -> int:
        return self.services * EVEN_REPLICAS if self.even else self.tier.proxies

    @property
    def is_usual(self) -> bool:
        """What the goals are about: the default workload, in either layout of files and from any seed."""
        return (self.graph, self.even, self.trimming) == ("zipf", False, "automatic")
