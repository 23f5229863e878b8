"""MeshTCPRoute: where connections go (kuma-policies §2.5)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from compiler.envoy.policy import Policy
from compiler.mesh.http_route import Backend
from compiler.mesh.merge import RouteRule
from compiler.mesh.policy import Concession, FindBackend, Matter, PolicyKind, reference_of
from compiler.resources.findings import NO_EFFECT, Finding, join
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.model import Spec
from compiler.resources.target_ref import TargetMatrix, check_backend_ref


class Route(Spec, frozen=True):
    """Rules are merged rather than decoded into one conf."""

    rules: tuple[dict[str, Any], ...] = ()


def shape_backends(rules: Sequence[RouteRule], find: FindBackend) -> tuple[Backend, ...]:
    """Of the one rule there is; without any, none."""
    return tuple(
        Backend(find(reference_of(written), rule.backends or rule.origins[-1]), written.get("weight", 1))
        for rule in rules[:1]
        for written in rule.conf.get("backendRefs") or ()
    )


def check(policy: PolicySpec) -> Iterator[Finding]:
    for index, item in enumerate(policy.to):
        if not item.rules and policy.target_ref.kind == "MeshGateway":
            message = "a gateway has no service of its own: without a rule its connections are refused"
            yield Finding(
                join("", "to", index, "rules"), NO_EFFECT, message, "add a rule with backendRefs", on_key=True
            )
        for place, rule in enumerate(item.rules or ()):
            at = join("", "to", index, "rules", place, "default", "backendRefs")
            for number, backend in enumerate(rule["default"]["backendRefs"]):
                yield from check_backend_ref(backend, join(at, number))


POLICY: Final = Policy(
    PolicyKind(
        type="MeshTCPRoute",
        conf=Route,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "Dataplane", "MeshGateway"}),
            to=frozenset({"MeshService", "MeshExternalService", "MeshMultiZoneService"}),
            to_under={"MeshGateway": frozenset({"Mesh"})},
            system_only=frozenset({"MeshGateway"}),
        ),
        shape_backends=shape_backends,
        check=check,
        concessions=(
            Concession(
                (),
                Matter.WAY,
                "{} routes the requests of the same calls wherever this one holds: no connection goes by this",
                "keep one of the two routes",
            ),
        ),
    )
)
