"""MeshLoadBalancingStrategy: how calls are spread over endpoints and zones (kuma-policies §2.7)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from msgspec import field

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.policy import Hooks, Policy, Site
from compiler.mesh.destination import Affinity, Failover, Spread
from compiler.mesh.policy import Matter, Need, Part, PolicyKind
from compiler.resources.findings import (
    BAD_VALUE,
    EXCLUSIVE_FIELDS,
    MISSING_FIELD,
    NO_EFFECT,
    UNSUPPORTED_TARGET,
    Finding,
    join,
)
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration, Percentage

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
_HASHING: Final = ("ringHash", "maglev")
_SUBJECTS: Final = {
    "Header": "header",
    "Cookie": "cookie",
    "Connection": "connection",
    "SourceIP": "",
    "QueryParameter": "queryParameter",
    "FilterState": "filterState",
}
_OF_REQUESTS: Final = {"Header": "header", "Cookie": "cookie", "QueryParameter": "query"}
_TENTH: Final = 9
"""Of ten calls nine stay with whom they have an affinity to, of each kind in turn."""


class Named(Spec, frozen=True):
    name: str = ""


class Cookie(Spec, frozen=True):
    name: str
    ttl: Duration | None = None
    path: str = ""


class Connection(Spec, frozen=True):
    source_ip: bool = field(default=False, name="sourceIP")


class Keyed(Spec, frozen=True):
    key: str


class HashPolicy(Spec, frozen=True):
    type: str
    terminal: bool = False
    header: Named | None = None
    cookie: Cookie | None = None
    connection: Connection | None = None
    query_parameter: Named | None = None
    filter_state: Keyed | None = None

    @property
    def by_address(self) -> bool:
        return self.type == "SourceIP" or (self.connection is not None and self.connection.source_ip)


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


class AffinityTag(Spec, frozen=True):
    key: str
    weight: int | None = None


class LocalZone(Spec, frozen=True):
    affinity_tags: tuple[AffinityTag, ...] = ()


class Zones(Spec, frozen=True):
    type: str = "Any"
    zones: tuple[str, ...] = ()


class FailoverRule(Spec, frozen=True):
    to: Zones
    from_: Zones = field(default=Zones(), name="from")


class Threshold(Spec, frozen=True):
    percentage: Percentage


class CrossZone(Spec, frozen=True):
    failover: tuple[FailoverRule, ...] = ()
    failover_threshold: Threshold | None = None


class LocalityAwareness(Spec, frozen=True):
    disabled: bool = False
    local_zone: LocalZone | None = None
    cross_zone: CrossZone | None = None


class Balancing(Spec, frozen=True):
    hash_policies: tuple[HashPolicy, ...] = ()
    load_balancer: LoadBalancer | None = None
    locality_awareness: LocalityAwareness = LocalityAwareness()


def set_balancer(conf: Balancing, cluster: Cluster, _: Site) -> None:
    balancer = conf.load_balancer
    if balancer is not None:
        cluster.lb_policy = _BALANCERS[balancer.type]
        _set_least_request(balancer, cluster)
        _set_ring(balancer, cluster)
        if balancer.type == "Maglev" and balancer.maglev.table_size is not None:
            cluster.maglev_lb_config.table_size.value = balancer.maglev.table_size
    local = conf.locality_awareness.local_zone
    if local is not None and not conf.locality_awareness.disabled:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()


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


def hash_requests(conf: Balancing, route: RouteAction, _: Site) -> None:
    for policy in hash_policies(conf):
        message = route.hash_policy.add(terminal=policy.terminal)
        if policy.by_address:
            message.connection_properties.source_ip = True
        elif policy.header is not None:
            message.header.header_name = policy.header.name
        elif policy.cookie is not None:
            message.cookie.name, message.cookie.path = policy.cookie.name, policy.cookie.path
            set_duration(message.cookie.ttl, policy.cookie.ttl)
        elif policy.query_parameter is not None:
            message.query_parameter.name = policy.query_parameter.name
        elif policy.filter_state is not None:
            message.filter_state.key = policy.filter_state.key


def hash_connections(conf: Balancing, proxy: TcpProxy, _: Site) -> None:
    """A connection has an address and what filters leave, and Envoy takes one of the two."""
    for policy in hash_policies(conf):
        if policy.by_address:
            proxy.hash_policy.add().source_ip.SetInParent()
            return
        if policy.filter_state is not None:
            proxy.hash_policy.add().filter_state.key = policy.filter_state.key
            return


def hash_policies(conf: Balancing) -> tuple[HashPolicy, ...]:
    """Where they stand now, else where Kuma had them before; a connection that says nothing is none."""
    balancer = conf.load_balancer
    older = (balancer.ring_hash.hash_policies or balancer.maglev.hash_policies) if balancer is not None else ()
    return tuple(one for one in conf.hash_policies or older if one.connection is None or one.connection.source_ip)


def shape_spread(conf: Balancing, tags: Mapping[str, str]) -> Spread:
    """What of it depends on the caller's tags; its zone is known where its endpoints are put together."""
    aware = conf.locality_awareness
    if aware.disabled:
        return Spread(disabled=True)
    local, across = aware.local_zone, aware.cross_zone
    return Spread(
        local_only=local is not None and across is None,
        affinities=tuple(_affinities(local, tags)) if local is not None else None,
        failovers=tuple(_failover(rule) for rule in across.failover) if across is not None else None,
        overprovisioning=_factor(across) if local is not None or across is not None else 0,
    )


def _affinities(local: LocalZone, tags: Mapping[str, str]) -> Iterator[Affinity]:
    count = len(local.affinity_tags)
    for index, tag in enumerate(local.affinity_tags):
        weight = tag.weight if tag.weight is not None else _TENTH * 10 ** (count - index - 1)
        if tag.key in tags:
            yield Affinity(tag.key, tags[tag.key], weight)


def _failover(rule: FailoverRule) -> Failover:
    return Failover(rule.to.type, tuple(sorted(rule.to.zones)), tuple(sorted(rule.from_.zones)))


def _factor(across: CrossZone | None) -> int:
    """In percent; Kuma cuts it to hundreds (kuma-policies §2.7)."""
    if across is None or across.failover_threshold is None:
        return 200
    return max(100, round(Decimal(10_000) / across.failover_threshold.percentage))


def label_keys(policy: PolicySpec) -> Iterator[str]:
    """Tags of the caller that decide."""
    for item in policy.to:
        local = ((item.default or {}).get("localityAwareness") or {}).get("localZone") or {}
        yield from (tag["key"] for tag in local.get("affinityTags") or ())


def hashes_requests(conf: Balancing) -> bool | None:
    """Other balancers look at no hash."""
    if not conf.hash_policies:
        return None
    return _hashes(conf)


def _hashes(conf: Balancing) -> bool:
    return conf.load_balancer is not None and conf.load_balancer.type in ("RingHash", "Maglev")


def decides(conf: Balancing) -> Collection[Matter]:
    """Envoy fails calls on panic where it has neither weights of localities nor a table of hashes."""
    aware = conf.locality_awareness
    weighted = aware.local_zone is not None and not aware.disabled
    return (Matter.PANIC,) if weighted or _hashes(conf) else ()


def unheard(conf: Conf, protocol: str) -> Mapping[Part, str]:
    """Of a connection Envoy hashes the first thing that it has (`hash_connections`)."""
    if protocol in HTTP:
        return {}
    balancer = conf.get("loadBalancer") or {}
    places: list[tuple[Part, Conf]] = [((), conf)]
    places += [(("loadBalancer", name), balancer.get(name) or {}) for name in _HASHING]
    return {
        (*place, "hashPolicies", index): why
        for place, written in places
        for index, why in _of_no_connection(written.get("hashPolicies") or ())
    }


def _of_no_connection(policies: Sequence[Conf]) -> Iterator[tuple[int, str]]:
    """What a hash policy lacks, by its place."""
    taken = False
    for index, policy in enumerate(policies):
        if policy["type"] in _OF_REQUESTS:
            yield index, f"a connection has no {_OF_REQUESTS[policy['type']]}"
        elif taken:
            yield index, "of a connection one thing is hashed, and that stands before this"
        else:
            taken = policy["type"] != "Connection" or bool((policy.get("connection") or {}).get("sourceIP"))


# --- Checks -------------------------------------------------------------------------------------------------------


def check(policy: PolicySpec) -> Iterator[Finding]:
    for index, item in enumerate(policy.to):
        conf, pointer = item.default or {}, join("", "to", index, "default")
        yield from _check_kind(policy.target_ref.kind, item.target_ref.kind, conf, join("", "to", index))
        yield from _check_balancer(conf, pointer)
        yield from _check_hashes(conf.get("hashPolicies") or (), join(pointer, "hashPolicies"))
        aware = conf.get("localityAwareness") or {}
        at = join(pointer, "localityAwareness")
        yield from _check_tags(((aware.get("localZone") or {}).get("affinityTags")) or (), at)
        across = aware.get("crossZone")
        if across is not None:
            target = item.target_ref
            if target.kind == "MeshService" and (target.section_name or target.labels):
                message = "a MeshService is of one zone: no call to it can go to another"
                yield Finding(join(at, "crossZone"), BAD_VALUE, message, "use a MeshMultiZoneService", on_key=True)
            yield from _check_across(across, join(at, "crossZone"))


def _check_kind(top: str, kind: str, conf: Conf, pointer: str) -> Iterator[Finding]:
    """What a conf may say depends on what it is for."""
    if kind == "MeshHTTPRoute":
        for name in sorted(conf.keys() - {"hashPolicies"}):
            message = f"{name} cannot differ from route to route"
            yield Finding(join(pointer, "default", name), BAD_VALUE, message, "set it for the service", on_key=True)
    elif top == "MeshGateway" and kind != "Mesh" and "loadBalancer" in conf:
        message = f"a policy for a MeshGateway has a loadBalancer for kind Mesh alone, not for a {kind}"
        hint = "set loadBalancer for kind Mesh, and the rest here"
        yield Finding(join(pointer, "targetRef", "kind"), UNSUPPORTED_TARGET, message, hint)


def _check_balancer(conf: Conf, pointer: str) -> Iterator[Finding]:
    balancer = conf.get("loadBalancer")
    if balancer is None:
        return
    at = join(pointer, "loadBalancer")
    for name in sorted(set(_BLOCKS.values()) & balancer.keys() - {_BLOCKS[balancer["type"]]}):
        message = f"{name} says nothing of a balancer of type {balancer['type']}"
        yield Finding(join(at, name), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    for name in _HASHING:
        older = (balancer.get(name) or {}).get("hashPolicies")
        if older is not None and "hashPolicies" in conf:
            message = "hashPolicies stand here and beside loadBalancer"
            yield Finding(join(at, name, "hashPolicies"), EXCLUSIVE_FIELDS, message, "keep the outer ones", on_key=True)
        yield from _check_hashes(older or (), join(at, name, "hashPolicies"))
    ring = balancer.get("ringHash") or {}
    if ring.get("minRingSize", 1) > ring.get("maxRingSize", 8_000_000):
        yield Finding(join(at, "ringHash", "minRingSize"), BAD_VALUE, "minRingSize is larger than maxRingSize")
    size = (balancer.get("maglev") or {}).get("tableSize")
    if size is not None and not _is_prime(size):
        hint = f"the next one is {next(one for one in range(size, 2 * size + 2) if _is_prime(one))}"
        yield Finding(join(at, "maglev", "tableSize"), BAD_VALUE, f"{size} is no prime", hint)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % one for one in range(2, int(number**0.5) + 1))


def _check_hashes(policies: Any, pointer: str) -> Iterator[Finding]:
    for index, policy in enumerate(policies):
        at, wanted = join(pointer, index), _SUBJECTS[policy["type"]]
        if wanted and wanted not in policy:
            yield Finding(at, MISSING_FIELD, f"a hash policy of type {policy['type']} needs {wanted}")
        for name in sorted((set(_SUBJECTS.values()) - {wanted, ""}) & policy.keys()):
            message = f"{name} says nothing in a hash policy of type {policy['type']}"
            yield Finding(join(at, name), NO_EFFECT, message, "take it out", on_key=True)
        if policy["type"] == "Connection" and not (policy.get("connection") or {}).get("sourceIP"):
            yield Finding(at, NO_EFFECT, "a connection without sourceIP decides nothing", "say sourceIP: true")


def _check_tags(tags: Any, pointer: str) -> Iterator[Finding]:
    weighted = ["weight" in tag for tag in tags]
    if any(weighted) and not all(weighted):
        at = join(pointer, "localZone", "affinityTags", weighted.index(False))
        yield Finding(at, MISSING_FIELD, "all affinity tags have a weight, or none has", "add a weight")


def _check_across(across: Conf, pointer: str) -> Iterator[Finding]:
    yield from _check_none(across.get("failover") or (), join(pointer, "failover"))
    for index, rule in enumerate(across.get("failover") or ()):
        kind, zones, at = rule["to"]["type"], rule["to"].get("zones"), join(pointer, "failover", index, "to", "zones")
        if kind in ("Any", "None") and zones:
            yield Finding(at, EXCLUSIVE_FIELDS, f"{kind} takes no zones", "take them out", on_key=True)
        if kind in ("Only", "AnyExcept") and not zones:
            yield Finding(join(pointer, "failover", index, "to"), MISSING_FIELD, f"{kind} needs zones", on_key=True)
    threshold = (across.get("failoverThreshold") or {}).get("percentage")
    if threshold is not None and not Percentage.parse(threshold):
        at = join(pointer, "failoverThreshold", "percentage")
        yield Finding(at, BAD_VALUE, "at 0 percent no call would ever leave the zone", "a percentage above 0")


def _check_none(rules: Sequence[Conf], pointer: str) -> Iterator[Finding]:
    """It adds no zone, and ends nothing: rules after it are asked as if it was not there (kuma-policies §8, 17)."""
    for index, rule in enumerate(rules):
        later = [other for other in rules[index + 1 :] if other["to"]["type"] != "None"]
        if rule["to"]["type"] == "None" and any(_share(rule, other) for other in later):
            message = "None does not end the list: a rule after it lets the same callers leave their zone"
            yield Finding(join(pointer, index, "to", "type"), NO_EFFECT, message, "name other zones under from")


def _share(one: Conf, other: Conf) -> bool:
    """Whether some zone calls by both; without `from` all zones do."""
    ours, theirs = (set((rule.get("from") or {}).get("zones") or ()) for rule in (one, other))
    return not ours or not theirs or not ours.isdisjoint(theirs)


POLICY: Final = Policy(
    PolicyKind(
        type="MeshLoadBalancingStrategy",
        conf=Balancing,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh", "MeshService", "MeshMultiZoneService", "MeshHTTPRoute"}),
            to_under={"MeshGateway": frozenset({"Mesh", "MeshService", "MeshMultiZoneService"})},
        ),
        outbound=True,
        routes=True,
        shape_spread=shape_spread,
        label_keys=label_keys,
        check=check,
        unheard=unheard,
        matters=frozenset({Matter.PANIC}),
        decides=decides,
        needs=(
            Need(
                ("hashPolicies",),
                hashes_requests,
                "only a balancer of type RingHash or Maglev looks at hashPolicies",
                "set loadBalancer for the service, or take them out",
            ),
        ),
    ),
    Hooks(cluster=set_balancer, route=hash_requests, tcp=hash_connections),
)
