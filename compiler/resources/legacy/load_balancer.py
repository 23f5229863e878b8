"""The load balancer of a TrafficRoute to a MeshLoadBalancingStrategy."""

from collections.abc import Mapping
from typing import Any, Final

from compiler.resources.findings import join
from compiler.resources.legacy.said import Said, given

_TYPES: Final[Mapping[str, str]] = {
    "roundRobin": "RoundRobin",
    "leastRequest": "LeastRequest",
    "ringHash": "RingHash",
    "random": "Random",
    "maglev": "Maglev",
}
_HASHES: Final[Mapping[str, str]] = {"XX_HASH": "XXHash", "MURMUR_HASH_2": "MurmurHash2"}


def read_load_balancer(conf: Mapping[str, Any], at: str) -> Said | None:
    """None where the policy names none."""
    balancer, at = conf.get("loadBalancer"), join(at, "loadBalancer")
    if not balancer:
        return None
    ((name, settings),) = balancer.items()
    said = {field: Said(value, join(at, name, field)) for field, value in settings.items()}
    said = _ring(said) if name == "ringHash" else said
    return Said({"loadBalancer": given({"type": _TYPES[name], name: said})}, at)


def _ring(said: Mapping[str, Said]) -> dict[str, Said]:
    sizes = {field: one.with_value(int(one.value)) for field, one in said.items() if field != "hashFunction"}
    function = said.get("hashFunction")
    named = {"hashFunction": function.with_value(_HASHES[function.value])} if function else {}
    return named | sizes
