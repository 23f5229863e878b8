"""The mesh's documents for workloads: they compile, and a second run derives the same."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from compiler.inject.mesh_documents import WorkloadDocument
from compiler.pipeline import Compiler
from tests.inject.manifests import DEFAULTS, NAMESPACE, SERVICE, codes, deployment, inject
from tests.trees import tree_of

DERIVING = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.244.0.0/16",), zone="east"))
MESH = "type: Mesh\nname: default\n---\ntype: Zone\nname: east\n"


def _derived(*texts: str) -> dict[str, Any]:
    [document] = (
        each
        for each in inject(NAMESPACE, *texts, settings=DERIVING, derives=True).documents
        if isinstance(each, WorkloadDocument)
    )
    value: dict[str, Any] = yaml.safe_load(document.text)
    return value


def _networking(*texts: str) -> dict[str, Any]:
    networking: dict[str, Any] = _derived(*texts)["spec"]["template"]["networking"]
    return networking


def test_a_workload_is_a_set_whose_members_register_themselves() -> None:
    value = _derived(SERVICE, deployment())
    assert (value["kind"], value["metadata"]["name"]) == ("DataplaneSet", "web")
    assert value["metadata"]["labels"]["kuma.io/workload"] == "web"
    assert value["spec"]["registration"] == {"cidrs": ["10.244.0.0/16"]}
    [inbound] = value["spec"]["template"]["networking"]["inbound"]
    assert (inbound["name"], inbound["port"], inbound["protocol"]) == ("http", 8080, "http")
    assert inbound["tags"]["kuma.io/service"] == "web_shop_svc_80"


def test_a_pod_with_an_address_is_a_dataplane() -> None:
    pod = yaml.safe_load(deployment())["spec"]["template"]
    pod |= {"apiVersion": "v1", "kind": "Pod", "status": {"podIP": "10.244.0.9"}}
    pod["metadata"] |= {"name": "web-1", "namespace": "shop"}
    value = _derived(SERVICE, yaml.safe_dump(pod))
    assert (value["kind"], value["spec"]["networking"]["address"]) == ("Dataplane", "10.244.0.9")


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"kuma.io/gateway": "enabled"},
        {"kuma.io/gateway": "provided"},
        {"kuma.io/reachable-backends": "refs: [{kind: MeshService, name: orders}]"},
        {"kuma.io/transparent-proxying-reachable-services": "a_shop_svc_80,b_shop_svc_80"},
    ],
)
@pytest.mark.parametrize("service", [SERVICE, SERVICE.replace("http}", "mongo}"), ""])
def test_what_is_derived_compiles(annotations: dict[str, str], service: str) -> None:
    done = inject(NAMESPACE, service, deployment(annotations=annotations), settings=DERIVING, derives=True)
    compiled = Compiler().compile(tree_of({"mesh.yaml": MESH, "web.yaml": done.documents[0].text}))
    assert [each.message for each in compiled.diagnostics if each.level == "error"] == []
    assert compiled.value.generation is not None
    assert [str(each.node) for each in compiled.value.generation.snapshots.values()] == ["default.web/_shared"]


def test_an_injected_pod_leads_to_the_same_document() -> None:
    first = inject(NAMESPACE, SERVICE, deployment(), settings=DERIVING, derives=True)
    texts = [file.content.decode() for file in first.files]
    assert inject(*texts, settings=DERIVING, derives=True).documents == first.documents


def test_annotations_say_what_a_proxy_reaches_and_offers() -> None:
    annotations = {
        "kuma.io/direct-access-services": "*",
        "kuma.io/transparent-proxying-reachable-services": "a,b",
        "kuma.io/reachable-backends": "refs: [{kind: MeshService, name: x, port: 80}]",
        "prometheus.metrics.kuma.io/port": "1234",
        "prometheus.metrics.kuma.io/path": "/m",
        "prometheus.metrics.kuma.io/aggregate-app-port": "80",
        "prometheus.metrics.kuma.io/aggregate-off-enabled": "false",
    }
    template = _derived(SERVICE, deployment(annotations=annotations))["spec"]["template"]
    assert template["networking"]["transparentProxying"] == {
        "redirectPortInbound": 15006,
        "redirectPortOutbound": 15001,
        "ipFamilyMode": "DualStack",
        "directAccessServices": ["*"],
        "reachableServices": ["a", "b"],
        "reachableBackends": {"refs": [{"kind": "MeshService", "name": "x", "port": 80}]},
    }
    assert template["metrics"]["conf"] == {
        "path": "/m",
        "port": 1234,
        "aggregate": [
            {"name": "app", "path": "/metrics", "enabled": True, "port": 80},
            {"name": "off", "path": "/metrics", "enabled": False},
        ],
    }


def test_metrics_of_an_application_need_a_port() -> None:
    annotations = {"prometheus.metrics.kuma.io/aggregate-app-path": "/m"}
    done = inject(NAMESPACE, deployment(annotations=annotations), settings=DERIVING, derives=True)
    assert codes(done) == [("bad-dataplane", "14")]


def test_a_headless_services_inbounds_have_an_instance() -> None:
    [inbound] = _networking(SERVICE.replace("spec:\n", "spec:\n  clusterIP: None\n"), deployment())["inbound"]
    assert inbound["tags"]["kuma.io/instance"] == "web"


@pytest.mark.parametrize(
    "service",
    [
        SERVICE.replace("namespace: shop", "namespace: other"),
        SERVICE.replace("app: web", "app: other"),
        SERVICE.replace("  selector: {app: web}\n", ""),
        SERVICE.replace("shop}", "shop, annotations: {kuma.io/ignore: 'true'}}"),
        SERVICE.replace("spec:\n", "spec:\n  type: ExternalName\n"),
        SERVICE.replace("port: 80,", "port: 80, protocol: UDP,"),
        SERVICE.replace("targetPort: http", "targetPort: nowhere"),
        SERVICE.replace("targetPort: http", f"targetPort: '{'8' * 5000}'"),
    ],
)
def test_a_service_that_does_not_lead_to_the_pod_makes_no_inbound(service: str) -> None:
    [inbound] = _networking(service, deployment())["inbound"]
    assert (inbound["port"], inbound["tags"]["kuma.io/service"]) == (49151, "web_shop_svc")


def test_a_target_is_the_services_port_where_nothing_is_said() -> None:
    [inbound] = _networking(SERVICE.replace(", targetPort: http", ""), deployment())["inbound"]
    assert inbound["port"] == 80


def test_a_zones_listener_comes_from_the_services_label() -> None:
    service = SERVICE.replace("shop}", "shop, labels: {k8s.kuma.io/zone-proxy-type: ingress}}")
    networking = _networking(service, deployment())
    assert networking["listeners"] == [{"type": "ZoneIngress", "port": 8080, "name": "http"}]
    assert "inbound" not in networking
    assert networking["transparentProxying"]["reachableBackends"] == {}


def test_an_ingress_and_an_egress_cannot_share_a_port() -> None:
    label = "shop, labels: {k8s.kuma.io/zone-proxy-type: %s}}"
    services = [SERVICE.replace("web,", f"{kind},").replace("shop}", label % kind) for kind in ("egress", "ingress")]
    done = inject(NAMESPACE, *services, deployment(), settings=DERIVING, derives=True)
    assert [each.code.word for each in done.diagnostics] == ["bad-dataplane"]


def test_services_that_lead_to_one_port_share_an_inbound_and_that_is_said() -> None:
    other = SERVICE.replace("name: web,", "name: api,")
    done = inject(NAMESPACE, SERVICE, other, deployment(), settings=DERIVING, derives=True)
    assert [each.code.word for each in done.diagnostics] == ["shared-port"]
    [inbound] = yaml.safe_load(done.documents[0].text)["spec"]["template"]["networking"]["inbound"]
    assert inbound["tags"]["kuma.io/service"] == "api_shop_svc_80"


def test_an_ignored_label_of_a_selector_makes_way_for_a_service_that_fits() -> None:
    settings = replace(DERIVING, dataplanes=replace(DERIVING.dataplanes, ignored_selector_labels=("hash",)))
    preview, active = (SERVICE.replace("web,", f"{n},").replace("web}", f"web, hash: {n}}}") for n in ("api", "web"))
    done = inject(NAMESPACE, preview, active, deployment(labels={"hash": "web"}), settings=settings, derives=True)
    [inbound] = yaml.safe_load(done.documents[0].text)["spec"]["template"]["networking"]["inbound"]
    assert (inbound["tags"]["kuma.io/service"], "state" in inbound, codes(done)) == ("web_shop_svc_80", False, [])


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (SERVICE.replace("port: 80,", ""), ("bad-service", "7")),
        (SERVICE.replace("http}", "mongo}"), ("unknown-protocol", "7")),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: {}}\n", ("bad-service", "4")),
    ],
)
def test_a_service_that_means_something_else_is_named(service: str, found: tuple[str, str]) -> None:
    assert codes(inject(service, settings=DERIVING, derives=True)) == [found]


def test_an_annotation_of_a_service_says_what_it_speaks() -> None:
    service = SERVICE.replace(", appProtocol: http", "").replace(
        "shop}", "shop, annotations: {80.service.kuma.io/protocol: GRPC}}"
    )
    assert _networking(service, deployment())["inbound"][0]["protocol"] == "grpc"


def test_two_workloads_of_one_name_are_an_error() -> None:
    other = deployment().replace("kind: Deployment", "kind: StatefulSet")
    done = inject(NAMESPACE, deployment(), other, settings=DERIVING, derives=True)
    assert [(each.code.word, each.position.file) for each in done.diagnostics] == [("workload-clash", "2.yaml")]


def test_a_label_names_a_workload() -> None:
    value = _derived(deployment(labels={"kuma.io/workload": "shop-web"}))
    assert value["metadata"]["labels"]["kuma.io/workload"] == "shop-web"


@pytest.mark.parametrize(("name", "namespace"), [("../../x", "shop"), ("web", "../x"), ("Web", "shop"), ("''", "shop")])
def test_what_is_no_name_becomes_no_file(name: str, namespace: str) -> None:
    text = deployment().replace("name: web   # its name", f"name: {name}").replace(": shop", f": {namespace}")
    settings = replace(DERIVING, selection=replace(DERIVING.selection, namespaces=("shop", "../x")))
    done = inject(text, settings=settings, derives=True)
    assert [(each.code.word, each.position.line) for each in done.diagnostics] == [("bad-dataplane", 3)]
