"""Whatever stands in a manifest, the answer is findings or a pod that a second run leaves alone, never an exception."""

import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.inject.annotations import KINDS
from compiler.inject.gateways import OF_PROXIES
from compiler.inject.service_documents import SERVICES, ZONE_ADDRESSES
from tests.inject.manifests import DEFAULTS, NAMESPACE, inject
from tests.resources.build import schemas

WORDS = st.sampled_from(
    ["", "web", "http", "8080", "enabled", "refs: []", "kuma-sidecar", "kuma-init-tmp", "None", "1", "/x", "a=b", "30s"]
)
SCALARS = st.none() | st.booleans() | st.sampled_from([0, 1, 8080, 9001, 5678, -1, 1.5]) | WORDS
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2), max_leaves=4
)


def _mapping(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly right fields, each of which may be missing or be anything."""
    return st.fixed_dictionaries({}, optional={name: value | ANY for name, value in fields.items()})


PORT = _mapping(
    name=WORDS, containerPort=st.just(8080), port=st.just(80), targetPort=WORDS, appProtocol=WORDS, protocol=WORDS
)
ACTION = _mapping(
    port=WORDS, path=WORDS, scheme=WORDS, service=WORDS, httpHeaders=st.lists(_mapping(name=WORDS, value=WORDS))
)
PROBE = _mapping(httpGet=ACTION, tcpSocket=ACTION, grpc=ACTION, timeoutSeconds=st.just(3))
FIELDS = _mapping(
    ports=st.lists(PORT, max_size=2),
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    volumeMounts=st.lists(_mapping(name=WORDS, mountPath=WORDS), max_size=2),
    securityContext=_mapping(runAsUser=st.just(5678)),
    restartPolicy=st.just("Always"),
)
NAMES = st.sampled_from(["web"] * 6 + ["kuma-sidecar"])
CONTAINER = st.builds(lambda name, found: {"name": name, **found}, NAMES, FIELDS) | ANY
TEXTS = st.dictionaries(st.sampled_from(sorted(KINDS)) | WORDS, WORDS | ANY, max_size=4)
POD_SPEC = _mapping(
    initContainers=st.lists(CONTAINER, max_size=2),
    volumes=st.lists(_mapping(name=WORDS), max_size=2),
    terminationGracePeriodSeconds=st.just(5),
    hostNetwork=st.booleans(),
    serviceAccountName=WORDS,
).flatmap(lambda value: st.lists(CONTAINER, min_size=1, max_size=2).map(lambda found: {**value, "containers": found}))
POD = st.fixed_dictionaries(
    {"spec": POD_SPEC}, optional={"metadata": _mapping(labels=TEXTS, annotations=TEXTS), "status": ANY}
)
SERVICE = _mapping(ports=st.lists(PORT, max_size=2), selector=TEXTS, clusterIP=WORDS, type=WORDS)


def _object(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, **fields}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(POD, SERVICE, st.sampled_from(["Deployment", "Job", "StatefulSet"]), st.booleans())
def test_nothing_breaks_it(pod: dict[str, Any], service: Any, kind: str, native: bool) -> None:
    chosen = type(DEFAULTS)(native_sidecars=native)
    texts = [json.dumps(_object("Service", spec=service)), json.dumps(_object(kind, spec={"template": pod}))]
    done = inject(NAMESPACE, *texts, settings=chosen, derives=True)
    again = inject(*(file.content.decode() for file in done.files), settings=chosen)
    if done.files[2].is_changed:
        assert [file.content for file in again.files] == [file.content for file in done.files]
    else:
        assert done.files[2].content.decode() == texts[1]


ADDRESSES = st.lists(st.sampled_from(["203.0.113.7", "a.example", "::1", "../x"]) | ANY, max_size=2)
BALANCER = _mapping(ingress=st.lists(_mapping(ip=st.just("203.0.113.7"), hostname=WORDS), max_size=2))
KUMAS = st.dictionaries(
    st.sampled_from(
        [
            "kuma.io/mesh",
            "kuma.io/ignore",
            "kuma.io/gateway",
            "kuma.io/ingress-public-address",
            "kuma.io/ingress-public-port",
            "k8s.kuma.io/zone-proxy-type",
        ]
    )
    | WORDS,
    st.sampled_from(["ingress", "egress", "enabled", "203.0.113.7", "80", "a b"]) | ANY,
    max_size=4,
)
FOUND = _mapping(
    ports=st.lists(PORT, max_size=2),
    selector=TEXTS,
    clusterIP=WORDS,
    type=st.sampled_from(["LoadBalancer", "NodePort", "ExternalName"]),
    externalIPs=ADDRESSES,
)
INGRESS = st.just({"k8s.kuma.io/zone-proxy-type": "ingress"})
NAMED = _mapping(
    name=st.sampled_from(["../x", ""]),
    namespace=st.sampled_from(["../x"]),
    labels=INGRESS | KUMAS,
    annotations=KUMAS,
)
RIGHT = {"selector": {"app": "web"}, "ports": [{"port": 80}], "type": "LoadBalancer"}
"""A few wrong fields beside right ones go further than wrong ones alone."""
OFFERED = st.builds(
    lambda metadata, spec, balancer: {
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {**RIGHT, **spec},
        "status": {"loadBalancer": balancer},
    },
    NAMED,
    FOUND,
    BALANCER,
)
OTHERS = _mapping(metadata=_mapping(name=WORDS, labels=KUMAS), spec=_mapping(meshServices=_mapping(mode=WORDS)))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(OFFERED, max_size=2), OTHERS, OTHERS)
def test_whatever_a_service_says_its_documents_are_right_or_refused(services: Any, mesh: Any, slices: Any) -> None:
    """A name leads nowhere else, and each Service is counted once."""
    texts = [json.dumps({"apiVersion": "v1", "kind": "Service", **each}) for each in services]
    texts.append(json.dumps({"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", **mesh}))
    texts.append(json.dumps({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **slices}))
    chosen = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, zone="east"))
    done = inject(NAMESPACE, *texts, settings=chosen, derives=True)
    assert sum(done.standings.values()) == len(services)
    kinds = {SERVICES: "MeshService", ZONE_ADDRESSES: "MeshZoneAddress"}
    for document in done.documents:
        assert schemas().accepts(kinds[document.folder], yaml.safe_load(document.text))
        assert ".." not in document.path


OF_GATEWAYS = st.dictionaries(st.sampled_from(sorted(OF_PROXIES)) | WORDS, WORDS | ANY, max_size=3)
INSTANCE = _mapping(
    tags=st.dictionaries(WORDS, WORDS, max_size=2),
    replicas=st.integers(0, 3),
    serviceType=st.sampled_from(["NodePort", "ClusterIP", ""]),
    resources=_mapping(limits=_mapping(cpu=st.sampled_from([1, "500m", "x", ".", "+4"])), requests=ANY),
    serviceTemplate=_mapping(metadata=_mapping(labels=OF_GATEWAYS, annotations=OF_GATEWAYS)),
    podTemplate=_mapping(
        metadata=_mapping(labels=OF_GATEWAYS, annotations=OF_GATEWAYS),
        spec=_mapping(serviceAccountName=WORDS, securityContext=_mapping(fsGroup=st.just(5))),
    ),
)
PLACED = _mapping(name=st.sampled_from(["../x", "", "a.b"]), namespace=WORDS, labels=OF_GATEWAYS, annotations=KUMAS)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(PLACED, INSTANCE)
def test_whatever_a_gateway_says_kubernetes_takes_what_is_made_of_it(metadata: Any, spec: Any) -> None:
    head = {"apiVersion": "kuma.io/v1alpha1"}
    selectors = [{"match": {"kuma.io/service": "*"}}]
    content = {"selectors": selectors, "conf": {"listeners": [{"port": 80, "protocol": "HTTP"}]}}
    gateway = {**head, "kind": "MeshGateway", "mesh": "default", "metadata": {"name": "all"}, "spec": content}
    placed = {"name": "web", "namespace": "shop", **metadata} if isinstance(metadata, dict) else metadata
    instance = {**head, "kind": "MeshGatewayInstance", "metadata": placed, "spec": spec}
    chosen = replace(DEFAULTS, dataplanes=replace(DEFAULTS.dataplanes, pod_cidrs=("10.0.0.0/8",)))
    done = inject(json.dumps(gateway), json.dumps(instance), settings=chosen, derives=True, makes=True)
    assert done.gateways or done.diagnostics
    for document in done.gateways:
        assert ".." not in document.path
        for value in yaml.safe_load_all(document.text):
            kubernetes_validate.validate(value, "1.31", strict=True)
    for document in done.documents:
        assert schemas().accepts("DataplaneSet", yaml.safe_load(document.text))
