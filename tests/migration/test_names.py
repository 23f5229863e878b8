"""What becomes of host names where a HostnameGenerator takes the place of a VirtualOutbound."""

import re

from compiler.migration.migrate import migrate, migrated_tree
from compiler.pipeline import Compiler
from compiler.resources.settings import Settings
from compiler.source.tree import SourceTree
from tests.migration.test_migrate import MESH
from tests.trees import SCHEMAS, tree_of

VIRTUAL = """
type: VirtualOutbound
mesh: default
name: legacy
selectors: [{match: {kuma.io/service: '*'}}]
conf:
  host: '{{.svc}}.legacy.mesh'
  port: '80'
  parameters: [{name: svc, tagKey: kuma.io/service}]
"""
ON_KUBERNETES = """
---
type: Dataplane
mesh: default
name: kv-1
networking: {address: 10.0.0.3, inbound: [{port: 5050, tags: {kuma.io/service: kv_kuma-demo_svc_5050}}]}
"""
KV = """---
apiVersion: kuma.io/v1alpha1
kind: MeshService
metadata: {name: kv, namespace: kuma-demo, labels: {kuma.io/mesh: default}}
spec: {selector: {dataplaneTags: {kuma.io/service: kv_kuma-demo_svc_5050}}, ports: [{port: 5050}]}
"""
GENERATOR = """---
type: HostnameGenerator
name: usual
spec: {template: '{{ .DisplayName }}.svc.mesh.local', selector: {meshService: {matchLabels: {kuma.io/mesh: default}}}}
"""


def _differing(mesh: str, outbound: str = VIRTUAL) -> list[str]:
    found = migrate(tree_of({"mesh.yaml": mesh, "policies.yaml": outbound}), Settings(), SCHEMAS).differing
    return [one.message for one in found if not one.message.startswith("a MeshService has ports of its own")]


def _names(mode: str, more: str = "") -> list[str]:
    mesh = MESH.replace("name: default\n", f"name: default\nmeshServices: {{mode: {mode}}}\n", 1)
    return _differing(mesh + more)


def test_names_that_no_generator_gives_any_more_are_told() -> None:
    assert _names("Everywhere", GENERATOR) == []
    assert _names("Everywhere", ON_KUBERNETES + GENERATOR) == [
        "names are those of MeshServices, no more of tags: kv_kuma-demo_svc_5050.legacy.mesh is gone"
    ]


def test_on_kubernetes_the_new_name_is_told() -> None:
    assert _names("Everywhere", ON_KUBERNETES + KV + GENERATOR) == [
        "names are those of MeshServices, no more of tags: kv_kuma-demo_svc_5050.legacy.mesh is kv.legacy.mesh then"
    ]


def test_what_is_told_of_names_is_what_is_compiled() -> None:
    """The proxies' own tables of names, before and after."""
    redirected = "networking:\n  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}\n"
    mesh = (MESH + ON_KUBERNETES + KV + GENERATOR).replace("networking:\n", redirected, 1)
    mesh = mesh.replace("name: default\n", "name: default\nmeshServices: {mode: Everywhere}\n", 1)
    tree = tree_of({"mesh.yaml": mesh, "policies.yaml": VIRTUAL})
    before, after = _resolved(tree), _resolved(migrated_tree(tree, migrate(tree, Settings(), SCHEMAS)))
    assert before - after == {"kv_kuma-demo_svc_5050.legacy.mesh"}
    assert after - before == {"kv.legacy.mesh"}


def _resolved(tree: SourceTree) -> set[str]:
    generation = Compiler(SCHEMAS).compile(tree).value.generation
    assert generation is not None
    texts = (
        one.json.decode() for each in generation.snapshots["default.web-1"].resources.values() for one in each.values()
    )
    return {name for text in texts for name in re.findall(r"[a-z0-9._-]+\.mesh(?:\.local)?", text)}


def test_where_nothing_is_called_by_its_ports_no_name_is_left() -> None:
    [said] = _names("Disabled")
    assert said.startswith("meshServices.mode of mesh 'default' is Disabled, and no MeshService has a name there: ")
    assert said.endswith(": backend.legacy.mesh and web.legacy.mesh are gone; set it to Everywhere before")


def test_the_first_generator_takes_the_names_that_services_have_without_one() -> None:
    said = "services have names by themselves only while there is no HostnameGenerator"
    assert _names("Exclusive") == [f"{said}: backend.svc.mesh.local and web.svc.mesh.local are gone"]


def test_names_are_for_those_who_list_what_they_reach_where_the_mesh_says_so() -> None:
    [said] = _names("ReachableBackends", GENERATOR)
    assert said.endswith("are for proxies with reachableBackends alone")


def test_without_any_proxy_it_is_told_how_names_are_made() -> None:
    mesh = "type: Mesh\nname: default\nmeshServices: {mode: Everywhere}\n"
    [said] = _differing(mesh)
    assert "kv_demo_svc_80 is kv then" in said
    assert _differing(mesh, VIRTUAL.replace("kuma.io/service}", "kuma.io/zone}")) == []
