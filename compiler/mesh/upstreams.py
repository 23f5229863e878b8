"""What a proxy connects to: the destinations of its calls, by which TLS, and how calls are spread over zones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from msgspec.structs import replace

from compiler.memo import Memo
from compiler.mesh.calls import Inbound, Outbound, Tls, Upstream
from compiler.mesh.destination import Destination
from compiler.mesh.kinds import find_kind
from compiler.mesh.routing import CONFS, Caller, routing_to
from compiler.mesh.services import Port
from compiler.mesh.shape import version_of
from compiler.mesh.value import Confs
from compiler.resources.model import Dataplane, Resource

_IPV6: Final = 6


def list_upstreams(memo: Memo, calls: Sequence[Outbound], calling: Caller, confs: Confs) -> Iterator[Upstream]:
    """Every destination that some outbound or route leads to, with what holds for its connections; by name."""
    found = {destination.name: destination for destination in list_destinations(calls)}
    for _, destination in sorted(found.items()):
        held = memo.ask(CONFS, routing_to(memo, calling, destination_port(destination)))
        yield Upstream(destination, held + confs if confs else held)


def joined(upstreams: Sequence[Upstream]) -> tuple[Upstream, ...]:
    """One for each cluster, by name."""
    found = {one.destination.name: one for one in upstreams}
    return tuple(found.values()) if len(found) == len(upstreams) else tuple(found[name] for name in sorted(found))


def spoken(upstream: Upstream, own: Tls | None, inbounds: Sequence[Inbound], caller: Resource) -> Upstream:
    """Versions and ciphers are the same for all of a mesh, so a proxy calls as it is called; with nothing, plainly.

    What every certificate of the Mesh's backend comes to is left out: callers share their clusters then.
    """
    destination = upstream.destination
    if not destination.secured:
        found = looked_up(destination, caller)
        return replace(upstream, destination=found) if found is not destination else upstream
    if own is None:
        return replace(upstream, destination=replace(destination, secured=False, identities=()))
    said = next((one.tls for one in inbounds if one.tls is not None and not one.tls.is_plain), own)
    tls = replace(said, permissive=False)
    return replace(upstream, tls=tls) if tls != Tls(destination.mesh) else upstream


def looked_up(destination: Destination, caller: Resource) -> Destination:
    """As the proxy that calls looks up the names of what is outside of the mesh: by its own version of IP first."""
    address = cast(Dataplane, caller.spec).networking.address
    if destination.outside is None or version_of(address) != _IPV6:
        return destination
    return replace(destination, outside=replace(destination.outside, by_ipv6=True))


def spread(memo: Memo, upstream: Upstream, caller: Resource) -> Upstream:
    """With what policies say of the zones of its endpoints."""
    for applied in upstream.confs:
        shape = find_kind(memo, applied.policy).shape_spread
        if shape is not None:
            upstream = replace(upstream, spread=shape(applied.conf, _shown_tags(caller)))
    return upstream


def _shown_tags(resource: Resource) -> Mapping[str, str]:
    """A tag is that of the first inbound that has it, before a label of the same name."""
    tags = dict(resource.labels)
    for tag_set in reversed(cast(Dataplane, resource.spec).tag_sets):
        tags.update(tag_set)
    return tags


def list_destinations(calls: Iterable[Outbound]) -> Iterator[Destination]:
    """All that calls may lead to, as often as they do."""
    for call in calls:
        yield call.destination
        yield from (backend.destination for backend in call.backends if backend.destination is not None)
        for route in call.routes:
            yield from (backend.destination for backend in route.backends if backend.destination is not None)
            yield from (mirror.destination for mirror in route.mirrors)


def destination_port(destination: Destination) -> Port:
    """The place that a destination was made from."""
    return Port(destination.service, destination.section, destination.subset)
