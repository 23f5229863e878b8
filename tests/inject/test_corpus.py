"""Pods and Services of Kuma's own tests, where they are at hand: what is derived of them is what Kuma derives."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.inject.dataplanes import PodView, derive_dataplane, derive_labels, name_workload
from compiler.inject.files import Injected
from compiler.inject.manifests import KubeObject
from compiler.inject.mesh_documents import WorkloadDocument
from compiler.inject.services import Service, read_service
from compiler.resources.findings import Finding
from compiler.source.document import Document
from compiler.source.places import Places
from tests.inject.manifests import DEFAULTS, inject
from tests.resources.test_corpus import CORPUS

FAMILY = CORPUS / "k8s-pod-to-dataplane"
CASES = sorted(path.name for path in FAMILY.glob("*") if path.is_dir()) if FAMILY.is_dir() else []
DERIVED = CORPUS / "k8s-derived-resources"
DERIVED_CASES = sorted(path.name for path in DERIVED.glob("mesh*") if path.is_dir())
WORKLOAD_CASES = sorted(path.name for path in DERIVED.glob("workload*") if path.is_dir())
ZONE = "zone-1"
OF_A_STORE = ("ownerReferences", "resourceVersion", "uid")
"""What an API server keeps of an object. `status` is not compared either: a MeshService's address is our own."""
FROM_THE_CLUSTER = ("networking", "outbound")
"""Addresses of Services are a cluster's, which no manifest has: outbounds are generated when a mesh is compiled."""


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.exists():
        yield from (value for value in yaml.safe_load_all(path.read_text()) if value)


def _services(folder: Path) -> list[Service]:
    """Kuma's fixtures leave out what an API server would have demanded."""
    found = [{"apiVersion": "v1", "kind": "Service", **value} for value in _documents(folder / "servicesForPod.yaml")]
    return [
        read_service(KubeObject(Document("f", "", 0, Places(b""), dict(value)), "", value), "demo") for value in found
    ]


def _pod(folder: Path) -> PodView:
    [pod] = _documents(folder / "pod.yaml")
    metadata, status = pod["metadata"], pod["status"]
    statuses = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return PodView(
        name=metadata["name"],
        owner=metadata["name"],
        kind="Pod",
        namespace=metadata["namespace"],
        labels=metadata.get("labels", {}),
        annotations={name: str(value) for name, value in metadata.get("annotations", {}).items()},
        spec=pod["spec"],
        address=status["podIP"],
        ready={str(each.get("name", "")): each["ready"] for each in statuses},
    )


def _normal(spec: Mapping[str, Any]) -> Any:
    """`health: {}` is Kuma's way to write not ready."""
    normal = json.loads(json.dumps(spec))
    for inbound in normal["networking"].get("inbound", ()):
        inbound["health"] = {"ready": inbound.get("health", {}).get("ready", False)}
    return normal


@pytest.mark.skipif(not CASES, reason="the corpus is not at hand")
@pytest.mark.parametrize("case", CASES)
def test_a_dataplane_is_the_one_that_kuma_derives(case: str) -> None:
    folder = FAMILY / case
    query = json.loads((folder / "expected.json").read_text())["query"]
    [expected] = _documents(folder / "raw" / "dataplane.yaml")
    pod, found = _pod(folder / "input"), list[Finding]()
    spec = derive_dataplane(pod, _services(folder / "input"), query["zone"], "", found)
    wanted = _normal(expected["spec"])
    wanted[FROM_THE_CLUSTER[0]].pop(FROM_THE_CLUSTER[1], None)
    assert _normal(spec) == wanted
    workload = name_workload(pod.labels, query["flags"].get("workloadLabels", ()), pod.service_account)
    assert derive_labels(pod, expected["mesh"], workload) == expected["metadata"]["labels"]
    assert found == []


def _derive(texts: str) -> Injected:
    dataplanes = replace(DEFAULTS.dataplanes, pod_cidrs=("10.244.0.0/16",), zone=ZONE)
    return inject(texts, settings=replace(DEFAULTS, dataplanes=dataplanes), derives=True)


def _comparable(value: Mapping[str, Any]) -> Any:
    """Kuma's webhook adds the zone to a MeshService, its controller to a MeshZoneAddress."""
    metadata = {name: part for name, part in value["metadata"].items() if name not in OF_A_STORE}
    metadata["labels"] = {"kuma.io/zone": ZONE, **metadata["labels"]}
    return metadata, value["spec"]


@pytest.mark.skipif(not DERIVED_CASES, reason="the corpus is not at hand")
@pytest.mark.parametrize("case", DERIVED_CASES)
def test_a_service_becomes_what_kuma_makes_of_it(case: str) -> None:
    [golden] = _documents(DERIVED / case / "raw" / "golden.yaml")
    done = _derive((DERIVED / case / "input" / "resources.yaml").read_text())
    made = [yaml.safe_load(each.text) for each in done.documents]
    assert done.diagnostics == ()
    assert [_comparable(each) for each in made] == [_comparable(each) for each in golden["items"]]
    assert {each["kind"] for each in made} <= {"MeshService" if case.startswith("meshservice") else "MeshZoneAddress"}


@pytest.mark.skipif(not WORKLOAD_CASES, reason="the corpus is not at hand")
@pytest.mark.parametrize("case", WORKLOAD_CASES)
def test_a_workload_is_called_as_kumas_and_is_no_document_of_its_own(case: str) -> None:
    """Nothing reads a Workload, which a commit would be warned of; what a proxy's workload is stands in its labels."""
    dataplane = next(_documents(DERIVED / case / "input" / "resources.yaml"))
    [golden] = _documents(DERIVED / case / "raw" / "golden.yaml")
    [workload] = golden["items"]
    labels = {
        "kuma.io/sidecar-injection": "enabled",
        "kuma.io/mesh": dataplane["mesh"],
        "kuma.io/workload": dataplane["metadata"]["annotations"]["kuma.io/workload"],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**dataplane["metadata"], "annotations": {}, "labels": labels},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    [made] = _derive(yaml.safe_dump(pod)).documents
    assert isinstance(made, WorkloadDocument)
    metadata = workload["metadata"]
    assert (made.mesh, made.namespace, made.workload) == (
        metadata["labels"]["kuma.io/mesh"],
        metadata["namespace"],
        metadata["name"],
    )
    assert yaml.safe_load(made.text)["metadata"]["labels"]["kuma.io/workload"] == metadata["name"]
