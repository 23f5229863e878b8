"""What MeshProxyPatch is to the mesh, and how it changes what the others made."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.envoy.patching import Patching
from compiler.envoy.policy import Hooks, Policy
from compiler.mesh.policy import PolicyKind
from compiler.policies.mesh_proxy_patch.apply import apply
from compiler.policies.mesh_proxy_patch.checks import check
from compiler.policies.mesh_proxy_patch.conf import LIST, ProxyPatch, collect
from compiler.policies.mesh_proxy_patch.matching import additions, narrow, places, texts
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix

_INBOUND: Final = re.compile(r"inbound:(.+):\d+")


def addresses(policy: PolicySpec) -> Iterator[str]:
    """Of proxies whose inbounds are called as Kuma 2 calls them."""
    for match in _matches(policy):
        for name in ("name", "listenerName"):
            found = _INBOUND.fullmatch(match.get(name) or "")
            if found is not None:
                yield found[1]


def label_keys(policy: PolicySpec) -> Iterator[str]:
    for match in _matches(policy):
        for name in ("tags", "listenerTags"):
            yield from match.get(name) or {}


def _matches(policy: PolicySpec) -> Iterator[Mapping[str, Any]]:
    for written in (policy.default or {}).get(LIST) or ():
        yield from (change.get("match") or {} for change in written.values())


POLICY: Final = Policy(
    PolicyKind(
        type="MeshProxyPatch",
        conf=ProxyPatch,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            system_only=frozenset({"MeshGateway"}),
            listeners=False,
        ),
        whole=True,
        beside=True,
        patches=True,
        collect=collect,
        addresses=addresses,
        label_keys=label_keys,
        check=check,
    ),
    Hooks(patching=Patching(places, narrow, additions, texts, apply)),
)
