"""From a test's words to calls of proxies: who asks, and through which of its outbound listeners."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from compiler.diagnostics import Checked, Code, Diagnostic, Severity
from compiler.envoy.packing import visit
from compiler.envoy.resources import ResourceType
from compiler.memo import Memo
from compiler.mesh.services import SERVICE_KEYS, SERVICE_RESOURCE, service_key
from compiler.resources.model import MeshService
from compiler.resources.suggest import did_you_mean, one_of
from compiler.review.promises.abroad import find_door
from compiler.review.promises.route_tests import RouteTest
from compiler.review.promises.routing.answer import Ask
from compiler.review.promises.routing.held import Fleet, Held, is_http, place_of, read_service_name, terminal_filter
from compiler.snapshot.cluster_names import CLUSTER_FIELDS, cluster_names

TEST_OF_NOTHING: Final = Code(
    "test-of-nothing",
    Severity.ERROR,
    "a route test about a service or proxy that the repository does not have",
    "`from` names a service or a proxy, `to` a service, or an address and port on which the caller's proxy takes "
    "calls. A test with another name would pass or fail for a reason of its own; so would one of a call from mesh to "
    "mesh, which is not followed through a gateway's listener with `crossMesh`.",
)

_NAMES: Final = frozenset(CLUSTER_FIELDS)
_WHOLE_SERVICE: Final = 80
"""The port on which callers of 2.x reach a service, whatever its own are."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A test and its calls, one for each caller that differs; none where no caller has a way to the service."""

    test: RouteTest
    asks: tuple[Ask, ...]
    callers: tuple[str, ...]


@dataclass(frozen=True)
class Calls:
    """Plans the calls of tests, over the snapshots of one version; `memo` answers for the same version."""

    fleet: Fleet
    memo: Memo
    _clusters: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)

    def plan(self, test: RouteTest) -> Checked[Planned]:
        """A caller of several alike stands for all of them; one without the outbound only where none has it."""
        callers = self._callers(test)
        if isinstance(callers, Diagnostic):
            return Checked(Planned(test, (), ()), (callers,))
        if wrong := tuple(self._mistakes(test, callers)):
            return Checked(Planned(test, (), tuple(callers)), wrong)
        asks: dict[object, Ask] = {}
        for node in callers:
            if listener := self._outbound(self.fleet[node], test):
                asks.setdefault(self._sort(self.fleet[node], listener), _ask(test, node, listener))
        return Checked(Planned(test, tuple(asks.values()), tuple(callers)))

    def _callers(self, test: RouteTest) -> list[str] | Diagnostic:
        mesh, _, name = test.caller.rpartition("/")
        nodes = [(node, one.node) for node, one in sorted(self.fleet.snapshots.items()) if mesh in {"", one.node.mesh}]
        found = [pair for pair in nodes if pair[1].workload == name] or [
            pair for pair in nodes if pair[1].proxy == name
        ]
        meshes = sorted({one.mesh for _, one in found})
        if len(meshes) > 1:
            hint = "write one of " + ", ".join(f"{one}/{name}" for one in meshes)
            return _wrong(test, ("from",), f"more than one mesh has a {name!r}", hint)
        if not found:
            known = {one.proxy for _, one in nodes}.union(*(self._services(node) for node, _ in nodes))
            return _wrong(test, ("from",), f"there is no service or proxy {test.caller!r}", did_you_mean(name, known))
        return [node for node, _ in found]

    def _services(self, node: str) -> frozenset[str]:
        """What a proxy's workload is called: by its label, and by each name in its certificate."""
        held = self.fleet[node]
        start = f"spiffe://{held.snapshot.node.mesh}/"
        names = (uri.removeprefix(start) for uri in held.uris if uri.startswith(start))
        return frozenset((held.snapshot.node.workload, *names))

    def _mistakes(self, test: RouteTest, callers: Sequence[str]) -> Iterator[Diagnostic]:
        """A misspelt service must not pass for one that nobody may call."""
        mesh, to = self.fleet.snapshots[callers[0]].node.mesh, test.sent.to
        if ":" in to:
            if not any(_is_at(self.fleet[node], name, to) for node in callers for name in _places(self.fleet[node])):
                nowhere = _wrong(test, ("request", "to"), f"no proxy of {test.caller} takes calls at {to}")
                yield self._abroad(test, callers) or nowhere
            return
        if fronts := [(self.fleet[node], name) for node in callers for name in self.fleet[node].fronts]:
            hint = "write where: " + one_of([_place(held, name) for held, name in fronts])
            message = f"{test.caller} is a gateway, which takes calls from outside of the mesh"
            yield _wrong(test, ("request", "to"), message, hint)
            return
        ports = self._ports(mesh, to)
        if ports is None:
            known = {key.name for key in self.memo.ask(SERVICE_KEYS, mesh)}
            unknown = _wrong(test, ("request", "to"), f"mesh {mesh} has no service {to!r}", did_you_mean(to, known))
            yield self._abroad(test, callers) or unknown
            return
        if test.sent.port not in (None, _WHOLE_SERVICE, *ports):
            hint = f"its ports are {one_of(ports)}"
            yield _wrong(test, ("request", "port"), f"service {to} has no port {test.sent.port}", hint)
            return
        for node in callers:
            found = list(self._towards(self.fleet[node], test))
            if len({read_service_name(name) for name in found}) > 1:
                hint = "the ports are " + ", ".join(_section(name) for name in found)
                yield _wrong(test, ("request",), f"{node} calls {to} on more than one port: say which", hint)
                return

    def _abroad(self, test: RouteTest, callers: Sequence[str]) -> Diagnostic | None:
        """Where it is a gateway of another mesh that is called: neither engine follows a request from mesh to mesh."""
        to, held = test.sent.to, [self.fleet[node] for node in callers]
        there = {name for one in held for name in one.names(ResourceType.LISTENER) if _is_at(one, name, to)}
        door = find_door(self.memo, to, there)
        if door is None:
            return None
        gateway = f"MeshGateway {door.service.name!r} of mesh {door.service.mesh!r}"
        message = f"{to} is a listener for other meshes, of {gateway}: no request is followed through that door"
        hint = "write one test from the gateway, to its own address, and an invariant of who may call it"
        return _wrong(test, ("request", "to"), message, hint)

    def _outbound(self, caller: Held, test: RouteTest) -> str | None:
        return next(iter(self._towards(caller, test)), None)

    def _towards(self, caller: Held, test: RouteTest) -> Iterator[str]:
        """The outbound listeners of a caller that a test may mean."""
        mesh = caller.snapshot.node.mesh
        section = self._section(mesh, test)
        if ":" in test.sent.to:
            doors = (*caller.outbounds, *caller.doors(_server_name(test)))
            yield from (name for name in doors if _is_at(caller, name, test.sent.to))
            return
        for name in _naming(caller, test.sent.to):
            service = read_service_name(name)
            _, port = place_of(caller.find(ResourceType.LISTENER, name).address)
            if service is None or service.name != test.sent.to:
                means = False
            else:
                # The whole of a 2.x service is called on 80, too.
                means = section in (None, service.section) or (
                    not service.section and port in {test.sent.port, _WHOLE_SERVICE}
                )
            if means:
                yield name

    def _section(self, mesh: str, test: RouteTest) -> str | None:
        """The port as its listener is called; None where the test leaves it open."""
        if test.sent.port is None or ":" in test.sent.to:
            return None
        return (self._ports(mesh, test.sent.to) or {}).get(test.sent.port, str(test.sent.port))

    def _ports(self, mesh: str, name: str) -> Mapping[int | str, str] | None:
        """The sections of a service by number and by name; None where there is no such service."""
        service = self.memo.ask(SERVICE_RESOURCE, service_key(mesh, name))
        if service is None:
            return None
        ports = cast(MeshService, service.spec).ports
        return {key: one.section for one in ports for key in (one.port, one.section)}

    def _sort(self, caller: Held, listener: str) -> object:
        """Equal for callers whose call is answered alike, whatever their addresses."""
        versions = tuple(
            (caller.version(ResourceType.CLUSTER, name), caller.version(ResourceType.ENDPOINT, name))
            for name in self._clusters_behind(caller, listener)
        )
        kinds = (ResourceType.ROUTE, ResourceType.EXTENSION)
        return caller.uris, versions, *(caller.version(kind, _table(caller, listener, kind)) for kind in kinds)

    def _clusters_behind(self, caller: Held, listener: str) -> tuple[str, ...]:
        found = clusters_behind(caller, listener)
        return self._clusters.setdefault((str(caller.snapshot.node), listener), found)


def _places(caller: Held) -> tuple[str, ...]:
    return *caller.outbounds, *caller.fronts


def _is_at(caller: Held, listener: str, place: str) -> bool:
    address, port = place_of(caller.find(ResourceType.LISTENER, listener).address)
    return place in {f"{address}:{port}", f"[{address}]:{port}"}


def _place(caller: Held, listener: str) -> str:
    address, port = place_of(caller.find(ResourceType.LISTENER, listener).address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _server_name(test: RouteTest) -> str:
    """What a client asks for by TLS: the host without its port."""
    host = test.sent.host or test.sent.to
    return re.sub(r":[0-9]+$", "", host).lower()


def _naming(caller: Held, word: str) -> Iterator[str]:
    """The few listeners in whose name a word stands, so that the others are not looked at."""
    return (name for name in caller.names(ResourceType.LISTENER) if f"_{word}_" in name)


def clusters_behind(caller: Held, listener: str) -> tuple[str, ...]:
    """Every cluster that a call through an outbound listener may go to, by name."""
    last = caller.filter(terminal_filter(caller.find(ResourceType.LISTENER, listener).filter_chains[0]))
    message: Any = caller.routes(last) if is_http(last) else last
    return tuple(sorted({name for _, one in visit(message, _NAMES) for name in cluster_names(one)}))


def _table(caller: Held, listener: str, kind: ResourceType) -> str:
    """The name of the resource that decides where calls go."""
    last = terminal_filter(caller.find(ResourceType.LISTENER, listener).filter_chains[0])
    if kind is ResourceType.EXTENSION:
        return str(last.name)
    config = caller.filter(last)
    return str(config.rds.route_config_name) if is_http(config) else ""


def _ask(test: RouteTest, node: str, listener: str) -> Ask:
    sent = test.sent
    return Ask(
        caller=node,
        listener=listener,
        method=sent.method,
        path=sent.path,
        authority=sent.host or sent.to,
        headers=sent.headers,
        answer_status=test.answer_status,
        answer_headers=test.answer_headers,
        counts_retries=test.expected.retries is not None,
    )


def _section(listener: str) -> str:
    service = read_service_name(listener)
    return service.section or "the whole service" if service is not None else listener


def _wrong(test: RouteTest, path: tuple[str, ...], message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(test.position(*path), TEST_OF_NOTHING, message, hint)
