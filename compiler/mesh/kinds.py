"""The kinds of policies that there are, and which of them a mesh uses."""

from collections.abc import Iterator
from typing import Final

from compiler.memo import Input, Memo, Query
from compiler.mesh.graph import KEYS, RESOURCE
from compiler.mesh.identity import TELLING_LABELS
from compiler.mesh.policy import MERGED, PolicyKind
from compiler.resources.model import Policy

KINDS: Final[Input[None, tuple[PolicyKind, ...]]] = Input("kinds", ())
"""The kinds of policies that this compiler knows."""


def _speaking(memo: Memo, mesh: str) -> tuple[PolicyKind, ...]:
    """Permissions and routes are asked for where they are wanted, and give no confs."""
    kinds = (kind for kind in memo.read(KINDS, None) if kind.outbound or kind.whole or kind.inbounds in MERGED)
    return tuple(kind for kind in kinds if kind.always or memo.read(KEYS, (kind.type, mesh)))


def _deciding(memo: Memo, mesh: str) -> frozenset[str]:
    kinds = [kind for kind in memo.ask(SPEAKING, mesh) if kind.shape_spread is not None or kind.patches]
    asked = {key for kind in kinds for spec in _specs(memo, mesh, kind) for key in kind.label_keys(spec)}
    return memo.ask(TELLING_LABELS, mesh) | asked


def _named(memo: Memo, mesh: str) -> frozenset[str]:
    kinds = [kind for kind in memo.ask(SPEAKING, mesh) if kind.patches]
    return frozenset(address for kind in kinds for spec in _specs(memo, mesh, kind) for address in kind.addresses(spec))


def _specs(memo: Memo, mesh: str, kind: PolicyKind) -> Iterator[Policy]:
    policies = (memo.read(RESOURCE, key) for key in memo.read(KEYS, (kind.type, mesh)))
    return (policy.spec for policy in policies if policy is not None and isinstance(policy.spec, Policy))


def find_kind(memo: Memo, name: str) -> PolicyKind:
    return next(kind for kind in memo.read(KINDS, None) if kind.type == name)


SPEAKING: Final[Query[str, tuple[PolicyKind, ...]]] = Query("speaking kinds", _speaking)
"""By mesh: the kinds that have confs there, so that what a mesh has no policy of costs it nothing. The first policy of
a kind makes every proxy be looked at once."""
DECIDING: Final[Query[str, frozenset[str]]] = Query("deciding labels", _deciding)
"""By mesh: labels of proxies that decide who they are, or what some policy does to them."""
NAMED: Final[Query[str, frozenset[str]]] = Query("named addresses", _named)
"""By mesh: addresses of proxies that decide what some policy does to them."""
