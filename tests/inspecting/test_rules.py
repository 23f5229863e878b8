"""What a person sees of one proxy: Kuma's shapes, and the places behind them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compiler.inspecting.proxies import find_proxy, locate_resource, show_config, show_policies
from compiler.inspecting.rules import show_rules
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import ResourceKey
from compiler.resources.values import Duration
from compiler.snapshot.take import SNAPSHOT
from tests.trees import SCHEMAS, compile_texts

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "inspect-dataplane-rules"
MESH = """
type: Mesh
name: default
skipCreatingInitialPolicies: ["*"]
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
"""
WEB = """
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 10001, tags: {kuma.io/service: web}}]
"""
TIMEOUT = """
type: MeshTimeout
mesh: default
name: slow
spec:
  to:
    - targetRef: {kind: Mesh}
      default: {http: {requestTimeout: 3s}}
    - targetRef: {kind: MeshService, name: web}
      default: {http: {requestTimeout: 4s}}
  from:
    - targetRef: {kind: Mesh}
      default: {idleTimeout: 9s}
"""
PERMISSION = """
type: MeshTrafficPermission
mesh: default
name: callers
spec:
  from:
    - targetRef: {kind: Mesh}
      default: {action: Deny}
    - targetRef: {kind: MeshService, name: web}
      default: {action: Allow}
"""
KEY = ResourceKey("Dataplane", "default", "web")


@pytest.fixture(scope="module")
def compiled() -> tuple[Compiler, Compiled]:
    compiler = Compiler(SCHEMAS)
    checked = compile_texts(MESH, WEB, TIMEOUT, PERMISSION, compiler=compiler)
    assert checked.diagnostics == ()
    return compiler, checked.value


def rules_of(compiled: tuple[Compiler, Compiled]) -> Mapping[str, Any]:
    compiler, value = compiled
    shown = show_rules(compiler.memo, KEY, value.resources.sources)
    json.dumps(shown)
    return {one["type"]: one for one in shown["rules"]}


def test_outgoing_rules_name_the_resource_and_where_each_conf_was_written(compiled: tuple[Compiler, Compiled]) -> None:
    mesh, service = rules_of(compiled)["MeshTimeout"]["toResourceRules"]
    assert (mesh["resourceMeta"]["type"], mesh["conf"]) == ("Mesh", [{"http": {"requestTimeout": "3s"}}])
    assert (service["resourceMeta"]["name"], service["conf"]) == ("web", [{"http": {"requestTimeout": "4s"}}])
    assert [origin["position"] for origin in service["origin"]] == ["002.yaml:7:7", "002.yaml:9:7"]
    assert [origin["ruleIndex"] for origin in service["origin"]] == [0, 1]


def test_incoming_rules_name_the_inbound(compiled: tuple[Compiler, Compiled]) -> None:
    (inbound,) = rules_of(compiled)["MeshTimeout"]["inboundRules"]
    assert inbound["inbound"]["port"] == 80
    assert [rule["conf"] for rule in inbound["rules"]] == [[{"idleTimeout": "9s"}]]


def test_from_rules_name_the_callers_by_their_tags(compiled: tuple[Compiler, Compiled]) -> None:
    (inbound,) = rules_of(compiled)["MeshTrafficPermission"]["fromRules"]
    first, second = inbound["rules"]
    assert first["matchers"] == [{"key": "kuma.io/service", "value": "web", "not": False}]
    assert (first["conf"], second["conf"]) == ({"action": "Allow"}, {"action": "Deny"})


def test_what_holds_where_no_policy_speaks_is_shown_as_such(compiled: tuple[Compiler, Compiled]) -> None:
    compiler, found = compiled
    rules = {one["type"]: one for one in show_rules(compiler.memo, KEY, found.resources.sources)["rules"]}
    assert rules["MeshTimeout"]["defaults"]["origin"] == "default"
    assert rules["MeshTimeout"]["defaults"]["conf"]["http"]["requestTimeout"] == "15s"
    assert "defaults" not in rules["MeshTrafficPermission"]


def test_policies_are_listed_with_their_inbounds_and_places(compiled: tuple[Compiler, Compiled]) -> None:
    compiler, value = compiled
    policies = show_policies(compiler.memo, KEY, value.resources.sources)["policies"]
    assert [(one["type"], one["inbounds"]) for one in policies] == [
        ("MeshTimeout", ["80"]),
        ("MeshTrafficPermission", ["80"]),
    ]
    assert policies[0]["position"].startswith("002.yaml:")


def test_config_has_the_resources_by_type_url_and_secrets_by_name(compiled: tuple[Compiler, Compiled]) -> None:
    compiler, _ = compiled
    shown = show_config(compiler.memo.ask(SNAPSHOT, KEY).snapshot)
    listeners = shown["xds"]["type.googleapis.com/envoy.config.listener.v3.Listener"]
    assert sorted(listeners) == ["kri_msvc_default___web_", "self_inbound_dp_80"]
    assert shown["secrets"] == ["system_mtls_ca_default", "system_mtls_identity_default"]


def test_a_resource_leads_back_to_its_policies_and_its_dataplane(compiled: tuple[Compiler, Compiled]) -> None:
    compiler, value = compiled
    url = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    places = locate_resource(compiler.memo, KEY, url, "kri_msvc_default___web_", value.resources.sources)
    assert places[0] == "002.yaml:9:7"
    assert places[-1].startswith("001.yaml:")


def test_a_proxy_that_is_not_there_is_not_found(compiled: tuple[Compiler, Compiled]) -> None:
    assert find_proxy(compiled[0].memo, "default", "wep") is None


def _seconds(conf: Any) -> Any:
    """Durations by value, as the corpus writes them."""
    if isinstance(conf, Mapping):
        return {key: _seconds(value) for key, value in conf.items()}
    return f"dur:{Duration.parse(conf) // 10**9}" if isinstance(conf, str) and conf.endswith("s") else conf


@pytest.mark.skipif(not CORPUS.exists(), reason="the acceptance corpus is not here")
@pytest.mark.parametrize("case", ["resource-rule-meshtimeout-index", "resource-rule-meshtimeout-section"])
def test_the_corpus_agrees_about_rules_by_resource(case: str) -> None:
    expected = json.loads((CORPUS / case / "expected.json").read_text())
    texts = [
        text.replace("type: Mesh\n", 'type: Mesh\nskipCreatingInitialPolicies: ["*"]\n', 1)
        for path in sorted((CORPUS / case / "input").glob("*.yaml"))
        for text in [path.read_text()]
    ]
    compiler = Compiler(SCHEMAS)
    checked = compile_texts(*texts, compiler=compiler)
    assert checked.value.generation is not None, checked.diagnostics
    shown = show_rules(compiler.memo, ResourceKey("Dataplane", "mesh-1", "dp-1"), checked.value.resources.sources)
    found = [
        (rule["resourceMeta"]["name"], rule["resourceSectionName"], _seconds(rule["conf"][0]))
        for one in shown["rules"]
        for rule in one["toResourceRules"]
    ]
    wanted = [
        (rule["resource"]["name"], rule.get("section", ""), rule["conf"][0])
        for one in expected["expect"]["rules"]
        for rule in one["toResourceRules"]
    ]
    assert found == wanted
