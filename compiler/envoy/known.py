"""What Kuma's documents call listeners and clusters of a proxy, and the tags that they have there (kuma-core §5.3)."""

from collections.abc import Iterable, Iterator
from typing import Final

from compiler.envoy.names import NO_DESTINATION_OUTBOUND, PASSTHROUGH_INBOUND, PASSTHROUGH_OUTBOUND
from compiler.envoy.patching import Seen
from compiler.envoy.resources import ResourceType
from compiler.mesh.calls import Inbound, Outbound
from compiler.mesh.destination import Destination
from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.proxy import Transparent
from compiler.resources.model import SERVICE

Tags = tuple[tuple[str, str], ...]

_UNIFIED: Final = "kuma.io/unified-name"
_TRANSPARENT: Final = ("transparent",)
_OF_POLICY: Final = {"MeshMetric": "prometheus", "MeshTrace": "tracing"}
"""Where Kuma 2 says that what a policy adds comes from, beside the policy itself."""
_PLACED: Final = (ResourceType.LISTENER, ResourceType.CLUSTER)


def inbound_listener_seen(inbound: Inbound, tags: Tags) -> Seen:
    service = dict(tags).get(SERVICE, "")
    return Seen(
        ResourceType.LISTENER,
        inbound.name,
        ("inbound",),
        (f"inbound:{inbound.address}:{inbound.port}",),
        (*tags, (_UNIFIED, inbound.name)),
        (f"inbound:{service}",) if service else (),
        (service,) if service else (),
    )


def inbound_cluster_seen(inbound: Inbound) -> Seen:
    return Seen(ResourceType.CLUSTER, inbound.name, ("inbound",), (f"localhost:{inbound.workload_port}",))


def outbound_listener_seen(outbound: Outbound) -> tuple[Seen, ...]:
    """What goes to no destination has a cluster of its own, which every part that wants it makes alike."""
    called = outbound.destination
    service = called.service.name
    listener = Seen(
        ResourceType.LISTENER,
        outbound.name,
        ("outbound",),
        (f"outbound:{outbound.address}:{outbound.port}",),
        ((SERVICE, service), (_UNIFIED, outbound.name), *called.subset),
        (f"outbound:{service}",),
        (service,),
    )
    return (listener,) if outbound.routes else (listener, _nowhere())


def outbound_cluster_seen(called: Destination, ports: Iterable[int], *, by_gateway: bool) -> Seen:
    """`ports` are the numbers of the service's port: Kuma 2 has them in its names."""
    origins = ("gateway", "outbound") if by_gateway else ("outbound",)
    return Seen(ResourceType.CLUSTER, called.name, origins, tuple(dict.fromkeys(_cluster_names(called, ports))))


def gateway_listener_seen(listener: GatewayListener) -> Seen:
    """Gateways' names are those of Kuma 2."""
    return Seen(ResourceType.LISTENER, listener.name, ("gateway",))


def _cluster_names(called: Destination, ports: Iterable[int]) -> Iterator[str]:
    if not called.subset:
        yield called.service.name
    kind, mesh, zone, namespace, rest = called.kri.removeprefix("kri_").split("_", 4)
    name = rest.rpartition("_")[0]
    for port in (called.section, *map(str, ports)):
        if port:
            yield f"{mesh}_{name}_{namespace}_{zone}_{kind}_{port}"
            yield f"{name}_{namespace}_svc_{port}"


def transparent_seen(transparent: Transparent) -> tuple[Seen, ...]:
    """The listeners and clusters of redirection; whatever else is there has the name that a policy gave it."""
    versions = (4, 6) if transparent.ipv6 else (4,)
    named = [
        Seen(kind, f"{prefix}{version}", _TRANSPARENT, (f"{short}:passthrough:ipv{version}",))
        for prefix, short in ((PASSTHROUGH_OUTBOUND, "outbound"), (PASSTHROUGH_INBOUND, "inbound"))
        for version in versions
        for kind in _PLACED
    ]
    others = (Seen(ResourceType.CLUSTER, "", (*_TRANSPARENT, "mesh-passthrough")),) if transparent.matches else ()
    return (*named, _nowhere(), *others)


def support_seen(policy: str) -> tuple[Seen, ...]:
    """What a policy adds comes from it (`mesh-metric`), whatever it is called."""
    own = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in policy).lstrip("-")
    return made_seen(own, *((_OF_POLICY[policy],) if policy in _OF_POLICY else ()))


def made_seen(*origins: str) -> tuple[Seen, ...]:
    """Whatever is made for one purpose, by any name."""
    return tuple(Seen(kind, "", origins) for kind in _PLACED)


def _nowhere() -> Seen:
    return Seen(ResourceType.CLUSTER, NO_DESTINATION_OUTBOUND, _TRANSPARENT)
