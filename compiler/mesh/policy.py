"""What the mesh knows of a kind of policy: which resources it may name, how its confs merge, what type they have."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from compiler.mesh.merge import RouteRule
from compiler.mesh.order import Origin
from compiler.mesh.proxy import Destination, HttpRoute
from compiler.resources.findings import Finding
from compiler.resources.model import BackendReference, Policy, Spec
from compiler.resources.target_ref import TargetMatrix


class Inbounds(Enum):
    """How the incoming part of a policy (`rules`, or `from` of 2.x) reaches an inbound."""

    NONE = "none"
    """The policy has no incoming part."""
    WHOLE = "whole"
    """One merged conf for all callers."""
    BY_SOURCE = "by source"
    """Rules may name callers by SPIFFE id."""
    PERMISSION = "permission"
    """Nothing is merged: the entries decide in order (kuma-core §4.8)."""


FindBackend = Callable[[BackendReference, Origin], Destination | None]
RouteShape = Callable[[Sequence[RouteRule], Destination, FindBackend], Iterable[HttpRoute]]


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """One kind of policy, without Envoy."""

    conf: type[Spec]
    type: str
    targets: TargetMatrix
    inbounds: Inbounds = Inbounds.NONE
    outbound: bool = False
    routes: bool = False
    """Whether `to` may name a MeshHTTPRoute: the conf then holds for that route alone."""
    shape_routes: RouteShape | None = None
    """For the kind whose `to` says where calls go rather than how: its rules, already merged, as routes in order."""
    check: Callable[[Policy], Iterable[Finding]] = lambda _: ()
    """What is wrong in a spec beyond what its schema can say."""
