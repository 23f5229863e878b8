"""Documents to a resource set: names, labels, sets of Dataplanes, and what documents say of each other."""

from collections.abc import Mapping
from typing import Any

import pytest

from compiler.diagnostics import Position, Severity
from compiler.resources.envelope import read_envelope
from compiler.resources.model import Dataplane, DataplaneSet, Mesh, MeshService, Policy, ResourceKey
from compiler.resources.validate import validate, validate_document
from tests.resources.build import MESH, check, dataplane, documents, findings, schemas

TIMEOUT = """
apiVersion: kuma.io/v1alpha1
kind: MeshTimeout
metadata:
  name: slow
  namespace: shop
  labels: {kuma.io/mesh: default, team: checkout}
  annotations: {owner: me}
spec:
  to:
  - targetRef: {kind: %s}
    default: {idleTimeout: 1h}
"""

SET = """
type: DataplaneSet
mesh: default
name: backend
labels: {app: backend}
spec:
  template:
    networking:
      inbound:
      - {name: http, port: 8080}
  instances:
  - {name: "1", address: 10.0.0.7, zone: east}
  - {name: "2", address: 10.0.0.8, labels: {version: v2}}
"""


def labels_of(text: str, key: ResourceKey) -> Mapping[str, str]:
    return check(text).value.resources[key].labels


def test_every_type_gets_the_spec_of_its_own() -> None:
    checked = check(
        MESH
        + """
---
type: MeshService
mesh: default
name: backend
spec: {selector: {dataplaneTags: {kuma.io/service: backend}}, ports: [{port: 80, targetPort: http}]}
---
type: MeshTimeout
mesh: default
name: t
spec: {rules: [{default: {idleTimeout: 1h}}]}
---
type: Dataplane
mesh: default
name: d
networking: {address: 10.0.0.1, transparent_proxying: {redirect_port_inbound: 1, redirect_port_outbound: 2}}
---
type: Zone
name: east
---
type: Secret
mesh: default
name: key
"""
    )
    assert checked.diagnostics == ()
    resources = checked.value.resources
    assert [key.type for key in resources] == ["Dataplane", "Mesh", "MeshService", "MeshTimeout", "Secret", "Zone"]
    assert list(resources) == sorted(resources)
    dataplane = resources[ResourceKey("Dataplane", "default", "d")].spec
    assert isinstance(dataplane, Dataplane)
    assert dataplane.networking.transparent_proxying is not None
    assert dataplane.networking.transparent_proxying.redirect_port_outbound == 2
    assert isinstance(resources[ResourceKey("MeshService", "default", "backend")].spec, MeshService)
    assert isinstance(resources[ResourceKey("MeshTimeout", "default", "t")].spec, Policy)
    assert isinstance(resources[ResourceKey("Mesh", "", "default")].spec, Mesh)


def test_tags_and_labels_keep_their_underscores() -> None:
    text = """
type: Dataplane
mesh: default
name: d
labels: {my_team: a}
networking: {address: 10.0.0.1, inbound: [{port: 80, service_port: 81, tags: {kuma.io/service: a, my_tag: b}}]}
"""
    [resource] = check(text).value.of_type("Dataplane")
    assert isinstance(resource.spec, Dataplane)
    [inbound] = resource.spec.networking.inbound
    assert (inbound.service_port, inbound.tags["my_tag"], resource.labels["my_team"]) == (81, "b", "a")


def test_a_whole_number_may_be_written_with_a_point() -> None:
    [resource] = check(
        "type: Dataplane\nmesh: default\nname: d\nnetworking: {address: a, inbound: [{port: 8080.0}]}"
    ).value.of_type("Dataplane")
    assert isinstance(resource.spec, Dataplane)
    assert resource.spec.networking.inbound[0].port == 8080


def test_an_empty_spec_on_kubernetes_is_none() -> None:
    checked = check("apiVersion: kuma.io/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec:\n")
    assert checked.diagnostics == ()
    assert [key.name for key in checked.value.resources] == ["default"]


def test_a_universal_resource_has_its_computed_labels() -> None:
    text = (
        "type: MeshTimeout\nmesh: default\nname: t\nlabels: {kuma.io/zone: east}\n"
        "spec: {rules: [{default: {idleTimeout: 1h}}]}"
    )
    assert labels_of(text, ResourceKey("MeshTimeout", "default", "t")) == {
        "kuma.io/display-name": "t",
        "kuma.io/env": "universal",
        "kuma.io/mesh": "default",
        "kuma.io/policy-role": "system",
        "kuma.io/zone": "east",
    }
    assert labels_of(MESH, ResourceKey("Mesh", "", "default")) == {"kuma.io/display-name": "default"}


TAGGED = "{port: 80, tags: {kuma.io/service: a, kuma.io/zone: east}}"
TAGGED_SET = f"""
type: DataplaneSet
mesh: default
name: s
spec:
  template: {{networking: {{inbound: [{TAGGED}]}}}}
  instances: [{{name: a, address: 10.0.0.1}}, {{name: b, address: 10.0.0.2, zone: west}}]
"""


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        (dataplane(f"address: 10.0.0.1\ninbound: [{TAGGED}, {{port: 81}}]"), ["east"]),
        (dataplane("address: 10.0.0.1\ngateway: {tags: {kuma.io/service: a, kuma.io/zone: west}}"), ["west"]),
        (TAGGED_SET, ["east", "west"]),
    ],
)
def test_a_proxy_of_kuma_2_stands_in_the_zone_that_its_tags_say(text: str, zones: list[str]) -> None:
    checked = check(f"{MESH}---\n{text}")
    assert checked.diagnostics == ()
    found = checked.value.resources.values()
    assert sorted(one.zone for one in found if one.key.type == "Dataplane") == zones


def test_a_tag_that_names_another_zone_than_the_label_or_another_tag_does_is_told_of() -> None:
    two = f"address: 10.0.0.1\ninbound: [{TAGGED}, {TAGGED.replace('80', '81').replace('east', 'west')}]"
    assert findings(dataplane(two)) == [("bad-label", "/networking/inbound/1/tags/kuma.io~1zone")]
    labelled = dataplane(two).replace("networking:", "labels: {kuma.io/zone: west}\nnetworking:")
    assert findings(labelled) == [("bad-label", "/networking/inbound/0/tags/kuma.io~1zone")]


def test_a_kubernetes_resource_has_its_namespace_in_its_name_and_labels() -> None:
    assert labels_of(TIMEOUT % "Mesh", ResourceKey("MeshTimeout", "default", "slow.shop")) == {
        "k8s.kuma.io/namespace": "shop",
        "kuma.io/display-name": "slow",
        "kuma.io/env": "kubernetes",
        "kuma.io/mesh": "default",
        "kuma.io/policy-role": "consumer",
        "team": "checkout",
    }


ROLES = {
    "MeshService, name: backend": "producer",
    "MeshService, name: backend, namespace: shop": "producer",
    "MeshService, name: backend, namespace: other": "consumer",
    "MeshService, labels: {a: b}": "consumer",
    "Mesh": "consumer",
}


@pytest.mark.parametrize("target", ROLES)
def test_a_policys_role_is_that_of_its_destinations(target: str) -> None:
    labels = labels_of(TIMEOUT % target, ResourceKey("MeshTimeout", "default", "slow.shop"))
    assert labels["kuma.io/policy-role"] == ROLES[target]


def test_a_policy_without_destinations_is_its_workload_owners() -> None:
    text = (TIMEOUT % "Mesh").replace("to:", "rules:").replace("targetRef: {kind: Mesh}\n    default", "default")
    labels = labels_of(text, ResourceKey("MeshTimeout", "default", "slow.shop"))
    assert labels["kuma.io/policy-role"] == "workload-owner"


@pytest.mark.parametrize("namespace", ["kuma-system", "kong-mesh-system"])
def test_a_policy_of_the_system_namespace_is_the_systems(namespace: str) -> None:
    text = (TIMEOUT % "MeshService, name: a").replace("namespace: shop", f"namespace: {namespace}")
    labels = labels_of(text, ResourceKey("MeshTimeout", "default", f"slow.{namespace}"))
    assert labels["kuma.io/policy-role"] == "system"


EXTERNAL = """
apiVersion: kuma.io/v1alpha1
kind: MeshExternalService
metadata: {name: api%s}
spec: {match: {port: 443}, endpoints: [{address: api.example, port: 443}]}
"""


@pytest.mark.parametrize(("namespace", "expected"), [("shop", [Severity.WARNING]), ("kuma-system", []), ("", [])])
def test_what_is_about_a_whole_mesh_stands_in_the_system_namespace(namespace: str, expected: list[Severity]) -> None:
    text = EXTERNAL % (f", namespace: {namespace}" if namespace else "")
    found = [one.level for one in check(MESH + "---" + text).diagnostics if one.path == "/metadata/namespace"]
    assert found == expected


def test_a_policy_for_both_kinds_of_destinations_is_refused() -> None:
    text = (TIMEOUT % "Mesh") + "  - targetRef: {kind: MeshService, name: a}\n    default: {idleTimeout: 1h}\n"
    assert ("bad-label", "/spec/to") in [(str(found.code), found.path) for found in check(text).diagnostics]


@pytest.mark.parametrize(("namespace", "refused"), [("shop", True), ("kuma-system", False)])
def test_a_policy_of_a_namespace_is_for_calls_of_one_direction(namespace: str, refused: bool) -> None:
    text = (TIMEOUT % "Mesh").replace("namespace: shop", f"namespace: {namespace}")
    text += "  from:\n  - targetRef: {kind: Mesh}\n    default: {idleTimeout: 1h}\n"
    found = [(str(found.code), found.path) for found in check(text).diagnostics]
    assert (("exclusive-fields", "/spec/from") in found) is refused


MESHES = {
    "labels: {kuma.io/mesh: one}": "one",
    "annotations: {kuma.io/mesh: one}": "one",
    "labels: {kuma.io/mesh: one}, annotations: {kuma.io/mesh: two}": "one",
    "annotations: {team: shop}": "default",
}


@pytest.mark.parametrize("metadata", MESHES)
def test_a_kubernetes_objects_mesh_is_that_of_its_label_then_of_its_annotation(metadata: str) -> None:
    text = f"apiVersion: kuma.io/v1alpha1\nkind: MeshTrace\nmetadata: {{name: t, {metadata}}}\nspec: {{}}"
    [document] = documents(text)
    assert read_envelope("MeshTrace", document.value).mesh == MESHES[metadata]


def test_a_set_stands_for_its_instances() -> None:
    checked = check(MESH + "---" + SET)
    assert checked.diagnostics == ()
    first, second = checked.value.of_type("Dataplane", "default")
    assert isinstance(first.spec, Dataplane)
    assert isinstance(second.spec, Dataplane)
    assert (first.key.name, first.spec.networking.address, first.zone) == ("backend-1", "10.0.0.7", "east")
    assert (second.spec.networking.address, second.zone) == ("10.0.0.8", "")
    assert first.spec.networking.inbound == second.spec.networking.inbound
    assert second.labels == {
        "app": "backend",
        "kuma.io/display-name": "backend-2",
        "kuma.io/env": "universal",
        "kuma.io/mesh": "default",
        "version": "v2",
    }
    [whole] = checked.value.of_type("DataplaneSet")
    assert isinstance(whole.spec, DataplaneSet)


def test_a_set_with_registration_stands_for_itself() -> None:
    text = MESH + (
        "---\ntype: DataplaneSet\nmesh: default\nname: b\n"
        "spec: {template: {networking: {}}, registration: {cidrs: [10.0.0.0/8]}}"
    )
    checked = check(text)
    assert [(each.code.word, each.level) for each in checked.diagnostics] == [("not-supported-yet", Severity.WARNING)]
    assert [key.type for key in checked.value.resources] == ["DataplaneSet", "Mesh"]


def test_an_instances_values_are_found_in_the_template_or_in_its_own_entry() -> None:
    resources = check(SET).value
    second = ResourceKey("Dataplane", "default", "backend-2")
    assert resources.position(second) == Position("mesh.yaml", 13, 5)
    assert resources.position(second, "/networking/inbound/0/port") == Position("mesh.yaml", 10, 28)
    assert resources.position(second, "/networking/address") == Position("mesh.yaml", 13, 26)
    assert resources.sources[second].path("/networking/inbound") == "/spec/template/networking/inbound"


def test_a_value_of_a_spec_is_found_whatever_the_envelope() -> None:
    kubernetes = check(TIMEOUT % "Mesh").value
    key = ResourceKey("MeshTimeout", "default", "slow.shop")
    assert kubernetes.position(key, "/to/0/default/idleTimeout") == Position("mesh.yaml", 12, 28)
    assert kubernetes.position(key, "/to/0/default/idleTimeout", on_key=True) == Position("mesh.yaml", 12, 15)
    assert kubernetes.subject(key).name == "slow.shop"
    universal = check("type: Mesh\nname: m\nmesh_services: {mode: Exclusive}").value
    assert universal.position(ResourceKey("Mesh", "", "m"), "/meshServices/mode") == Position("mesh.yaml", 3, 23)


def test_a_comment_changes_no_resource() -> None:
    plain, commented = check(MESH + "---" + SET), check("# more\n" + MESH + "---\n# words" + SET)
    assert plain.value == commented.value
    assert plain.value.resources == commented.value.resources
    assert plain.value != check(MESH).value


def test_two_documents_for_one_resource_are_refused_with_both_places() -> None:
    checked = check(MESH + "---" + MESH)
    [found] = checked.diagnostics
    assert (str(found.code), str(found.position)) == ("duplicate-resource", "mesh.yaml:5:1")
    assert "mesh.yaml:2:1" in found.message


def test_an_instance_can_be_the_second_of_two() -> None:
    text = MESH + "---" + SET + "---\ntype: Dataplane\nmesh: default\nname: backend-1\nnetworking: {address: 10.0.0.9}"
    assert [str(found.code) for found in check(text).diagnostics] == ["duplicate-resource"]


def test_the_same_name_in_two_meshes_is_two_resources() -> None:
    text = (
        "type: Mesh\nname: a\n---\ntype: Mesh\nname: b\n---\n"
        "type: Secret\nmesh: a\nname: s\n---\ntype: Secret\nmesh: b\nname: s"
    )
    checked = check(text)
    assert (checked.diagnostics, len(checked.value.resources)) == ((), 4)


def test_a_mesh_that_does_not_exist_is_an_error() -> None:
    [found] = check(MESH + "---\ntype: Secret\nmesh: defautl\nname: s").diagnostics
    assert (str(found.code), str(found.position), found.level) == ("unknown-mesh", "mesh.yaml:6:7", Severity.ERROR)
    assert found.hint == "did you mean default?"


def test_where_there_is_no_mesh_at_all_its_absence_is_a_warning() -> None:
    [found] = check("type: Secret\nmesh: default\nname: s").diagnostics
    assert (str(found.code), found.level) == ("unknown-mesh", Severity.WARNING)


def test_a_mesh_with_a_mistake_counts_as_there() -> None:
    text = "type: Mesh\nname: default\nmtls: 5\n---\ntype: Secret\nmesh: default\nname: s"
    assert [str(found.code) for found in check(text).diagnostics] == ["wrong-type"]


def test_a_zone_that_does_not_exist_is_a_warning_where_there_are_zones() -> None:
    with_zone = MESH + "---\ntype: Zone\nname: west\n---" + SET
    [found] = check(with_zone).diagnostics
    assert (str(found.code), found.level, str(found.position)) == ("unknown-zone", Severity.WARNING, "mesh.yaml:18:42")
    assert check(MESH + "---" + SET).diagnostics == ()


ON_KUBERNETES = "apiVersion: kuma.io/v1alpha1\nkind: ZoneIngress\nmetadata: {name: i, namespace: kuma-system}\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("type: ZoneEgress\nname: e\nzone: esat\nnetworking: {address: 10.0.0.1, port: 10002}", "/zone"),
        (f"{ON_KUBERNETES}spec: {{zone: esat, networking: {{address: 10.0.0.1, port: 10001}}}}", "/spec/zone"),
    ],
)
def test_the_zone_of_a_zone_proxy_is_looked_for_too(text: str, path: str) -> None:
    [found] = check(f"{MESH}---\ntype: Zone\nname: east\n---\n{text}").diagnostics
    assert (str(found.code), found.path, found.hint) == ("unknown-zone", path, "did you mean east?")


ESAT = "tags: {kuma.io/service: a, kuma.io/zone: esat}"
INBOUNDS = "inbound: [{port: 1, tags: {kuma.io/service: a}}, {port: 2, %s}]"
PROXY = "type: Dataplane\nmesh: default\nname: a\nnetworking: {address: 10.0.0.1, %s}"
TEMPLATE = "{template: {networking: {%s}}, instances: [{name: b, address: 10.0.0.1, labels: {%s}}]}"
OF_SET = f"type: DataplaneSet\nmesh: default\nname: a\nspec: {TEMPLATE}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (PROXY % INBOUNDS % ESAT, "/networking/inbound/1/tags/kuma.io~1zone"),
        (f"labels: {{kuma.io/zone: esat}}\n{PROXY % INBOUNDS % ESAT}", "/labels/kuma.io~1zone"),
        (PROXY % f"gateway: {{{ESAT}}}", "/networking/gateway/tags/kuma.io~1zone"),
        (OF_SET % (f"inbound: [{{port: 1, {ESAT}}}]", ""), "/spec/template/networking/inbound/0/tags/kuma.io~1zone"),
        (OF_SET % ("inbound: [{port: 1}]", "kuma.io/zone: esat"), "/spec/instances/0/labels/kuma.io~1zone"),
    ],
)
def test_a_zone_that_does_not_exist_is_shown_where_the_proxy_says_it(text: str, path: str) -> None:
    found = check(f"{MESH}---\ntype: Zone\nname: east\n---\n{text}").diagnostics
    told = {(str(each.code), each.path, each.hint) for each in found}
    assert told == {("unknown-zone", path, "did you mean east?")}


NAMES = {
    "Mesh": "type: Mesh\nname: {}",
    "Zone": "type: Zone\nname: {}",
    "MeshService": (
        "type: MeshService\nmesh: default\nname: {}\n"
        "spec: {{selector: {{dataplaneRef: {{name: a}}}}, ports: [{{port: 1}}]}}"
    ),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_kuma_warns_of_is_a_warning_and_a_long_one_an_error(kind: str) -> None:
    for name, level in (("a.b", Severity.WARNING), ("1a", Severity.WARNING), ("a" * 64, Severity.ERROR)):
        found = [each for each in check(NAMES[kind].format(name)).diagnostics if str(each.code) == "bad-name"]
        assert [each.level for each in found] == [level]


FOREIGN = """
apiVersion: apps/v1
kind: Deployment
---
type: library
name: x
---
services: {}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {password: aHVudGVyMg==}
"""


def test_foreign_yaml_is_counted_and_not_judged() -> None:
    checked = check(MESH + "---" + FOREIGN)
    assert checked.diagnostics == ()
    counts = checked.value.counts
    assert (counts.files, counts.documents, counts.resources, counts.ignored) == (1, 5, 1, 4)


def test_the_settings_are_no_document_of_the_mesh() -> None:
    checked = validate(documents("type: nonsense", "meshwright.yaml"), schemas())
    assert (checked.value.counts.documents, checked.diagnostics) == (0, ())


def test_one_document_is_judged_by_itself() -> None:
    [foreign] = documents("kind: Deployment")
    assert validate_document(foreign, schemas()).value is None
    [mesh] = documents(MESH)
    checked = validate_document(mesh, schemas())
    assert checked.value is not None
    assert [resource.key.type for resource in checked.value] == ["Mesh"]


def test_the_order_of_documents_changes_nothing() -> None:
    every: tuple[Any, ...] = (*documents(MESH), *documents(SET, "a.yaml"), *documents(TIMEOUT % "Mesh", "b.yaml"))
    assert list(validate(every, schemas()).value.resources) == list(validate(every[::-1], schemas()).value.resources)
