"""Calls from mesh to mesh: a gateway's listener that asks for certificates is a door, and strangers have none there."""

from compiler.review.access.reaching import find_edges
from tests.mesh.crossing import BASE, INNER, TO_EDGE, WEB, edge, gateway, mesh, proxy
from tests.review.access.test_why import ask
from tests.trees import compile_texts

ALSO = proxy("b", "old-1", TO_EDGE, "10.1.0.2")


def edges(*texts: str) -> set[tuple[str, str, int, bool]]:
    generation = compile_texts(*texts).value.generation
    assert generation is not None
    found = find_edges(generation.snapshots)
    return {(one.caller, one.service, one.port, one.identity) for one in found if one.service == "a/edge"}


def test_who_has_an_outbound_and_a_certificate_may_call() -> None:
    expected = {("b/web", "a/edge", 8080, True), ("b/old", "a/edge", 8080, True)}
    assert edges(*BASE, mesh("c", ""), WEB, ALSO, proxy("c", "plain-1", address="10.1.0.3")) == expected


def test_a_listener_for_strangers_is_no_door_of_the_mesh() -> None:
    assert edges(*BASE[:3], gateway(INNER.replace(", crossMesh: true", "")), WEB) == set()


def test_behind_an_ingress_the_gateway_is_told_by_the_name_that_is_asked_for() -> None:
    ingress = (
        "type: ZoneIngress\nname: west\nzone: west\n"
        "networking: {address: 10.9.0.1, port: 10001, advertisedAddress: 192.0.2.1, advertisedPort: 10002}\n"
    )
    east = WEB.replace("labels: {}", "labels: {kuma.io/zone: east}")
    found = edges(mesh("a"), mesh("b"), edge(zone="west"), gateway(INNER), ingress, east)
    assert found == {("b/web", "a/edge", 8080, True)}


def test_the_answer_leads_from_one_mesh_to_the_other() -> None:
    answer = ask("b/web", "a/edge", *BASE, WEB)
    assert answer.allowed
    assert answer.warning == ""
    (trace,) = answer.traces
    assert [(step.proxy, step.type) for step in trace.steps][-2:] == [("a.edge-1", "listeners")] * 2
    assert trace.steps[-1].says == "asks for a certificate of whatever mesh, and for no permission"
