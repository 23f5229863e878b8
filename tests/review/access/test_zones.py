"""Who reaches whom through the proxies between zones: judged where the call is let in, not where it passes by."""

from compiler.review.access.edge import Edge
from compiler.review.access.reaching import find_edges
from tests.mesh.test_zones import (
    BIN,
    EAST,
    EGRESS,
    INGRESS,
    LEAVING,
    MESH,
    OUTSIDE,
    TO_BIN,
    TO_OUTSIDE,
    WEB,
    WEST,
    allows,
    compiled,
)

PERMISSION = """\
type: MeshTrafficPermission
mesh: default
name: to-api
spec:
  targetRef: {kind: Mesh}
  rules: [{default: {allow: [{spiffeID: {type: Exact, value: spiffe://default/web}}]}}]
"""
FORBIDS = f"{MESH}routing: {{defaultForbidMeshExternalServiceAccess: true}}\n"
PAY = "external/kri_extsvc_default___pay_443"


def edges(*documents: str) -> set[tuple[str, str, int]]:
    generation = compiled(*documents).value.generation
    found: frozenset[Edge] = find_edges(generation.snapshots)
    return {(edge.caller, edge.service, edge.port) for edge in found if edge.identity}


def test_a_service_of_another_zone_is_reached_through_its_ingress_if_it_admits_the_caller() -> None:
    assert edges(MESH, WEB, WEST, INGRESS, PERMISSION) == {("default/web", "default/api", 8080)}
    assert edges(MESH, WEB, WEST, INGRESS) == set()


def test_an_external_service_of_2_is_reached_by_an_egress_where_a_permission_says_so() -> None:
    found = ("default/web", "external/kri_msvc_default___bin_", 8443)
    assert found not in edges(LEAVING, WEB + TO_BIN, BIN, EGRESS)
    assert found in edges(LEAVING, WEB + TO_BIN, BIN, EGRESS, allows("a", "bin"))


def test_through_an_egress_a_call_is_the_same() -> None:
    mesh = f"{MESH}routing: {{zoneEgress: true}}\n"
    assert edges(mesh, WEB, EAST, WEST, INGRESS, EGRESS, PERMISSION) == {("default/web", "default/api", 8080)}


def test_an_egress_lets_those_out_whom_permissions_admit_where_the_mesh_asks_for_them() -> None:
    web = WEB + TO_OUTSIDE
    assert ("default/web", PAY, 443) in edges(MESH, web, EAST, OUTSIDE, EGRESS)
    assert ("default/web", PAY, 443) not in edges(FORBIDS, web, EAST, OUTSIDE, EGRESS)
    assert ("default/web", PAY, 443) in edges(FORBIDS, web, EAST, OUTSIDE, EGRESS, PERMISSION)
