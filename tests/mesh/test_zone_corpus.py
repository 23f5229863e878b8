"""Zone proxies against those of Kuma: what they tell apart, where they lead, and what a policy changes at them."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from compiler.mesh.services import service_ports
from compiler.mesh.sni import server_name
from compiler.pipeline import compile_tree
from tests.corpus import CORPUS
from tests.mesh.documents import resource
from tests.trees import SCHEMAS, tree_of

FAMILY = CORPUS / "xds-e2e-zoneproxies"
CASES = sorted(path.name for path in FAMILY.glob("*/")) if FAMILY.exists() else []
MESH, ZONE = "envoyconfig-zoneproxies", "kuma-3"
_OF_A_ZONE = {"Dataplane", "MeshService", "MeshExternalService", "MeshZoneAddress"}
_OURS = {"ignoreHealthOnHostRemoval"}
"""What Kuma does not say; `docs/compatibility.md` has the reason."""
Xds = Mapping[str, Mapping[str, Any]]

needs_corpus = pytest.mark.skipif(not CASES, reason="the acceptance corpus is not beside the repository")


@needs_corpus
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("proxy", ["zone-proxy-ingress", "zone-proxy-egress"])
def test_a_zone_proxy_tells_the_same_services_apart_and_leads_to_the_same_clusters(case: str, proxy: str) -> None:
    ours = snapshots(case)[proxy]
    kumas = json.loads((FAMILY / case / "raw" / f"{proxy}.golden.json").read_text())["xds"]
    assert set(server_names(ours)) == set(server_names(kumas))
    assert set(cluster_names(ours)) == set(cluster_names(kumas))


@needs_corpus
@pytest.mark.parametrize("case", CASES)
def test_a_policy_changes_a_zone_proxy_as_it_does_in_kuma(case: str) -> None:
    facts, expected = _facts(), json.loads((FAMILY / case / "expected.json").read_text())
    before, after = snapshots(case, policy=False), snapshots(case)
    for proxy, effect in expected["effects"].items():
        added, removed = facts.delta(before[proxy], after[proxy], facts.KumaRoles())
        assert ([one for one in added if one[2] not in _OURS], removed) == (effect["added"], effect["removed"]), proxy


@needs_corpus
@pytest.mark.parametrize("file", sorted((CORPUS / "multizone-sync").glob("*/raw/*.yaml")), ids=str)
def test_services_are_asked_for_by_the_names_that_kuma_gives_them(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        written = document or {}
        service = resource(written) if "snis" in written else None
        for number, sni in enumerate(written.get("snis", ())):
            assert service is not None
            port = service_ports(service)[number]
            assert (port.port, server_name(service, port.section, ())) == (sni["port"], sni["sni"])


def snapshots(case: str, *, policy: bool = True) -> Mapping[str, Xds]:
    """As of a control plane of that zone, which labels what it provides; a shadow is compiled as what it would be."""
    files = sorted((FAMILY / case / "input").glob("*.yaml"))[: None if policy else 1]
    tree = {file.name: yaml.safe_dump_all(map(_labelled, _documents(file))) for file in files}
    checked = compile_tree(tree_of(tree), SCHEMAS)
    assert checked.value.generation is not None, checked.diagnostics
    return {
        node.partition(".")[2]: {
            kind.type_url: {name: json.loads(one.json) for name, one in named.items()}
            for kind, named in snapshot.resources.items()
        }
        for node, snapshot in checked.value.generation.snapshots.items()
    }


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(file.read_text())


def _labelled(document: dict[str, Any]) -> dict[str, Any]:
    labels = dict(document.get("labels") or {})
    labels.pop("kuma.io/effect", None)
    if document["type"] in _OF_A_ZONE:
        labels["kuma.io/zone"] = ZONE
    return {**document, "labels": labels}


def _resources(xds: Xds, kind: str) -> Mapping[str, Any]:
    return next((named for url, named in xds.items() if url.endswith(f".{kind}")), {})


def server_names(xds: Xds) -> Iterator[str]:
    for listener in _resources(xds, "Listener").values():
        for chain in listener.get("filterChains", ()):
            yield from chain.get("filterChainMatch", {}).get("serverNames", ())


def cluster_names(xds: Xds) -> Iterator[str]:
    """Those of services."""
    yield from (name for name in _resources(xds, "Cluster") if name.startswith("kri_"))


def _facts() -> ModuleType:
    """The corpus' own comparison of configurations."""
    spec = importlib.util.spec_from_file_location("corpus_xdsfacts", CORPUS / "lib" / "xdsfacts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
