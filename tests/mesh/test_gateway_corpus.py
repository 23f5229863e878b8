"""Kuma's own examples of builtin gateways, where the acceptance corpus is at hand."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from compiler.envoy.resources import ResourceType
from compiler.inspecting.rules import show_gateway_rules
from compiler.resources.model import ResourceKey
from compiler.snapshot.snapshot import Snapshot
from tests.trees import compile_texts

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
PROFILE = "2.14"
Route = tuple[str, str]
Hosts = Mapping[str, list[Route]]

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the acceptance corpus is not at hand")


def cases(family: str) -> list[str]:
    manifest = CORPUS / family / "manifest.json"
    found = json.loads(manifest.read_text())["cases"] if manifest.exists() else []
    return [case["dir"] for case in found if PROFILE in case["versions"]]


def compile_case(*texts: str, proxy: str) -> Snapshot:
    """Without the content of secrets, which no repository of ours holds, and with what is only previewed by Kuma."""
    cleaned = [re.sub(r"\n(data: .*|labels:\n +kuma.io/effect: shadow)(?=\n|$)", "", text) for text in texts]
    compiled = compile_texts(*cleaned)
    assert compiled.value.generation is not None, compiled.diagnostics
    (found,) = (one for one in compiled.value.generation.snapshots.values() if one.node.proxy == proxy)
    return found


def resources(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    return {
        kind.type_url.removeprefix("type.googleapis.com/"): {name: json.loads(one.json) for name, one in named.items()}
        for kind, named in snapshot.resources.items()
    }


@pytest.fixture(scope="module")
def facts() -> ModuleType:
    """The corpus' own comparison, which does not look at names."""
    spec = importlib.util.spec_from_file_location("xdsfacts", CORPUS / "lib" / "xdsfacts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", cases("xds-e2e-gateway"))
def test_a_policy_changes_a_gateway_as_it_does_in_kuma(case: str, facts: ModuleType) -> None:
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    base, *policies = [file.read_text() for file in sorted((CORPUS / case / "input").glob("*.yaml"))]
    for proxy, effect in expected["effects"].items():
        without, changed = compile_case(base, proxy=proxy), compile_case(base, *policies, proxy=proxy)
        added, removed = facts.delta(resources(without), resources(changed), facts.KumaRoles())
        assert (added, removed) == (effect["added"], effect["removed"])


@pytest.mark.parametrize("case", cases("inspect-gateway-rules"))
def test_the_rules_of_a_gateway_are_those_that_kuma_shows(case: str) -> None:
    """Kuma leaves out kinds of which no policy speaks, and adds defaults to confs."""
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    texts = [file.read_text() for file in sorted((CORPUS / case / "input").glob("*.yaml"))]
    compiled = compile_texts(*texts).value
    key = ResourceKey("MeshGateway", expected["query"]["mesh"], expected["query"]["name"])
    shown = {one["type"]: one for one in show_gateway_rules(compiled.memo, key, compiled.resources.sources)["rules"]}
    for rule in expected["expect"]["rules"]:
        found = shown[rule["type"]]["proxyRule"]
        assert [one["resourceMeta"]["name"] for one in found["origin"]] == [
            one["name"] for one in rule["proxyRule"]["origins"]
        ]
        written, wanted = found["conf"]["backends"], rule["proxyRule"]["conf"]["backends"]
        assert [one["zipkin"]["url"] for one in written] == [one["zipkin"]["url"] for one in wanted]


def _golden_hosts(case: str) -> dict[str, Hosts]:
    (file,) = (CORPUS / case / "raw").iterdir()
    golden = yaml.safe_load(file.read_text())["Routes"]["Resources"] or {}
    return dict(_hosts(golden))


def _hosts(configurations: Mapping[str, Any]) -> Iterator[tuple[str, Hosts]]:
    """Of each configuration the paths by domain, exact ones first, which exclude each other, and then in order.

    An answer of 404 is no route of a user's.
    """
    for name, configuration in configurations.items():
        found = {}
        for host in configuration.get("virtualHosts", ()):
            routes = [_path(one["match"]) for one in host.get("routes", ()) if "directResponse" not in one]
            exact = sorted(one for one in routes if one[0] == "path")
            if routes:
                found |= dict.fromkeys(host["domains"], exact + [one for one in routes if one[0] != "path"])
        yield name, found


def _path(match: Mapping[str, Any]) -> Route:
    kind = next(one for one in ("path", "prefix", "safeRegex") if one in match)
    value = match[kind]["regex"] if kind == "safeRegex" else match[kind]
    return kind, value


@pytest.mark.parametrize("case", [one for one in cases("xds-gateway-routes") if "/http" in one])
def test_requests_are_routed_as_kuma_routes_them(case: str) -> None:
    texts = [file.read_text() for file in sorted((CORPUS / case / "input").glob("*.yaml"))]
    found = resources(compile_case(*texts, proxy="default"))
    name = ResourceType.ROUTE.type_url.removeprefix("type.googleapis.com/")
    assert dict(_hosts(found[name])) == _golden_hosts(case)
