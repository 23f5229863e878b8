"""Permissions that nobody is asked for: a port that takes plaintext lets in whoever comes by it."""

from collections.abc import Iterable, Iterator
from typing import Final, cast

from compiler.diagnostics import Code, Severity
from compiler.memo import Memo
from compiler.mesh.calls import Tls
from compiler.mesh.checks.idle import Selected
from compiler.mesh.graph import EXAMPLES, KEYS, mesh_spec, proxy_keys, read_proxy
from compiler.mesh.inbounds import taken_by
from compiler.mesh.order import Side, items_of
from compiler.mesh.policy import PolicyKind
from compiler.mesh.selection import HOLDER, PERMISSIONS, incoming
from compiler.mesh.shape import REPLICA
from compiler.resources.findings import Finding, join
from compiler.resources.model import Dataplane, Resource, ResourceKey
from compiler.resources.values import decode

OPEN_IN_PLAINTEXT: Final = Code(
    "open-in-plaintext",
    Severity.WARNING,
    "permissions that callers in plaintext are not asked for",
    "Where TLS is optional a caller may come without a certificate, and nobody knows who it is: it is let in, "
    "whatever MeshTrafficPermissions say. This is meant for the time in which a mesh moves to mutual TLS; once every "
    "caller has a certificate, make the mode Strict (in a Mesh: STRICT).",
)
_SIDES: Final[tuple[Side, Side]] = ("rules", "from")
_HINT: Final = "make it {} once every caller has a certificate"


def check_optional(memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Of a policy that makes TLS optional: whether permissions hold at a port that it is optional at."""
    pointers = [pointer for side in _SIDES for pointer in _optional(kind, policy, side)]
    if not pointers or not memo.read(KEYS, (PERMISSIONS, policy.key.mesh)):
        return
    for proxy, selection in selected:
        for section in sorted(selection.sections):
            tls = _permitted(memo, proxy.key, section)
            if tls is not None and tls.permissive:
                yield from (_finding(one, "Strict") for one in pointers)
                return


def check_permissive(memo: Memo, mesh: str) -> Iterator[Finding]:
    """The same of a Mesh; of ports where no policy says how TLS is taken."""
    mtls = mesh_spec(memo, mesh).mtls
    if mtls.backend is None or mtls.backend.mode != "PERMISSIVE" or not memo.read(KEYS, (PERMISSIONS, mesh)):
        return
    for key in (*memo.read(EXAMPLES, mesh), *sorted(proxy_keys(memo, mesh))):
        proxy = read_proxy(memo, key)
        for inbound in cast(Dataplane, proxy.spec).networking.inbound if proxy is not None else ():
            tls = _permitted(memo, key, inbound.section)
            otherwise = taken_by(memo, key, inbound.section, Tls(mesh))
            if tls is not None and tls.permissive and otherwise is not None and not otherwise.permissive:
                yield _finding(join("/mtls/backends", mtls.backends.index(mtls.backend), "mode"), "STRICT")
                return


def _permitted(memo: Memo, key: ResourceKey, section: str) -> Tls | None:
    """How callers may come to a port at which permissions hold; None where none do, or there is no TLS at all."""
    replica = memo.ask(REPLICA, key)
    if replica is None or not incoming(memo, memo.ask(HOLDER, replica.shape), PERMISSIONS, section):
        return None
    return taken_by(memo, key, section)


def _optional(kind: PolicyKind, policy: Resource, side: Side) -> Iterator[str]:
    for item in items_of(policy, side):
        if kind.shape_tls is not None and kind.shape_tls(decode(kind.conf, item.conf), Tls("")).permissive:
            yield join("", side, item.index, "default", "mode")


def _finding(pointer: str, mode: str) -> Finding:
    return Finding(pointer, OPEN_IN_PLAINTEXT, "callers in plaintext are asked for no permission", _HINT.format(mode))
