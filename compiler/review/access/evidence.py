"""The lines behind an answer about access: where a call, an inbound, a permission or a missing way was written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from compiler.envoy.resources import ResourceType
from compiler.memo import Memo
from compiler.mesh.calls import Inbound, PermissionEntry, Principal
from compiler.mesh.graph import mesh_spec, read_proxy
from compiler.mesh.inbounds import mode_origin
from compiler.mesh.order import Origin
from compiler.mesh.permission import DENY, contains
from compiler.mesh.reachability import trims
from compiler.mesh.resolve import PROXY
from compiler.mesh.shape import REPLICA
from compiler.resources.model import Dataplane, ResourceKey
from compiler.resources.resource_set import ResourceSet
from compiler.review.versions import Version, Versions
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import causes_of

_ROUTES = frozenset({"MeshHTTPRoute", "MeshTCPRoute"})


@dataclass(frozen=True, slots=True, order=True)
class Written:
    """A document, the line of it that decides, and what it says there; without a file it is built in."""

    type: str
    mesh: str
    name: str
    file: str = ""
    line: int = 0
    says: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else "built in"
        return f"{place} {self.type} {self.name}" + (f": {self.says}" if self.says else "")


@dataclass(frozen=True)
class Evidence:
    """Looks lines up in the documents of the version that was compiled last."""

    memo: Memo
    resources: ResourceSet
    versions: Versions

    @classmethod
    def of(cls, versions: Versions, version: Version) -> "Evidence":
        return cls(versions.compiler.memo, version.resources, versions)

    def call(self, caller: Snapshot, address: str, port: int) -> Iterator[Written]:
        """The outbound that is a listener, or else what makes virtual ones."""
        key = self._key(caller)
        networking = self._dataplane(key).networking
        for index, outbound in enumerate(networking.outbound):
            if (outbound.address, outbound.port) == (address, port):
                yield self._written(key, f"/networking/outbound/{index}")
                return
        yield self._written(key, "/networking/transparentProxying")

    def routes(self, caller: Snapshot, kind: ResourceType, name: str) -> Iterator[Written]:
        """The route policies that shaped where a listener sends its calls."""
        for origin in causes_of(self.memo, self._key(caller), kind, name):
            if origin.policy.type in _ROUTES:
                yield self._at(origin)

    def security(self, mesh: str) -> Iterator[Written]:
        """Where mutual TLS is switched on, and how strictly."""
        backend = mesh_spec(self.memo, mesh).mtls.backend
        says = f"has mutual TLS, {backend.mode.lower()}" if backend is not None else "has no mutual TLS"
        yield self._written(ResourceKey("Mesh", "", mesh), "/mtls", says)

    def optional(self, callee: Snapshot, listener: str) -> Iterator[Written]:
        """Where an inbound is said to take TLS alone, or plaintext beside it."""
        inbound = next((one for one in self._inbounds(callee) if one.name == listener), None)
        origin = mode_origin(self.memo, inbound) if inbound is not None else None
        if inbound is None or inbound.tls is None or origin is None:
            yield from self.security(callee.node.mesh)
        else:
            yield self._at(origin, f"has mutual TLS, {'permissive' if inbound.tls.permissive else 'strict'}")

    def inbound(self, callee: Snapshot, port: int) -> Iterator[Written]:
        key = self._key(callee)
        for index, inbound in enumerate(self._dataplane(key).networking.inbound):
            if inbound.port == port:
                yield self._written(key, f"/networking/inbound/{index}")

    def deciding(self, callee: Snapshot, listener: str, uris: frozenset[str]) -> tuple[Written, bool] | None:
        """The permission that decides about a caller, and whether it admits it; None where none is about it."""
        for entry in self._entries(callee, listener):
            if contains(entry.principal, uris):
                return self._at(entry.origin, _sentence(entry)), entry.action != DENY
        return None

    def admitting_others(self, callee: Snapshot, listener: str) -> Iterator[Written]:
        """The permissions that let somebody else in."""
        for entry in self._entries(callee, listener):
            if entry.action != DENY:
                yield self._at(entry.origin, _sentence(entry))

    def missing_way(self, caller: Snapshot, mesh: str) -> tuple[str, tuple[Written, ...]]:
        """Why a caller has no way to a service, as a sentence and the lines behind it."""
        key = self._key(caller)
        proxying = self._dataplane(key).networking.transparent_proxying
        if proxying is None:
            return "it has no outbound for it", (self._written(key, "/networking/outbound"),)
        where = "/networking/transparentProxying"
        if proxying.reachable_backends is not None:
            return "it is not among its reachableBackends", (self._written(key, f"{where}/reachableBackends"),)
        if proxying.reachable_services is not None:
            named = ", ".join(sorted(proxying.reachable_services)) or "none"
            sentence = f"it is not among its reachableServices ({named})"
            return sentence, (self._written(key, f"{where}/reachableServices"),)
        if trims(self.memo, mesh):
            sentence = "the mesh gives a proxy only what permissions let it call"
            return sentence, (self._written(ResourceKey("Mesh", "", mesh), "/routing/autoReachable"),)
        return "nothing that it can call leads there", (self._written(key, "/networking"),)

    def _entries(self, callee: Snapshot, listener: str) -> Iterable[PermissionEntry]:
        return next((one.permission.entries for one in self._inbounds(callee) if one.name == listener), ())

    def _inbounds(self, callee: Snapshot) -> tuple[Inbound, ...]:
        replica = self.memo.ask(REPLICA, self._key(callee))
        return self.memo.ask(PROXY, replica.shape).inbounds if replica is not None else ()

    def _key(self, snapshot: Snapshot) -> ResourceKey:
        key = self.versions.key_of(str(snapshot.node))
        if key is None:
            raise LookupError(f"{snapshot.node} is not of the version that was compiled last")
        return key

    def _dataplane(self, key: ResourceKey) -> Dataplane:
        resource = read_proxy(self.memo, key)
        if resource is None:
            raise LookupError(f"{key} is no proxy")
        return cast(Dataplane, resource.spec)

    def _at(self, origin: Origin, says: str = "") -> Written:
        return self._written(origin.policy, origin.pointer, says)

    def _written(self, key: ResourceKey, pointer: str, says: str = "") -> Written:
        """An initial policy stands in no file."""
        source = self.resources.sources.get(key)
        if source is None:
            return Written(key.type, key.mesh, key.name, says=says)
        position = source.position(pointer)
        return Written(key.type, key.mesh, key.name, position.file, position.line, says)


def _sentence(entry: PermissionEntry) -> str:
    """An admitted caller that is counted as if it were denied is admitted."""
    return f"{'denies' if entry.action == DENY else 'admits'} {_callers(entry.principal)}"


def _callers(principal: Principal) -> str:
    names = [f"{match.value}{'*' if match.prefix else ''}" for match in principal.present]
    names += [f"not {match.value}{'*' if match.prefix else ''}" for match in principal.absent]
    return " and ".join(names) or "everyone"
