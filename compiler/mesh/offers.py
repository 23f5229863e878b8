"""What proxies offer to others of their mesh alone, beside their inbounds: metrics, as far as policies say so."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from compiler.memo import Memo, Query
from compiler.mesh.confs import WHOLE_CONF, Held
from compiler.mesh.graph import WILDCARD, read_proxy
from compiler.mesh.identity import has_tls
from compiler.mesh.kinds import SPEAKING
from compiler.mesh.policy import Offer, PolicyKind
from compiler.mesh.selection import HOLDER, whole
from compiler.mesh.shape import REPLICA
from compiler.resources.model import Dataplane, Resource, ResourceKey


class Offered(NamedTuple):
    """Where a proxy of a zone answers; `service` is what the offer goes by."""

    service: str
    zone: str
    address: str
    port: int


def list_offers(memo: Memo, mesh: str) -> Iterator[tuple[PolicyKind, Offer]]:
    """Of kinds that a mesh has policies of."""
    for kind in memo.ask(SPEAKING, mesh):
        if kind.offer is not None:
            yield kind, kind.offer


def offered_conf(memo: Memo, kind: PolicyKind, proxy: Resource) -> Any | None:
    """What policies of a kind say of a proxy, with what its own document says; None where nobody says anything."""
    replica = memo.ask(REPLICA, proxy.key)
    if replica is None:
        return None
    held = whole(memo, memo.ask(HOLDER, replica.shape), kind.type)
    applied = memo.ask(WHOLE_CONF, Held(kind.type, held))
    if applied is None or kind.specialise is None:
        return applied.conf if applied is not None else None
    return kind.specialise(applied.conf, cast(Dataplane, proxy.spec))


def _offered(memo: Memo, key: ResourceKey) -> tuple[Offered, ...]:
    proxy = read_proxy(memo, key)
    if proxy is None or not has_tls(memo, proxy):
        return ()
    address = cast(Dataplane, proxy.spec).networking.address
    if address == WILDCARD:
        return ()
    return tuple(
        Offered(offer.service, proxy.zone, address, port)
        for kind, offer in list_offers(memo, key.mesh)
        if (conf := offered_conf(memo, kind, proxy)) is not None
        for port in offer.ports(conf)
    )


OFFERED: Final[Query[ResourceKey, tuple[Offered, ...]]] = Query("offered beside inbounds", _offered)
"""Of a proxy with a certificate of its mesh whose address a commit knows."""

__all__ = ["OFFERED", "Offered", "list_offers", "offered_conf"]
