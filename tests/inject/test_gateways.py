"""Builtin gateways: what Kuma's controller would make of a MeshGatewayInstance, and how it stands in the mesh."""

import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from compiler.envoy.resources import ResourceType
from compiler.inject.mesh_documents import WorkloadDocument
from compiler.pipeline import Compiler
from tests.inject.manifests import DEFAULTS, NAMESPACE, codes, container, deployment, inject
from tests.trees import tree_of

DERIVING = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.244.0.0/16",), zone="east"))
GATEWAY = """\
apiVersion: kuma.io/v1alpha1
kind: MeshGateway
mesh: default
metadata: {name: edge}
spec:
  selectors: [{match: {kuma.io/service: edge_shop_svc}}]
  conf:
    listeners:
    - {port: 80, protocol: HTTP, hostname: www.shop.example}
    - {port: 80, protocol: HTTP, hostname: api.shop.example}
    - {port: 30443, protocol: TCP}
"""


def instance(spec: str = "", metadata: str = "", *, name: str = "edge") -> str:
    return f"""\
apiVersion: kuma.io/v1alpha1
kind: MeshGatewayInstance
metadata:
  name: {name}
  namespace: shop
  labels: {{kuma.io/mesh: default}}
{metadata}
spec:
  replicas: 2
{spec}
"""


def made(*texts: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Deployment and the Service, which Kubernetes takes."""
    [gateway] = inject(GATEWAY, *texts, makes=True).gateways
    deployment, service = yaml.safe_load_all(gateway.text)
    for value in (deployment, service):
        kubernetes_validate.validate(value, "1.31", strict=True)
    return deployment, service


def test_a_gateway_is_a_deployment_whose_pods_are_proxies() -> None:
    deployment, _ = made(instance())
    assert deployment["metadata"] == {"name": "edge", "namespace": "shop"}
    assert (deployment["spec"]["replicas"], deployment["spec"]["selector"]) == (2, {"matchLabels": {"app": "edge"}})
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == {
        "app": "edge",
        "kuma.io/sidecar-injection": "disabled",
        "kuma.io/mesh": "default",
    }
    assert pod["metadata"]["annotations"] == {
        "kuma.io/gateway": "builtin",
        "kuma.io/mesh": "default",
        "kuma.io/tags": '{"kuma.io/service":"edge_shop_svc"}',
    }
    proxy = container(pod, "kuma-gateway")
    assert proxy["args"] == ["dataplane", "run", "--concurrency=2"]
    assert proxy["resources"]["limits"]["cpu"] == "1000m"
    assert {"name": "MESHWRIGHT_DATAPLANE_RUN_CLUSTER", "value": "edge"} in proxy["env"]


def test_its_proxies_may_listen_on_every_port_without_being_root() -> None:
    pod = made(instance())[0]["spec"]["template"]["spec"]
    assert pod["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    [proxy] = pod["containers"]
    assert proxy["securityContext"]["runAsUser"] == 5678
    assert proxy["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_its_service_has_each_port_of_the_gateway_once() -> None:
    spec = made(instance())[1]["spec"]
    assert (spec["type"], spec["selector"]) == ("LoadBalancer", {"app": "edge"})
    assert spec["ports"] == [
        {"name": "80", "protocol": "TCP", "port": 80, "targetPort": 80},
        {"name": "30443", "protocol": "TCP", "port": 30443, "targetPort": 30443},
    ]


def test_a_node_has_the_port_where_nodes_have_it() -> None:
    ports = made(instance("  serviceType: NodePort"))[1]["spec"]["ports"]
    assert [port.get("nodePort") for port in ports] == [None, 30443]


def test_what_the_templates_say_is_there() -> None:
    deployment, service = made(
        instance("""\
  resources: {limits: {cpu: 4, memory: 1Gi}}
  serviceTemplate: {metadata: {annotations: {lb: internal}, labels: {team: edge}}, spec: {loadBalancerIP: 10.9.9.9}}
  podTemplate:
    metadata: {labels: {team: edge}, annotations: {kuma.io/sidecar-drain-time: 40s}}
    spec:
      serviceAccountName: gate
      securityContext: {fsGroup: 2000}
      container: {securityContext: {readOnlyRootFilesystem: false}}
""")
    )
    assert service["metadata"]["labels"] == {"team": "edge"}
    assert service["metadata"]["annotations"] == {"kuma.io/gateway": "builtin", "lb": "internal"}
    assert service["spec"]["loadBalancerIP"] == "10.9.9.9"
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "edge"
    pod = template["spec"]
    assert (pod["serviceAccountName"], pod["securityContext"]["fsGroup"]) == ("gate", 2000)
    assert pod["terminationGracePeriodSeconds"] == 45
    [proxy] = pod["containers"]
    assert proxy["args"][-1] == "--concurrency=4"
    assert proxy["resources"] == {"limits": {"cpu": 4, "memory": "1Gi"}}
    assert proxy["securityContext"]["readOnlyRootFilesystem"] is False
    assert {"name": "MESHWRIGHT_DATAPLANE_RUN_DRAIN_TIME", "value": "40"} in proxy["env"]


def test_annotations_of_the_instance_reach_its_proxies() -> None:
    deployment, _ = made(instance(metadata="  annotations: {kuma.io/envoy-admin-port: '9911'}"))
    proxy = container(deployment["spec"]["template"], "kuma-gateway")
    assert proxy["readinessProbe"]["httpGet"]["port"] == 9911


def test_nothing_of_a_sidecar_is_left_that_makes_no_sense() -> None:
    """Nobody waits for a gateway's proxy, and it is no init container."""
    settings = replace(DEFAULTS, native_sidecars=True, sidecar=replace(DEFAULTS.sidecar, wait_for_dataplane_ready=True))
    [gateway] = inject(GATEWAY, instance(), settings=settings, makes=True).gateways
    deployment, _ = yaml.safe_load_all(gateway.text)
    [proxy] = deployment["spec"]["template"]["spec"]["containers"]
    assert proxy.keys().isdisjoint({"restartPolicy", "lifecycle", "startupProbe"})


def test_its_proxies_register_themselves_and_listen() -> None:
    done = inject(GATEWAY, instance("  tags: {tier: edge}"), settings=DERIVING, derives=True)
    [document] = (one for one in done.documents if isinstance(one, WorkloadDocument))
    value = yaml.safe_load(document.text)
    assert value["metadata"]["labels"]["kuma.io/workload"] == "edge"
    assert value["spec"]["template"]["networking"]["gateway"] == {
        "type": "BUILTIN",
        "tags": {"kuma.io/service": "edge_shop_svc", "kuma.io/zone": "east", "tier": "edge"},
    }
    mesh = "type: Mesh\nname: default\n---\ntype: Zone\nname: east\n"
    compiled = Compiler().compile(tree_of({"mesh.yaml": mesh, "gateway.yaml": GATEWAY, "edge.yaml": document.text}))
    assert [one.message for one in compiled.diagnostics if one.level == "error"] == []
    assert compiled.value.generation is not None
    [snapshot] = compiled.value.generation.snapshots.values()
    listening = {
        (one["address"]["socketAddress"]["address"], one["address"]["socketAddress"]["portValue"])
        for one in (json.loads(one.json) for one in snapshot.resources[ResourceType.LISTENER].values())
    }
    assert str(snapshot.node) == "default.edge/_shared"
    assert listening >= {("0.0.0.0", 80), ("0.0.0.0", 30443)}


def test_what_was_made_is_left_alone_and_made_again() -> None:
    once = inject(NAMESPACE, GATEWAY, instance(), makes=True)
    again = inject(NAMESPACE, GATEWAY, instance(), once.gateways[0].text, makes=True)
    assert codes(again) == codes(once) == []
    assert again.gateways == once.gateways
    assert not any(file.is_changed for file in again.files)


def test_without_a_wish_it_is_said_that_nothing_is_made() -> None:
    done = inject(GATEWAY, instance())
    assert (codes(done), done.gateways) == ([("no-effect", "4")], ())


WRONG = [
    ((instance(),), ("no-effect", "4")),
    ((GATEWAY.replace("edge_shop", "other_shop"), instance()), ("no-effect", "4")),
    ((GATEWAY.replace("mesh: default", "mesh: other"), instance()), ("no-effect", "4")),
    ((GATEWAY, instance("  podTemplate: {metadata: {labels: {app: other}}}")), ("bad-workload", "10")),
    ((GATEWAY, instance("  podTemplate: {metadata: {labels: {kuma.io/mesh: other}}}")), ("no-effect", "10")),
    (
        (GATEWAY, instance("  podTemplate: {metadata: {annotations: {kuma.io/builtin-dns: 'true'}}}")),
        ("no-effect", "10"),
    ),
    (
        (GATEWAY, instance("  podTemplate: {metadata: {annotations: {kuma.io/sidecar-drain-time: x}}}")),
        ("bad-annotation", "10"),
    ),
    ((GATEWAY, instance("  tags: {kuma.io/service: edge}")), ("bad-value", "10")),
    ((GATEWAY, instance("  replicas: 0").replace("  replicas: 2\n", "")), ("bad-value", "9")),
    ((GATEWAY.replace("edge_shop", "a.b_shop"), instance(name="a.b")), ("bad-workload", "4")),
    ((GATEWAY, instance(), deployment("edge")), ("duplicate-resource", "4")),
    ((GATEWAY, instance(), instance(" ")), ("duplicate-resource", "4")),
]


@pytest.mark.parametrize(("texts", "found"), WRONG)
def test_what_cannot_be_made_or_means_nothing_is_named(texts: tuple[str, ...], found: tuple[str, str]) -> None:
    assert codes(inject(*texts, makes=True)) == [found]


def test_a_workload_may_not_have_a_gateways_name() -> None:
    texts = (NAMESPACE, GATEWAY, instance(), deployment("other", labels={"kuma.io/workload": "edge"}))
    assert codes(inject(*texts, settings=DERIVING, derives=True)) == [("workload-clash", "1")]
