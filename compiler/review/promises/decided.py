"""Which lines of the repository decided what became of a request."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from compiler.envoy.gateways import count_routes
from compiler.envoy.names import permission_name
from compiler.envoy.policy import HOOKS
from compiler.envoy.resources import ResourceType
from compiler.envoy.routes import outbound_routes
from compiler.memo import Memo
from compiler.mesh.http_route import HttpRoute
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Proxy
from compiler.mesh.resolve import PROXY
from compiler.mesh.shape import REPLICA
from compiler.resources.model import ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.review.promises.routing.answer import Taken
from compiler.snapshot.take import causes_of


@dataclass(frozen=True)
class Deciders:
    """Over one version: its resources, what its memo answers, and the resource behind each node id.

    The routes of a table, each as often as Envoy has it, are remembered as long as a report is made.
    """

    resources: ResourceSet
    memo: Memo
    find_key: Callable[[str], ResourceKey | None]
    _places: dict[tuple[str, str, str], tuple[HttpRoute, ...]] = field(default_factory=dict, repr=False, compare=False)

    def route(self, node: str, taken: Taken) -> tuple[str, ...]:
        """Where a route was written; nothing where no document is about it."""
        route = self._route(node, taken)
        return self._say(route.origins) if route is not None else ()

    def conf(self, node: str, taken: Taken, policy: str) -> tuple[str, ...]:
        """Where a policy says what holds for the route."""
        route = self._route(node, taken)
        confs = route.confs if route is not None else ()
        return self._say(origin for one in confs if one.policy == policy for origin in one.origins)

    def permissions(self, node: str) -> tuple[str, ...]:
        """Where the permissions of a proxy's inbounds were written."""
        key = self.find_key(node)
        replica = self.memo.ask(REPLICA, key) if key is not None else None
        if key is None or replica is None:
            return ()
        names = [inbound.name for inbound in self.memo.ask(PROXY, replica.shape).inbounds]
        kinds = [(ResourceType.EXTENSION, permission_name(name)) for name in names]
        kinds += [(ResourceType.LISTENER, name) for name in names]
        found = (origin for kind, name in kinds for origin in causes_of(self.memo, key, kind, name))
        return self._say(origin for origin in found if origin.policy.type == "MeshTrafficPermission")

    def _route(self, node: str, taken: Taken) -> HttpRoute | None:
        """Envoy's routes come from the mesh's in their order, one or more of each."""
        place = node, taken.table, taken.host
        if place not in self._places:
            key = self.find_key(node)
            replica = self.memo.ask(REPLICA, key) if key is not None else None
            counted = self._counted(self.memo.ask(PROXY, replica.shape), taken) if replica is not None else ()
            self._places[place] = tuple(route for route, count in counted for _ in range(count))
        found = self._places[place]
        return found[taken.index] if taken.index < len(found) else None

    def _counted(self, proxy: Proxy, taken: Taken) -> Iterator[tuple[HttpRoute, int]]:
        """The routes of a table and host, and how many of Envoy's each of them gives."""
        hooks = self.memo.read(HOOKS, None)
        for outbound in (one for one in proxy.outbounds if one.name == taken.table):
            for route in outbound.routes:
                table = outbound_routes(replace(outbound, routes=(route,)), hooks)
                yield route, len(table.virtual_hosts[0].routes)
        chains = [(chain, one) for one in proxy.gateway for chain in one.chains if chain.name == taken.table]
        for chain, listener in chains:
            for route in (route for host in chain.hosts if host.domain == taken.host for route in host.routes):
                yield route, count_routes(route, chain, listener, hooks)

    def _say(self, origins: Iterable[Origin]) -> tuple[str, ...]:
        written = (one for one in origins if one.policy in self.resources.sources)
        return tuple(dict.fromkeys(self._line(one) for one in written))

    def _line(self, origin: Origin) -> str:
        position = self.resources.position(origin.policy, origin.pointer)
        return f"{position.file}:{position.line} ({origin.policy.type} {origin.policy.name})"
