"""What MeshLoadBalancingStrategy does to clusters, routes and connections, what is wrong in one, whom it is about."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from compiler.envoy.clusters import HTTP
from compiler.envoy.policy import Hooks, Policy, Site
from compiler.mesh.destination import Spread
from compiler.mesh.policy import Matter, Need, Part, PolicyKind
from compiler.policies.mesh_load_balancing_strategy import balancer, hashing, locality
from compiler.resources.findings import BAD_VALUE, UNSUPPORTED_TARGET, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix


class Balancing(Spec, frozen=True):
    hash_policies: tuple[hashing.HashPolicy, ...] = ()
    load_balancer: balancer.LoadBalancer | None = None
    locality_awareness: locality.LocalityAwareness = locality.LocalityAwareness()


def set_balancer(conf: Balancing, cluster: Cluster, _: Site) -> None:
    if conf.load_balancer is not None:
        balancer.set_balancer(conf.load_balancer, cluster)
    local = conf.locality_awareness.local_zone
    if local is not None and not conf.locality_awareness.disabled:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()


def hash_requests(conf: Balancing, route: RouteAction, _: Site) -> None:
    hashing.hash_requests(hash_policies(conf), route)


def hash_connections(conf: Balancing, proxy: TcpProxy, _: Site) -> None:
    hashing.hash_connections(hash_policies(conf), proxy)


def hash_policies(conf: Balancing) -> tuple[hashing.HashPolicy, ...]:
    """Where they stand now, else where Kuma had them before; a connection that says nothing is none."""
    chosen = conf.load_balancer
    older = (chosen.ring_hash.hash_policies or chosen.maglev.hash_policies) if chosen is not None else ()
    return tuple(one for one in conf.hash_policies or older if one.connection is None or one.connection.source_ip)


def shape_spread(conf: Balancing, tags: Mapping[str, str]) -> Spread:
    return locality.shape_spread(conf.locality_awareness, tags)


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
    chosen = conf.get("loadBalancer") or {}
    places: list[tuple[Part, Conf]] = [((), conf)]
    places += [(("loadBalancer", name), chosen.get(name) or {}) for name in balancer.HASHING]
    return {
        (*place, "hashPolicies", index): why
        for place, written in places
        for index, why in hashing.of_no_connection(written.get("hashPolicies") or ())
    }


# --- Checks -------------------------------------------------------------------------------------------------------


def check(policy: PolicySpec) -> Iterator[Finding]:
    for index, item in enumerate(policy.to):
        conf, pointer = item.default or {}, join("", "to", index, "default")
        yield from _check_kind(policy.target_ref.kind, item.target_ref.kind, conf, join("", "to", index))
        yield from balancer.check_balancer(conf, pointer)
        yield from hashing.check_hashes(conf.get("hashPolicies") or (), join(pointer, "hashPolicies"))
        aware = conf.get("localityAwareness") or {}
        yield from locality.check_locality(aware, item.target_ref, join(pointer, "localityAwareness"))


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
