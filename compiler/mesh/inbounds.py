"""What a proxy takes for its workload: its inbounds, with the confs that hold for who calls them."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

from msgspec.structs import replace

from compiler.memo import Memo, Query
from compiler.mesh.callers import classes, includes
from compiler.mesh.calls import Inbound, Permission, SourceRule, Tls
from compiler.mesh.confs import INCOMING_CONFS, PERMISSION, SOURCE_CONFS, Held
from compiler.mesh.graph import RESOURCE
from compiler.mesh.identity import credentials
from compiler.mesh.kinds import SPEAKING, find_kind
from compiler.mesh.order import Origin, Side, items_of
from compiler.mesh.policy import MERGED, Inbounds, PolicyKind
from compiler.mesh.selection import HOLDER, PERMISSIONS, Holder, incoming
from compiler.mesh.shape import REPLICA, version_of
from compiler.mesh.value import Applied, Confs, Value
from compiler.resources.model import Conf, Dataplane, Resource, ResourceKey
from compiler.resources.model import Inbound as WrittenInbound
from compiler.resources.values import decode

INCOMING: Final[tuple[Side, Side]] = ("rules", "from")


class Said(Value, frozen=True):
    """What a kind of policy says somewhere, by the places where it is written."""

    kind: str
    origins: tuple[Origin, ...]


def list_inbounds(memo: Memo, resource: Resource, tls: Tls | None, holder: Holder) -> Iterator[Inbound]:
    networking = cast(Dataplane, resource.spec).networking
    for written in networking.inbound:
        if written.listens:
            yield read_inbound(memo, resource, written, tls, holder)


def read_inbound(memo: Memo, resource: Resource, written: WrittenInbound, tls: Tls | None, holder: Holder) -> Inbound:
    networking = cast(Dataplane, resource.spec).networking
    address = written.address or networking.address
    called = written.service_address or address
    permissions = incoming(memo, holder, PERMISSIONS, written.section)
    kinds = memo.ask(SPEAKING, resource.key.mesh)
    confs = tuple(_incoming_confs(memo, kinds, holder, written.section))
    return Inbound(
        section=written.section,
        address=address,
        port=written.port,
        workload_address=called,
        workload_port=written.service_port or written.port,
        workload_version=version_of(called),
        protocol=written.spoken,
        transparent=networking.transparent_proxying is not None,
        tls=_shaped(memo, tls, kinds, confs),
        permission=memo.ask(PERMISSION, (resource.key.mesh, permissions)) if tls is not None else Permission(),
        confs=confs,
        source_rules=tuple(_source_rules(memo, kinds, holder, written.section, confs)) if tls is not None else (),
    )


def taken_by(memo: Memo, key: ResourceKey, section: str, meant: Tls | None = None) -> Tls | None:
    """How callers must speak TLS to an inbound of a proxy; `meant` stands in for what the mesh itself says."""
    replica = memo.ask(REPLICA, key)
    if replica is None:
        return None
    kinds, holder = memo.ask(SPEAKING, key.mesh), memo.ask(HOLDER, replica.shape)
    tls = meant or credentials(memo, replica.shape.resource).tls
    return _shaped(memo, tls, kinds, tuple(_incoming_confs(memo, kinds, holder, section)))


def _shaped(memo: Memo, tls: Tls | None, kinds: Sequence[PolicyKind], confs: Confs) -> Tls | None:
    """The mesh's TLS as policies want it at an inbound; where that is not as Envoy has it, with who says so."""
    shapes = {kind.type: kind.shape_tls for kind in kinds if kind.shape_tls is not None}
    for applied in confs if tls is not None else ():
        shape = shapes.get(applied.policy)
        tls = shape(applied.conf, tls) if shape is not None and tls is not None else tls
        if shape is not None and tls is not None and not tls.is_plain:
            tls = replace(tls, origins=memo.ask(SPEAKERS, Said(applied.policy, applied.origins)))
    return tls


def mode_origin(memo: Memo, inbound: Inbound) -> Origin | None:
    """Where it is said whether an inbound takes TLS alone; None where the mesh itself says it."""
    for applied in inbound.confs:
        kind = find_kind(memo, applied.policy)
        for origin in reversed(applied.origins) if kind.shape_tls is not None else ():
            conf = decode(kind.conf, _written(memo, origin))
            if (
                kind.shape_tls is not None
                and len({kind.shape_tls(conf, Tls("", one)).permissive for one in (True, False)}) == 1
            ):
                return origin
    return None


def _speakers(memo: Memo, said: Said) -> tuple[Origin, ...]:
    """A policy that says only whom an inbound takes has no say in how others are called."""
    kind = find_kind(memo, said.kind)
    return tuple(one for one in reversed(said.origins) if _speaks(kind, _written(memo, one)))


def _speaks(kind: PolicyKind, conf: Conf) -> bool:
    return kind.shape_tls is not None and not kind.shape_tls(decode(kind.conf, conf), Tls("")).is_plain


def _written(memo: Memo, origin: Origin) -> Conf:
    """What stands at an origin by itself, before others override it."""
    policy = memo.read(RESOURCE, origin.policy)
    items = (item for side in INCOMING for item in items_of(policy, side)) if policy is not None else ()
    return next((item.conf for item in items if item.origin == origin), {})


def _incoming_confs(memo: Memo, kinds: Sequence[PolicyKind], holder: Holder, section: str) -> Iterator[Applied]:
    for kind in kinds:
        if kind.inbounds in MERGED:
            yield from memo.ask(INCOMING_CONFS, Held(kind.type, incoming(memo, holder, kind.type, section)))


def _source_rules(
    memo: Memo, kinds: Sequence[PolicyKind], holder: Holder, section: str, confs: Confs
) -> Iterator[SourceRule]:
    """A rule for each class of callers that some policy tells apart: of each kind the first rule about the class."""
    by_kind = [
        memo.ask(SOURCE_CONFS, Held(kind.type, incoming(memo, holder, kind.type, section)))
        for kind in kinds
        if kind.inbounds is Inbounds.BY_SOURCE
    ]
    for callers in classes([[rule.callers for rule in rules] for rules in by_kind]):
        held = {applied.policy: applied for applied in confs if not applied.matches}
        for rules in by_kind:
            about = next((rule.confs for rule in rules if includes(rule.callers, callers)), ())
            held.update({applied.policy: applied for applied in about})
        yield SourceRule(callers, tuple(held.values()))


SPEAKERS: Final[Query[Said, tuple[Origin, ...]]] = Query("who says how TLS is spoken", _speakers)
