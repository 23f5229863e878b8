"""The documents that may have a say in a field of a proxy: few, so that each can be tried."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from compiler.envoy.resources import ResourceType
from compiler.mesh.graph import is_proxy
from compiler.mesh.members import MEMBERS
from compiler.mesh.resolve import PROXY
from compiler.mesh.shape import REPLICA
from compiler.mesh.upstreams import destination_port
from compiler.resources.model import MeshZoneAddress, Policy, Resource, ResourceKey
from compiler.review.explaining.addresses import Field
from compiler.review.explaining.trial import Trial
from compiler.snapshot.take import causes_of

_MOST_SERVICES: Final = 24
_MOST_ENDPOINTS: Final = 24
_NOT_ASKED: Final = frozenset({"Secret", "Zone", "Mesh"})
_OF_ZONES: Final = frozenset({"ZoneIngress", "ZoneEgress", "MeshZoneAddress"})


def list_candidates(
    trial: Trial, proxy: ResourceKey, field: Field, resource: Any, selected: Sequence[ResourceKey]
) -> tuple[ResourceKey, ...]:
    """The most telling first: the policies behind the resource, those that hold for the proxy, then what it is about.

    Initial policies stand in no document, and are looked at when nothing else is left.
    """
    written = trial.resources.sources
    causes = [origin.policy for origin in causes_of(trial.memo, proxy, field.kind, field.name)]
    about = list(_list_named(trial, proxy, field, "\0".join(_texts(resource))))
    if any(key.type in _OF_ZONES for key in about):
        about += islice(_list_behind(trial, proxy, field.name), _MOST_ENDPOINTS)
    mesh = ResourceKey("Mesh", "", proxy.mesh)
    return tuple(key for key in dict.fromkeys(chain(causes, selected, [proxy], about, [mesh])) if key in written)


def _list_named(trial: Trial, proxy: ResourceKey, field: Field, text: str) -> Iterator[ResourceKey]:
    """Services and, for endpoints, what the resource has the address of: other proxies, ways into and out of a zone."""
    services = endpoints = 0
    for key, resource in trial.resources.resources.items():
        near = key.mesh == proxy.mesh or (key.type in _OF_ZONES and not key.mesh)
        if not near or key.type in _NOT_ASKED or isinstance(resource.spec, Policy):
            continue
        if is_proxy(resource) or key.type in _OF_ZONES:
            if field.kind is ResourceType.ENDPOINT and endpoints < _MOST_ENDPOINTS and _address(resource) in text:
                endpoints += 1
                yield key
        elif services < _MOST_SERVICES and resource.name in text:
            services += 1
            yield key


def _list_behind(trial: Trial, proxy: ResourceKey, cluster: str) -> Iterator[ResourceKey]:
    """What a way into or out of a zone leads to: proxies, of which nothing stands in what is listed, and other ways."""
    yield from (key for key in trial.resources.resources if key.type in _OF_ZONES and key.mesh in ("", proxy.mesh))
    replica = trial.memo.ask(REPLICA, proxy)
    upstreams = trial.memo.ask(PROXY, replica.shape).listed if replica is not None else ()
    for upstream in upstreams:
        if upstream.destination.name == cluster:
            members = trial.memo.ask(MEMBERS, destination_port(upstream.destination))
            yield from dict.fromkeys(member.dataplane for member in members)


def _address(called: Resource) -> str:
    """At which others call it; a MeshZoneAddress says nothing else."""
    if isinstance(called.spec, MeshZoneAddress):
        return called.spec.address
    networking = getattr(called.spec, "networking", None)
    return getattr(networking, "advertised_address", "") or getattr(networking, "address", "") or "\n"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


__all__ = ["list_candidates"]
