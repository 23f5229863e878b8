"""How one endpoint is chosen among those that are alike."""

from collections.abc import Iterator
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from compiler.policies.mesh_load_balancing_strategy.hashing import HashPolicy, check_hashes
from compiler.resources.findings import BAD_VALUE, EXCLUSIVE_FIELDS, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.values import Percentage

_BALANCERS: Final = {
    "RoundRobin": Cluster.LbPolicy.ROUND_ROBIN,
    "LeastRequest": Cluster.LbPolicy.LEAST_REQUEST,
    "RingHash": Cluster.LbPolicy.RING_HASH,
    "Random": Cluster.LbPolicy.RANDOM,
    "Maglev": Cluster.LbPolicy.MAGLEV,
}
_BLOCKS: Final = {
    "RoundRobin": "roundRobin",
    "LeastRequest": "leastRequest",
    "RingHash": "ringHash",
    "Random": "random",
    "Maglev": "maglev",
}
HASHING: Final = ("ringHash", "maglev")


class LeastRequest(Spec, frozen=True):
    choice_count: int | None = None
    active_request_bias: Percentage | None = None


class RingHash(Spec, frozen=True):
    hash_function: str = "XXHash"
    min_ring_size: int | None = None
    max_ring_size: int | None = None
    hash_policies: tuple[HashPolicy, ...] = ()


class Maglev(Spec, frozen=True):
    table_size: int | None = None
    hash_policies: tuple[HashPolicy, ...] = ()


class LoadBalancer(Spec, frozen=True):
    type: str
    least_request: LeastRequest = LeastRequest()
    ring_hash: RingHash = RingHash()
    maglev: Maglev = Maglev()


def set_balancer(balancer: LoadBalancer, cluster: Cluster) -> None:
    cluster.lb_policy = _BALANCERS[balancer.type]
    _set_least_request(balancer, cluster)
    _set_ring(balancer, cluster)
    if balancer.type == "Maglev" and balancer.maglev.table_size is not None:
        cluster.maglev_lb_config.table_size.value = balancer.maglev.table_size


def _set_least_request(balancer: LoadBalancer, cluster: Cluster) -> None:
    if balancer.type != "LeastRequest":
        return
    conf = balancer.least_request
    if conf.choice_count is not None:
        cluster.least_request_lb_config.choice_count.value = conf.choice_count
    if conf.active_request_bias is not None:
        cluster.least_request_lb_config.active_request_bias.default_value = float(conf.active_request_bias)
        cluster.least_request_lb_config.active_request_bias.runtime_key = _BIAS_KEY


_BIAS_KEY: Final = "load_balancing.least_request.active_request_bias"
"""Envoy refuses a value that no runtime key could change."""


def _set_ring(balancer: LoadBalancer, cluster: Cluster) -> None:
    if balancer.type != "RingHash":
        return
    ring, functions = cluster.ring_hash_lb_config, Cluster.RingHashLbConfig.HashFunction
    conf = balancer.ring_hash
    ring.hash_function = functions.MURMUR_HASH_2 if conf.hash_function == "MurmurHash2" else functions.XX_HASH
    if conf.min_ring_size is not None:
        ring.minimum_ring_size.value = conf.min_ring_size
    if conf.max_ring_size is not None:
        ring.maximum_ring_size.value = conf.max_ring_size


def check_balancer(conf: Conf, pointer: str) -> Iterator[Finding]:
    balancer = conf.get("loadBalancer")
    if balancer is None:
        return
    at = join(pointer, "loadBalancer")
    for name in sorted(set(_BLOCKS.values()) & balancer.keys() - {_BLOCKS[balancer["type"]]}):
        message = f"{name} says nothing of a balancer of type {balancer['type']}"
        yield Finding(join(at, name), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    for name in HASHING:
        older = (balancer.get(name) or {}).get("hashPolicies")
        if older is not None and "hashPolicies" in conf:
            message = "hashPolicies stand here and beside loadBalancer"
            yield Finding(join(at, name, "hashPolicies"), EXCLUSIVE_FIELDS, message, "keep the outer ones", on_key=True)
        yield from check_hashes(older or (), join(at, name, "hashPolicies"))
    ring = balancer.get("ringHash") or {}
    if ring.get("minRingSize", 1) > ring.get("maxRingSize", 8_000_000):
        yield Finding(join(at, "ringHash", "minRingSize"), BAD_VALUE, "minRingSize is larger than maxRingSize")
    size = (balancer.get("maglev") or {}).get("tableSize")
    if size is not None and not _is_prime(size):
        hint = f"the next one is {next(one for one in range(size, 2 * size + 2) if _is_prime(one))}"
        yield Finding(join(at, "maglev", "tableSize"), BAD_VALUE, f"{size} is no prime", hint)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % one for one in range(2, int(number**0.5) + 1))
