"""What remains where no document sets a field: Kuma's initial policies, what this compiler writes, Envoy's default."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from compiler.envoy.policy import HOOKS, Hooks
from compiler.envoy.resources import ResourceType
from compiler.mesh.graph import RESOURCE
from compiler.mesh.order import spec_of
from compiler.mesh.selection import all_selected
from compiler.mesh.shape import REPLICA
from compiler.resources.model import Resource, ResourceKey
from compiler.review.explaining.addresses import Field, State, read_state
from compiler.review.explaining.descriptions import describe
from compiler.review.explaining.drafts import Edit, apply, list_leaves, list_others, steps_of, value_at
from compiler.review.explaining.trial import Trial
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import SNAPSHOT
from compiler.source.tree import SourceTree


class Owner(StrEnum):
    """Whose default it is."""

    KUMA = "Kuma"
    MESHWRIGHT = "meshwright"
    ENVOY = "Envoy"


@dataclass(frozen=True, slots=True)
class Default:
    """`state` is what the field is by it; `words` are Envoy's where the field is absent then, "" where not known.

    `source` says where it is from: an initial policy and what it says, a kind of policy, a stage, a field of Envoy's.
    """

    owner: Owner
    source: str
    state: State
    words: str = ""


_STAGES: Final = {
    ResourceType.LISTENER: "as every listener is made",
    ResourceType.ROUTE: "as every route is made",
    ResourceType.CLUSTER: "as every cluster is made",
    ResourceType.ENDPOINT: "as endpoints are listed",
    ResourceType.EXTENSION: "as permissions become filters",
    ResourceType.SECRET: "as secrets are named",
}


def find_default(trial: Trial, tree: SourceTree, proxy: ResourceKey, field: Field, model: Any) -> Default:
    """Of a tree in which no document sets the field any more."""
    snapshot = trial.snapshot(tree, proxy)
    state = read_state(snapshot, field, model)

    def is_changed(snapshot: Snapshot | None) -> bool:
        return read_state(snapshot, field, model) != state

    for policy in _initial_policies(trial, proxy):
        for said, other in _said_otherwise(policy):
            if is_changed(trial.snapshot_if(proxy, policy, other)):
                return Default(Owner.KUMA, f"the initial policy {policy.key.type} {policy.key.name}{said}", state)
    for kind in sorted(trial.memo.read(HOOKS, None)) if state.present else ():
        if is_changed(_without_hook(trial, proxy, kind)):
            return Default(Owner.KUMA, f"what {kind} sets where no policy says anything", state)
    if state.present:
        return Default(Owner.MESHWRIGHT, _STAGES[field.kind], state)
    found = describe(field.kind, model, steps_of(field.pointer))
    source = f"{found.message}.{found.field}" if found is not None else field.kind.type_url
    return Default(Owner.ENVOY, source, state, (found.default or "") if found is not None else "")


def _initial_policies(trial: Trial, proxy: ResourceKey) -> tuple[Resource, ...]:
    """Those that hold for the proxy and stand in no document."""
    replica = trial.memo.ask(REPLICA, proxy)
    selected = [one.policy for one in all_selected(trial.memo, replica.shape)] if replica is not None else []
    found = (trial.memo.read(RESOURCE, key) for key in selected if key not in trial.resources.sources)
    return tuple(policy for policy in found if policy is not None)


def _said_otherwise(policy: Resource) -> Iterator[tuple[str, Resource | None]]:
    """With each leaf of its confs changed, told in words; at last without it."""
    spec = spec_of(policy)
    for side, items in (("to", spec.to), ("from_", spec.from_)):
        for index, item in enumerate(items):
            for leaf in list_leaves(item.conf):
                for other in list_others(value_at(item.conf, leaf)):
                    conf = apply(item.conf, Edit().saying(leaf, other))
                    changed = (*items[:index], msgspec.structs.replace(item, default=conf), *items[index + 1 :])
                    said = f": {leaf.lstrip('/').replace('/', '.')} {value_at(item.conf, leaf)}"
                    yield said, replace(policy, spec=msgspec.structs.replace(spec, **{side: changed}))
                    break
    yield "", None


def _without_hook(trial: Trial, proxy: ResourceKey, kind: str) -> Snapshot:
    """The proxy as it would be compiled if this kind of policy wrote nothing."""
    hooks = trial.memo.read(HOOKS, None)
    trial.memo.write(HOOKS, None, {**hooks, kind: replace(hooks[kind], hooks=Hooks())})
    try:
        return trial.memo.ask(SNAPSHOT, proxy).snapshot
    finally:
        trial.memo.write(HOOKS, None, hooks)


__all__ = ["Default", "Owner", "find_default"]
