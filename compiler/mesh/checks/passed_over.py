"""`from` of policies that decides nowhere, since others of their kind have `rules` at each inbound that they select."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.checks.idle import Selected
from compiler.mesh.confs import ITEMS
from compiler.mesh.graph import KEYS
from compiler.mesh.match import is_builtin_gateway
from compiler.mesh.order import spec_of
from compiler.mesh.policy import PolicyKind
from compiler.mesh.selection import HOLDER, Policies, incoming
from compiler.mesh.services import EXTERNAL, TAGGED_EXTERNAL
from compiler.mesh.shape import REPLICA
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, Resource, ResourceKey

_MESSAGE: Final = (
    "each inbound that it selects has rules, such as those of {}, and where rules are, from is passed over"
)
_HINT: Final = "say it in rules, too"


def check_passed_over(
    memo: Memo, kind: PolicyKind, policy: Resource, selected: Iterable[Selected], elsewhere: Callable[[], bool]
) -> Iterator[Finding]:
    """Looked for up to the first inbound at which it decides: most often that is the first of all.

    `elsewhere` says whether it decides beside the proxies that it selects.
    """
    if not kind.passes_over_from or not spec_of(policy).from_:
        return
    by: ResourceKey | None = None
    seen = set[Policies]()
    for policies in incoming_places(memo, policy, selected):
        if (policy.key in policies or not policies) and policies not in seen:
            seen.add(policies)
            here = _decider(memo, policies)
            if here is None:
                return
            by = by or here
    if by is not None and not elsewhere():
        yield Finding("/from", NO_EFFECT, _MESSAGE.format(f"{by.type} {by.name!r}"), _HINT, on_key=True)


def incoming_places(memo: Memo, policy: Resource, selected: Iterable[Selected]) -> Iterator[Policies]:
    """The policies of its kind that hold at each inbound that it selects; none for what is judged by more than those.

    It is not among them where it is a legacy one, and others count.
    """
    for proxy, selection in selected:
        if _is_way_out(memo, proxy, policy.key.mesh):
            yield ()
        replica = memo.ask(REPLICA, proxy.key) if proxy.key.mesh and not is_builtin_gateway(proxy) else None
        if replica is None:
            continue
        holder = memo.ask(HOLDER, replica.shape)
        for section in sorted(selection.sections):
            yield incoming(memo, holder, policy.key.type, section)


def _is_way_out(memo: Memo, proxy: Resource, mesh: str) -> bool:
    """Whether callers of what is outside of the mesh may be judged there."""
    if proxy.key.mesh and not cast(Dataplane, proxy.spec).networking.listeners:
        return False
    return any(memo.read(KEYS, (kind, mesh)) for kind in (EXTERNAL, TAGGED_EXTERNAL))


def _decider(memo: Memo, policies: Policies) -> ResourceKey | None:
    """Of several with `rules` the one that overrides the others."""
    rules = memo.ask(ITEMS, (policies, ("rules",)))
    return rules[-1].policy.key if rules else None
