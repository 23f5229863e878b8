"""MeshServices of the Services among manifests: which there are, what they say, and that callers reach them by name."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.inject.files import Injected
from compiler.inject.mesh_documents import MeshDocument
from compiler.inject.mesh_services import name_of_pod
from compiler.inject.service_documents import SERVICES, Standing
from compiler.inject.services import Service
from compiler.inject.settings import InjectSettings
from compiler.pipeline import Compiler
from compiler.snapshot.snapshot import Snapshot
from tests.inject.manifests import DEFAULTS, NAMESPACE, SERVICE, codes, deployment, inject
from tests.resources.build import schemas
from tests.trees import tree_of

DERIVING = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.244.0.0/16",), zone="east"))
HEADLESS = SERVICE.replace("spec:\n", "spec:\n  clusterIP: None\n")
MESH = """
type: Mesh
name: default
meshServices: {mode: Exclusive}
---
type: Zone
name: east
"""
NAMES = """
type: HostnameGenerator
name: as-in-the-cluster
spec:
  selector: {meshService: {matchLabels: {k8s.kuma.io/is-headless-service: 'false'}}}
  template: '{{ .DisplayName }}.{{ .Namespace }}.svc.cluster.local'
"""


def pod(name: str = "web-0") -> str:
    """One of a StatefulSet that runs, so that its address is known."""
    value = yaml.safe_load(deployment())["spec"]["template"]
    value["metadata"] |= {"name": name, "namespace": "shop"}
    value["metadata"]["labels"] |= {"statefulset.kubernetes.io/pod-name": name}
    value |= {"apiVersion": "v1", "kind": "Pod", "status": {"podIP": f"10.244.0.{10 + int(name[-1])}"}}
    return yaml.safe_dump(value)


def derived(*texts: str, settings: InjectSettings = DERIVING) -> Injected:
    return inject(*texts, settings=settings, derives=True)


def services(done: Injected) -> list[MeshDocument]:
    return [each for each in done.documents if each.folder == SERVICES]


def values(*texts: str, settings: InjectSettings = DERIVING) -> list[dict[str, Any]]:
    done = derived(*texts, settings=settings)
    assert codes(done) == []
    return [yaml.safe_load(each.text) for each in services(done)]


def wanting(mesh_services: str) -> InjectSettings:
    return replace(DERIVING, dataplanes=replace(DERIVING.dataplanes, mesh_services=mesh_services))


def mesh_of_mode(mode: str) -> str:
    spec = f"spec: {{meshServices: {{mode: {mode}}}}}\n" if mode else ""
    return f"apiVersion: kuma.io/v1alpha1\nkind: Mesh\nmetadata: {{name: default}}\n{spec}"


def test_a_service_is_a_mesh_service_of_the_same_name() -> None:
    [value] = values(NAMESPACE, SERVICE.replace("shop}", "shop, labels: {team: a}}"))
    assert value == {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshService",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {
                "k8s.kuma.io/is-headless-service": "false",
                "k8s.kuma.io/service-name": "web",
                "kuma.io/env": "kubernetes",
                "kuma.io/managed-by": "k8s-controller",
                "kuma.io/mesh": "default",
                "kuma.io/zone": "east",
                "team": "a",
            },
        },
        "spec": {
            "selector": {"dataplaneLabels": {"matchLabels": {"app": "web", "k8s.kuma.io/namespace": "shop"}}},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}],
        },
    }


@pytest.mark.parametrize(
    ("port", "wanted"),
    [
        ("{port: 80}", {"name": "80", "port": 80, "targetPort": 80, "appProtocol": "tcp"}),
        ("{port: 80, targetPort: 8080}", {"name": "80", "port": 80, "targetPort": 8080, "appProtocol": "tcp"}),
        (
            "{port: 80, appProtocol: GRPC, name: a}",
            {"name": "a", "port": 80, "targetPort": 80, "appProtocol": "grpc"},
        ),
    ],
)
def test_a_port_says_what_kubernetes_would_assume(port: str, wanted: dict[str, Any]) -> None:
    [value] = values(NAMESPACE, SERVICE.replace("{name: http, port: 80, targetPort: http, appProtocol: http}", port))
    assert value["spec"]["ports"] == [wanted]


def test_a_port_that_is_no_tcp_one_is_left_out() -> None:
    [value] = values(NAMESPACE, SERVICE + "  - {name: dns, port: 53, protocol: UDP}\n")
    assert [port["port"] for port in value["spec"]["ports"]] == [80]


def test_what_the_mesh_does_not_speak_is_tcp_as_at_the_inbound() -> None:
    done = derived(NAMESPACE, SERVICE.replace("http}", "mongo}"))
    assert [each.code.word for each in done.diagnostics] == ["unknown-protocol"]
    [document] = services(done)
    assert yaml.safe_load(document.text)["spec"]["ports"][0]["appProtocol"] == "tcp"


def test_a_label_that_does_not_count_selects_nothing() -> None:
    settings = replace(DERIVING, dataplanes=replace(DERIVING.dataplanes, ignored_selector_labels=("hash",)))
    [value] = values(NAMESPACE, SERVICE.replace("web}\n", "web, hash: abc}\n"), settings=settings)
    assert value["spec"]["selector"]["dataplaneLabels"]["matchLabels"] == {
        "app": "web",
        "k8s.kuma.io/namespace": "shop",
    }


@pytest.mark.parametrize(
    ("namespace", "service", "mesh"),
    [
        (NAMESPACE, SERVICE, "default"),
        (NAMESPACE + "    kuma.io/mesh: other\n", SERVICE, "other"),
        (
            NAMESPACE + "    kuma.io/mesh: other\n",
            SERVICE.replace("shop}", "shop, labels: {kuma.io/mesh: own}}"),
            "own",
        ),
        ("", SERVICE.replace("shop}", "shop, labels: {kuma.io/mesh: own}}"), "own"),
    ],
)
def test_the_mesh_is_the_services_own_else_its_namespaces(namespace: str, service: str, mesh: str) -> None:
    [value] = values(namespace, service)
    assert value["metadata"]["labels"]["kuma.io/mesh"] == mesh


GATEWAY = deployment(annotations={"kuma.io/gateway": "enabled"})


@pytest.mark.parametrize(
    ("texts", "standing"),
    [
        ([SERVICE], Standing.OUTSIDE),
        ([NAMESPACE.replace("enabled", "disabled"), SERVICE], Standing.OUTSIDE),
        ([NAMESPACE, SERVICE.replace("shop}", "shop, annotations: {kuma.io/ignore: 'true'}}")], Standing.IGNORED),
        ([NAMESPACE, SERVICE.replace("shop}", "shop, annotations: {kuma.io/gateway: enabled}}")], Standing.GATEWAY),
        ([NAMESPACE, SERVICE, GATEWAY], Standing.GATEWAY),
        ([NAMESPACE, SERVICE.replace("  selector: {app: web}\n", "")], Standing.PODLESS),
        ([NAMESPACE, SERVICE.replace("spec:\n", "spec:\n  type: ExternalName\n")], Standing.PODLESS),
        ([NAMESPACE, SERVICE.replace("port: 80,", "port: 80, protocol: UDP,")], Standing.PODLESS),
        ([NAMESPACE, SERVICE, mesh_of_mode("Disabled")], Standing.UNWANTED),
        ([NAMESPACE, SERVICE, mesh_of_mode("")], Standing.UNWANTED),
    ],
)
def test_a_service_that_becomes_none_is_counted_with_the_reason(texts: list[str], standing: Standing) -> None:
    done = derived(*texts)
    assert (services(done), done.standings) == ([], {standing: 1})


@pytest.mark.parametrize("mode", ["Everywhere", "ReachableBackends", "Exclusive"])
def test_a_mesh_among_the_manifests_says_that_it_has_mesh_services(mode: str) -> None:
    assert len(values(NAMESPACE, SERVICE, mesh_of_mode(mode))) == 1


@pytest.mark.parametrize(
    ("setting", "mode", "count"),
    [("always", "Disabled", 1), ("never", "Exclusive", 0), ("auto", "Exclusive", 1), ("auto", "Disabled", 0)],
)
def test_the_settings_come_before_the_mesh(setting: str, mode: str, count: int) -> None:
    assert len(values(NAMESPACE, SERVICE, mesh_of_mode(mode), settings=wanting(setting))) == count


def test_a_namespace_of_the_settings_is_one_that_is_injected() -> None:
    settings = replace(DERIVING, selection=replace(DERIVING.selection, namespaces=("shop",)))
    assert len(values(SERVICE, settings=settings)) == 1


def test_only_where_documents_are_asked_for_there_are_any() -> None:
    done = inject(NAMESPACE, SERVICE, deployment(), settings=DERIVING)
    assert (done.documents, done.standings) == ((), {})


def test_a_headless_service_of_a_template_goes_by_its_selector() -> None:
    [value] = values(NAMESPACE, HEADLESS, deployment())
    assert (value["metadata"]["name"], list(value["spec"]["selector"])) == ("web", ["dataplaneLabels"])
    assert value["metadata"]["labels"]["k8s.kuma.io/is-headless-service"] == "true"


def test_a_headless_service_is_one_of_each_pod_that_runs() -> None:
    first, second = values(NAMESPACE, HEADLESS, pod("web-0"), pod("web-1"))
    assert [each["spec"]["selector"] for each in (first, second)] == [
        {"dataplaneRef": {"name": "web-0.shop"}},
        {"dataplaneRef": {"name": "web-1.shop"}},
    ]
    assert second["metadata"]["name"] == name_of_pod(_service("web", "shop"), "web-1")
    assert second["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "web-1"


def test_a_pod_of_another_mesh_cannot_be_named() -> None:
    other = pod().replace("app: web", "app: web\n    kuma.io/mesh: other")
    [value] = values(NAMESPACE, HEADLESS, other)
    assert list(value["spec"]["selector"]) == ["dataplaneLabels"]


def _service(name: str, namespace: str) -> Service:
    return Service(name, namespace, {}, ())


def test_a_pods_name_is_the_one_that_kuma_makes() -> None:
    assert name_of_pod(_service("example", "demo"), "example-1") == "example-1-87ff74c98"


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=63))
def test_a_pods_name_is_never_too_long_and_tells_services_apart(name: str) -> None:
    one, two = (name_of_pod(_service(service, "demo"), name) for service in ("a", "b"))
    assert max(len(one), len(two)) <= 63
    assert one != two


def test_two_different_services_of_one_name_are_an_error_and_two_equal_ones_are_not() -> None:
    assert codes(derived(NAMESPACE, SERVICE, SERVICE)) == []
    assert codes(derived(NAMESPACE, SERVICE, SERVICE.replace("port: 80", "port: 81"))) == [("duplicate-resource", "3")]


@pytest.mark.parametrize("wrong", ["labels: {team: my team}", "labels: {-a: b}"])
def test_what_no_api_server_would_take_is_an_error_at_the_service(wrong: str) -> None:
    done = derived(NAMESPACE, SERVICE.replace("shop}", f"shop, {wrong}}}"))
    assert codes(done) == [("bad-service", "3")]


@pytest.mark.parametrize("text", [SERVICE, HEADLESS, SERVICE.replace("http}", "mongo}")])
def test_what_is_derived_is_what_our_schema_takes(text: str) -> None:
    for document in services(derived(NAMESPACE, text, deployment(), pod())):
        assert schemas().accepts("MeshService", yaml.safe_load(document.text))


def test_injected_manifests_lead_to_the_same_documents() -> None:
    texts = [NAMESPACE, SERVICE, HEADLESS.replace("web,", "peers,"), deployment(), pod()]
    first = derived(*texts)
    assert len(services(first)) == 3
    again = derived(*(file.content.decode() for file in first.files))
    assert (again.documents, again.standings) == (first.documents, first.standings)


def test_a_file_is_below_its_namespace_beside_those_of_workloads() -> None:
    done = derived(NAMESPACE, SERVICE, deployment())
    assert [each.path for each in done.documents] == ["shop/web.yaml", "shop/services/web.yaml"]


def compiled(done: Injected, *texts: str) -> dict[str, Snapshot]:
    files = {f"derived/{each.path}": each.text for each in done.documents}
    checked = Compiler().compile(tree_of(files | {f"{number}.yaml": text for number, text in enumerate(texts)}))
    assert [each.message for each in checked.diagnostics if each.level == "error"] == []
    assert checked.value.generation is not None
    return {str(one.node): one for one in checked.value.generation.snapshots.values()}


def plain(snapshot: Snapshot, kind: ResourceType, name: str) -> dict[str, Any]:
    rendered = snapshot.resources[kind][name]
    value: dict[str, Any] = json.loads(f"{{{b''.join(rendered.pieces).decode()}}}")[name]
    return value


def test_a_caller_reaches_a_service_by_the_name_that_it_has_in_the_cluster() -> None:
    """By the name its address, there a listener, behind it the cluster, and in it the pod's port."""
    done = derived(NAMESPACE, SERVICE, pod(), deployment("client"))
    caller = compiled(done, MESH, NAMES)["default.client/_shared"]
    name = "kri_msvc_default_east_shop_web_http"
    table = json.dumps(plain(caller, ResourceType.LISTENER, "system_dynamicconfig_dns"))
    address = plain(caller, ResourceType.LISTENER, name)["address"]["socketAddress"]
    told = json.dumps(plain(caller, ResourceType.ROUTE, "system_dynamicconfig_dns"))
    assert f'\\"name\\":\\"web.shop.svc.cluster.local\\",\\"ips\\":[\\"{address["address"]}\\"]' in table + told
    assert address["portValue"] == 80
    assert plain(caller, ResourceType.CLUSTER, name)["type"] == "EDS"
    [locality] = plain(caller, ResourceType.ENDPOINT, name)["endpoints"]
    [endpoint] = locality["lbEndpoints"]
    assert endpoint["endpoint"]["address"]["socketAddress"] == {"address": "10.244.0.10", "portValue": 8080}


def test_without_its_mesh_service_nobody_calls_it_by_that_name() -> None:
    done = derived(NAMESPACE, SERVICE, pod(), deployment("client"), settings=wanting("never"))
    caller = compiled(done, MESH, NAMES)["default.client/_shared"]
    assert "kri_msvc_default_east_shop_web_http" not in caller.resources[ResourceType.LISTENER]


def test_proxies_of_a_template_are_behind_the_service_too() -> None:
    done = derived(NAMESPACE, SERVICE, deployment(), deployment("client"))
    snapshots = compiled(done, MESH, NAMES)
    assert "kri_msvc_default_east_shop_web_http" in snapshots["default.client/_shared"].resources[ResourceType.CLUSTER]
    assert Counter(each.folder for each in done.documents) == {"": 2, SERVICES: 1}
