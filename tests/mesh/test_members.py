"""A service that nothing stands behind is told of where that is likely a mistake, and refused nowhere."""

import pytest

from compiler.diagnostics import Diagnostic
from compiler.pipeline import Compiler
from tests.trees import SCHEMAS, codes, compile_texts

MESH = "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\nmeshServices: {mode: Exclusive}\n"
PROXY = """
type: Dataplane
mesh: default
name: orders-1
labels: {app: orders}
networking:
  address: 10.0.0.1
  inbound: [{port: 8080, name: http, tags: {kuma.io/service: orders-tag}}, {port: 9090}]
"""
LABELLED = "{dataplaneLabels: {matchLabels: {app: orders}}}"
TAGGED = "{dataplaneTags: {kuma.io/service: orders-tag}}"
REFERRING = "{dataplaneRef: {name: orders-1}}"


def service(selector: str, ports: str = "[{port: 80, targetPort: http}]", zone: str = "") -> str:
    labels = f"labels: {{kuma.io/zone: {zone}}}\n" if zone else ""
    return f"type: MeshService\nmesh: default\nname: orders\n{labels}spec: {{selector: {selector}, ports: {ports}}}\n"


def several(labels: str, ports: str = "[{port: 80}]") -> str:
    selector = f"{{meshService: {{matchLabels: {labels}}}}}"
    head = "type: MeshMultiZoneService\nmesh: default\nname: everywhere\n"
    return f"{head}spec: {{selector: {selector}, ports: {ports}}}\n"


def found(*texts: str, compiler: Compiler | None = None) -> list[Diagnostic]:
    checked = compile_texts(MESH, *texts, compiler=compiler)
    assert checked.value.generation is not None, checked.diagnostics
    return [one for one in checked.diagnostics if one.code.word == "empty-service"]


@pytest.mark.parametrize("selector", [LABELLED, TAGGED, REFERRING])
def test_a_service_with_proxies_is_in_order(selector: str) -> None:
    assert found(PROXY, service(selector), several("{kuma.io/display-name: orders}")) == []


@pytest.mark.parametrize(
    ("selector", "path", "message"),
    [
        (
            LABELLED.replace("orders", "ordres"),
            "/spec/selector",
            "no proxy of mesh 'default' is selected by this service",
        ),
        (
            TAGGED.replace("orders", "ordres"),
            "/spec/selector",
            "no proxy of mesh 'default' is selected by this service",
        ),
        (
            REFERRING.replace("orders", "ordres"),
            "/spec/selector/dataplaneRef",
            "mesh 'default' has no Dataplane 'ordres-1' that takes its calls",
        ),
    ],
)
def test_a_service_that_no_proxy_is_selected_by_is_a_warning_at_its_selector(
    selector: str, path: str, message: str
) -> None:
    (one,) = found(PROXY, service(selector))
    assert (one.path, one.message, one.level.value) == (path, message, "warning")


def test_a_port_that_meets_no_inbound_is_named_with_those_that_there_are() -> None:
    ports = "[{port: 80, targetPort: http}, {port: 81, targetPort: htpp}, {port: 82, targetPort: 8082}, {port: 9090}]"
    by_name, by_number = found(PROXY, service(LABELLED, ports))
    assert (by_name.path, by_name.message) == (
        "/spec/ports/1",
        "no inbound of its proxies has the name 'htpp', where calls to port 81 go",
    )
    assert (by_number.path, by_number.message) == (
        "/spec/ports/2",
        "no inbound of its proxies has the port 8082, where calls to port 82 go",
    )
    assert by_name.hint == by_number.hint == "they have 8080 (http), 9090"


def test_proxies_that_register_themselves_count() -> None:
    fleet = """
type: DataplaneSet
mesh: default
name: orders
labels: {app: orders}
spec: {registration: {cidrs: [10.9.0.0/16]}, template: {networking: {inbound: [{port: 8080, name: http}]}}}
"""
    assert found(fleet, service(LABELLED)) == []
    assert len(found(fleet, service(LABELLED, "[{port: 80}]"))) == 1


def test_a_service_of_a_zone_whose_proxies_are_elsewhere_is_left_alone() -> None:
    """One of a zone that has proxies here is compared with those."""
    east = PROXY.replace("{app: orders}", "{app: orders, kuma.io/zone: east}")
    west = PROXY.replace("{app: orders}", "{app: other, kuma.io/zone: west}").replace("orders-1", "other-1")
    assert found(east, service(LABELLED, zone="west")) == []
    (one,) = found(east, west, service(LABELLED, zone="west"))
    assert one.message == "no proxy of mesh 'default' in zone 'west' is selected by this service"


def test_a_repository_without_proxies_has_them_elsewhere() -> None:
    assert found(service(LABELLED)) == []


def test_a_zone_that_is_switched_off_is_no_mistake_of_its_services() -> None:
    east = PROXY.replace("{app: orders}", "{app: orders, kuma.io/zone: east}")
    assert found(east, service(LABELLED, zone="east"), "{type: Zone, name: east, enabled: false}") == []


def test_a_port_of_several_zones_is_met_by_its_name_or_else_by_its_number() -> None:
    one = service(LABELLED, "[{port: 80, name: web, targetPort: http}]")
    assert found(PROXY, one, several("{kuma.io/display-name: orders}")) == []
    assert found(PROXY, one, several("{kuma.io/display-name: orders}", "[{port: 9, name: web}]")) == []
    assert len(found(PROXY, one, several("{kuma.io/display-name: orders}", "[{port: 80, name: other}]"))) == 1


def test_services_that_a_service_of_several_zones_asks_for_are_looked_for() -> None:
    (nobody,) = found(PROXY, several("{app: ordres}"))
    assert (nobody.path, nobody.message) == (
        "/spec/selector/meshService",
        "no MeshService of the mesh has these labels",
    )
    asked = several("{kuma.io/display-name: orders}", "[{port: 80}, {port: 81}]")
    (port,) = found(PROXY, service(LABELLED), asked)
    assert (port.path, port.message) == ("/spec/ports/1", "none of its MeshServices has the port '81'")


def test_proxies_that_come_and_go_are_followed_as_from_the_beginning() -> None:
    compiler, orders = Compiler(SCHEMAS), service(LABELLED)
    other = PROXY.replace("orders", "other").replace("10.0.0.1", "10.0.0.2")
    for texts in ((orders, other), (orders, other, PROXY), (orders, PROXY), (orders,), (orders, other)):
        assert found(*texts, compiler=compiler) == found(*texts)
    assert len(found(orders, other, compiler=compiler)) == 1


def test_a_proxy_more_has_no_service_looked_at_again() -> None:
    compiler, orders = Compiler(SCHEMAS), service(LABELLED.replace("orders", "ordres"))
    proxies = [PROXY.replace("orders-1", f"orders-{n}").replace("10.0.0.1", f"10.0.0.{n}") for n in range(1, 12)]
    found(orders, *proxies[:-1], compiler=compiler)
    assert compiler.memo.computed["inhabited"] == 1
    assert len(found(orders, *proxies, compiler=compiler)) == 1
    assert compiler.memo.computed["inhabited"] == 1


def test_a_file_that_cannot_be_read_may_hold_the_proxies() -> None:
    checked = compile_texts(MESH, PROXY, service(LABELLED.replace("orders", "ordres")), "type: Dataplane\n: [\n")
    assert "empty-service" not in codes(checked)
