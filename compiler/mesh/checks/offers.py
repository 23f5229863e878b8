"""What is offered to proxies of the mesh alone, by a proxy that has no certificate of it: nothing, and that is said."""

from collections.abc import Iterable, Iterator
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.checks.idle import Selected
from compiler.mesh.graph import mesh_spec
from compiler.mesh.identity import IDENTITIES_OF, has_tls
from compiler.mesh.offers import list_offers, offered_conf
from compiler.mesh.policy import PolicyKind
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, Policy, Resource

_HINT: Final = "set mtls.enabledBackend of the Mesh or add a MeshIdentity, or choose another mode"


def check_offered(memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected]) -> Iterator[Finding]:
    """Of a policy: proxies are looked at up to the first that has a certificate, where the mesh gives it not to all."""
    if kind.offer is None or mesh_spec(memo, policy.key.mesh).mtls.backend is not None:
        return
    places = tuple(kind.offer.written(cast(Policy, policy.spec)))
    if places and not any(has_tls(memo, proxy) for proxy, _ in selected):
        message = "no proxy that it selects has a certificate of the mesh: nothing is served by mutual TLS"
        yield from (Finding(place, NO_EFFECT, message, _HINT) for place in places)


def check_certified(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """Of a proxy that says itself what it offers, or has none while others of the mesh do."""
    offers = tuple(list_offers(memo, proxy.key.mesh))
    if not offers or has_tls(memo, proxy):
        return
    among = bool(memo.ask(IDENTITIES_OF, proxy.key.mesh))
    for kind, offer in offers:
        own = offer.own(cast(Dataplane, proxy.spec))
        conf = offered_conf(memo, kind, proxy) if own or among else None
        if conf is not None and offer.needs(conf):
            message = f"the proxy has no certificate of the mesh: a {kind.type} serves nothing here by mutual TLS"
            yield Finding(own, NO_EFFECT, message, _HINT if own else "have a MeshIdentity select it")


__all__ = ["check_certified", "check_offered"]
