"""Host names of services: what makes them, whom they stand for, and where they are in each other's way."""

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.mesh.hostnames import hostnames
from compiler.pipeline import Compiler
from compiler.resources.model import ResourceKey
from compiler.resources.templates import fill_template
from tests.trees import SCHEMAS, tree_of

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
CASES = [
    path.parent for family in ("global", "zone") for path in CORPUS.glob(f"inspect-hostnames-{family}/*/expected.json")
]
MESH = "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\n"
SERVICES = """
type: MeshService
name: orders
mesh: default
labels: {team: a_team}
spec: {selector: {dataplaneRef: {name: web}}, ports: [{port: 80}]}
---
type: MeshExternalService
name: github
mesh: default
spec: {match: {port: 443}, endpoints: [{address: 192.0.2.1, port: 443}]}
---
type: MeshMultiZoneService
name: orders
mesh: default
spec: {selector: {meshService: {matchLabels: {team: a_team}}}, ports: [{port: 80}]}
"""


def generator(name: str, selector: str, template: str) -> str:
    return f"type: HostnameGenerator\nname: {name}\nspec: {{selector: {{{selector}}}, template: '{template}'}}\n"


def names(compiler: Compiler, kind: str, name: str) -> tuple[str, ...]:
    return hostnames(compiler.memo, ResourceKey(kind, "default", name), "")


def compiled(*texts: str) -> tuple[Compiler, list[tuple[str, str]]]:
    compiler = Compiler(SCHEMAS)
    files = {f"{number}.yaml": text for number, text in enumerate((MESH, SERVICES, *texts))}
    found = compiler.compile(tree_of(files)).diagnostics
    return compiler, [
        (one.code.word, one.path) for one in found if "hostname" in one.code.word or one.path == "/spec/template"
    ]


def test_without_a_generator_names_are_those_that_kuma_gives() -> None:
    compiler, _ = compiled()
    assert names(compiler, "MeshService", "orders") == ("orders.svc.mesh.local",)
    assert names(compiler, "MeshExternalService", "github") == ("github.extsvc.mesh.local",)
    assert names(compiler, "MeshMultiZoneService", "orders") == ("orders.mzsvc.mesh.local",)


KUBERNETES = """
apiVersion: kuma.io/v1alpha1
kind: %s
metadata: {name: %s, namespace: %s, labels: {%s}}
spec: {%s}
"""


@pytest.mark.parametrize(
    ("kind", "namespace", "labels", "spec", "name"),
    [
        ("MeshService", "shop", "", "ports: [{port: 80}]", "cart.shop.svc.mesh.local"),
        ("MeshService", "shop", "kuma.io/zone: east", "ports: [{port: 80}]", "cart.shop.svc.east.mesh.local"),
        (
            "MeshService",
            "shop",
            (
                "k8s.kuma.io/is-headless-service: 'true', statefulset.kubernetes.io/pod-name: db-0, "
                "k8s.kuma.io/service-name: db, kuma.io/zone: east"
            ),
            "ports: [{port: 80}]",
            "db-0.db.shop.svc.east.mesh.local",
        ),
        ("MeshExternalService", "kuma-system", "", "match: {port: 443}", "cart.extsvc.mesh.local"),
        (
            "MeshMultiZoneService",
            "kuma-system",
            "",
            "selector: {meshService: {matchLabels: {a: b}}}, ports: [{port: 80}]",
            "cart.mzsvc.mesh.local",
        ),
    ],
)
def test_on_kubernetes_a_namespace_is_part_of_a_mesh_services_name(
    kind: str, namespace: str, labels: str, spec: str, name: str
) -> None:
    compiler, _ = compiled(KUBERNETES % (kind, "cart", namespace, labels, spec))
    assert names(compiler, kind, f"cart.{namespace}") == (name,)


def test_a_generator_names_what_its_selector_means_and_nothing_else_has_a_name() -> None:
    template = '{{ .DisplayName }}.{{ label "team" | replace "_" "-" }}.{{ .Mesh }}'
    compiler, found = compiled(generator("one", "meshService: {matchLabels: {team: a_team}}", template))
    assert names(compiler, "MeshService", "orders") == ("orders.a-team.default",)
    assert names(compiler, "MeshExternalService", "github") == ()
    assert found == []


def test_several_generators_may_name_one_service() -> None:
    two = generator("b", "meshService: {matchLabels: {}}", "b.{{ .Name }}")
    one = generator("a", "meshService: {matchLabels: {}}", "a.{{ .Name }}")
    compiler, found = compiled(two, one)
    assert names(compiler, "MeshService", "orders") == ("a.orders", "b.orders")
    assert found == []


def test_one_name_for_two_services_is_refused_where_the_second_gets_it() -> None:
    first = generator("a", "meshMultiZoneService: {matchLabels: {}}", "{{ .DisplayName }}.shop")
    second = generator("b", "meshService: {matchLabels: {}}", "{{ .DisplayName }}.shop")
    _, found = compiled(first, second)
    assert found == [("hostname-collision", "/spec/template")]


def test_a_label_that_a_service_lacks_leaves_it_without_a_name_and_is_told() -> None:
    compiler, found = compiled(generator("a", "meshExternalService: {matchLabels: {}}", '{{ label "team" }}.shop'))
    assert names(compiler, "MeshExternalService", "github") == ()
    assert found == [("no-effect", "/spec/template")]


def test_parts_may_be_trimmed_and_replaced_more_than_once() -> None:
    filled = fill_template('{{- .Name | replace "a" "b" | replace "b" "c" -}}.x', {"Name": "aab"}, {})
    assert filled == "ccc.x"


@pytest.mark.skipif(not CORPUS.exists(), reason="the acceptance corpus is not beside the repository")
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_service_of_the_corpus_has_the_expected_names(case: Path) -> None:
    expected: dict[str, Any] = json.loads((case / "expected.json").read_text())
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree_of({path.name: path.read_text() for path in (case / "input").glob("*.yaml")}))
    kinds = {"meshservices": "MeshService", "meshexternalservices": "MeshExternalService"}
    kind = kinds.get(expected["query"]["collection"], "MeshMultiZoneService")
    wanted = [one["hostname"] for one in expected["expect"]["hostnames"]]
    assert sorted(names(compiler, kind, expected["query"]["name"])) == sorted(wanted)
