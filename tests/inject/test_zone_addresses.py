"""MeshZoneAddresses of zones' ingresses: an address where the manifests say one, and nothing where they do not."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from compiler.inject.files import Injected
from compiler.inject.service_documents import ZONE_ADDRESSES, Standing
from compiler.inject.settings import InjectSettings
from compiler.mesh.zones.gates import INGRESSES, Gate
from compiler.pipeline import Compiler
from tests.inject.manifests import DEFAULTS, codes, inject
from tests.resources.build import schemas
from tests.trees import tree_of

DERIVING = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.244.0.0/16",), zone="east"))
PORTS = "ports: [{port: 10001, targetPort: 10001}]"


def ingress(spec: str, status: str = "{}", annotations: str = "{}", kind: str = "ingress") -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: door
  namespace: kuma-system
  labels: {{k8s.kuma.io/zone-proxy-type: {kind}}}
  annotations: {annotations}
spec: {{selector: {{app: door}}, {PORTS}, {spec}}}
status: {status}
"""


def slices(*ready: str) -> str:
    endpoints = ", ".join(f"{{addresses: [10.0.0.1], conditions: {{ready: {each}}}}}" for each in ready)
    return f"""\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: door-x, namespace: kuma-system, labels: {{kubernetes.io/service-name: door}}}}
endpoints: [{endpoints}]
"""


def derived(*texts: str, settings: InjectSettings = DERIVING) -> Injected:
    return inject(*texts, settings=settings, derives=True)


def values(done: Injected) -> list[dict[str, Any]]:
    return [yaml.safe_load(each.text) for each in done.documents if each.folder == ZONE_ADDRESSES]


BALANCED = ingress("type: LoadBalancer", "{loadBalancer: {ingress: [{ip: 203.0.113.7}]}}")


def test_an_ingress_with_an_address_is_told_to_other_zones() -> None:
    done = derived(BALANCED)
    [value] = values(done)
    assert value == {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshZoneAddress",
        "metadata": {
            "name": "door",
            "namespace": "kuma-system",
            "labels": {
                "kuma.io/env": "kubernetes",
                "kuma.io/managed-by": "k8s-controller",
                "kuma.io/mesh": "default",
                "kuma.io/zone": "east",
            },
        },
        "spec": {"address": "203.0.113.7", "port": 10001},
    }
    assert schemas().accepts("MeshZoneAddress", value)
    assert ([each.path for each in done.documents], done.standings) == (
        ["kuma-system/zone-addresses/door.yaml"],
        {Standing.ADDRESSED: 1},
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ingress("type: ClusterIP, externalIPs: [203.0.113.8]"), ("203.0.113.8", 10001)),
        (ingress("type: NodePort, externalIPs: [203.0.113.8]"), ("203.0.113.8", 10001)),
        (ingress("type: LoadBalancer, loadBalancerIP: 203.0.113.9"), ("203.0.113.9", 10001)),
        (
            ingress("type: LoadBalancer, externalIPs: [203.0.113.8], loadBalancerIP: 203.0.113.9"),
            ("203.0.113.8", 10001),
        ),
        (
            ingress("type: LoadBalancer", "{loadBalancer: {ingress: [{hostname: a.example, ip: 203.0.113.7}]}}"),
            ("203.0.113.7", 10001),
        ),
        (
            ingress(
                "type: NodePort",
                annotations="{kuma.io/ingress-public-address: 203.0.113.6, kuma.io/ingress-public-port: '30001'}",
            ),
            ("203.0.113.6", 30001),
        ),
        *(
            (
                ingress(
                    "type: NodePort, externalIPs: [203.0.113.8]",
                    annotations=f"{{kuma.io/ingress-public-port: '{written}'}}",
                ),
                ("203.0.113.8", 10001),
            )
            for written in ("0655359", "1" * 5000, "²")
        ),
    ],
)
def test_an_address_is_what_the_manifest_says(text: str, place: tuple[str, int]) -> None:
    done = derived(text)
    [value] = values(done)
    assert (value["spec"]["address"], value["spec"]["port"]) == place
    assert codes(done) == []


@pytest.mark.parametrize(
    "texts",
    [
        [ingress("type: ClusterIP")],
        [ingress("type: NodePort")],
        [ingress("type: LoadBalancer")],
        [ingress("type: ClusterIP, loadBalancerIP: 203.0.113.9")],
        [BALANCED.replace("-type: ingress", "-type: egress")],
        [BALANCED, slices()],
        [BALANCED, slices("false")],
    ],
)
def test_where_nobody_could_be_reached_nothing_is_said(texts: list[str]) -> None:
    done = derived(*texts)
    assert (values(done), codes(done), done.standings) == ([], [], {Standing.UNADDRESSED: 1})


def test_one_endpoint_that_is_ready_is_enough() -> None:
    assert len(values(derived(BALANCED, slices("false"), slices("true").replace("door-x", "door-y")))) == 1


def test_a_host_name_is_warned_of_since_no_commit_knows_its_address() -> None:
    done = derived(ingress("type: LoadBalancer", "{loadBalancer: {ingress: [{hostname: a.example}]}}"))
    assert (values(done), codes(done)) == ([], [("no-zone-address", "4")])


def test_an_address_of_no_zone_is_warned_of() -> None:
    settings = replace(DERIVING, dataplanes=replace(DERIVING.dataplanes, zone=""))
    done = derived(BALANCED, settings=settings)
    assert (values(done), codes(done)) == ([], [("no-zone-address", "4")])


def test_callers_of_other_zones_enter_there() -> None:
    [document] = derived(BALANCED).documents
    compiler = Compiler()
    checked = compiler.compile(tree_of({"mesh.yaml": "type: Mesh\nname: default\n", document.path: document.text}))
    assert [each.message for each in checked.diagnostics if each.level == "error"] == []
    assert compiler.memo.ask(INGRESSES, "default") == {"east": (Gate("203.0.113.7", 10001),)}
