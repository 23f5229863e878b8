"""What a proxy is given: its Envoy configuration, the policies that select it, and the places behind a resource."""

import json
from typing import cast

from compiler.envoy.resources import ResourceType
from compiler.inspecting.shown import Json, Sources, selected_policies, show_meta, show_position, written_proxy
from compiler.memo import Memo
from compiler.mesh.graph import RESOURCE, read_proxy
from compiler.resources.model import Resource, ResourceKey
from compiler.snapshot.snapshot import Snapshot
from compiler.snapshot.take import causes_of


def find_proxy(memo: Memo, mesh: str, name: str) -> ResourceKey | None:
    """The key of the Dataplane, or DataplaneSet with registration, of that name."""
    keys = (ResourceKey(kind, mesh, name) for kind in ("Dataplane", "DataplaneSet"))
    return next((key for key in keys if read_proxy(memo, key) is not None), None)


def show_config(snapshot: Snapshot) -> Json:
    """Every Envoy resource of a proxy, by type URL and name (Kuma's `_config`); secrets are names only."""
    return {
        "xds": {
            kind.type_url: {name: json.loads(resource.json) for name, resource in held.items()}
            for kind, held in snapshot.resources.items()
        },
        "secrets": [secret.name for secret in snapshot.secrets],
    }


def show_policies(memo: Memo, key: ResourceKey, sources: Sources) -> Json:
    """Every policy that selects a proxy, for which of its inbounds, and whether for its outgoing calls."""
    proxy = written_proxy(memo, key)
    policies = [
        {
            "type": one.policy.type,
            "mesh": one.policy.mesh,
            "name": one.policy.name,
            "kri": cast(Resource, memo.read(RESOURCE, one.policy)).kri(),
            "inbounds": sorted(one.sections),
            "outbound": one.outbound,
            "position": show_position(one.policy, "", sources),
        }
        for one in selected_policies(memo, key)
    ]
    return {"resource": show_meta(proxy), "policies": policies}


def locate_resource(memo: Memo, key: ResourceKey, type_url: str, name: str, sources: Sources) -> tuple[str, ...]:
    """Where an Envoy resource of a proxy comes from: the policies that shaped it, then its Dataplane."""
    kind = next(kind for kind in ResourceType if kind.type_url == type_url)
    causes = [show_position(origin.policy, origin.pointer, sources) for origin in causes_of(memo, key, kind, name)]
    places = [*causes, show_position(key, "", sources)]
    return tuple(dict.fromkeys(place for place in places if place is not None))
