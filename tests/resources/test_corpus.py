"""How well Kuma's own documents are judged, where the acceptance corpus is at hand; what differs has its reason."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compiler.diagnostics import Diagnostic, Severity
from compiler.pipeline import Compiler
from compiler.resources.schema import Schemas
from tests.resources.build import schemas
from tests.trees import tree_of

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
PROFILE = "2.14"
FAMILIES = (
    "validate-policy",
    "validate-resource",
    "validate-gateway",
    "validate-legacy",
    "validate-labels",
    "validate-k8s-admission",
    "validate-apply",
    "validate-api-put",
    "accept-e2e",
    "docs-examples",
)
OTHERWISE: Mapping[str, str] = {
    "global-meshtimeout-mesh-other": "a global control plane does not look; a zone's does",
    "zone-k8s-meshtimeout-zone-other": "asks which zone the control plane is in",
    "zone-uni-meshtimeout-zone-other": "asks which zone the control plane is in",
    "cli-user-delete-tr.federated": "asks which control plane is written to",
    "cli-user-create-ms-custom-ns.global": "asks which control plane is written to",
    "cli-user-create-mt-system-policy-role-label.global": "asks which control plane is written to",
    "cp-user-create-ms-multiple-port-violations.federated": "the control plane itself may write what is wrong",
    "cp-user-create-ms-multiple-port-violations.global": "the control plane itself may write what is wrong",
    "cp-user-create-ms-multiple-port-violations.non-federated": "the control plane itself may write what is wrong",
    "put-immutable-displayname-01-refuse": "asks what was there before",
    "zone-uni-meshexternalservice-no-labels": "asks which control plane is written to",
    "secrets-uni-globalsecret-c3f06cf5": "a secret's content in Git",
    "uni-mesh-da059b56": "a key in Git",
    "uni-externalservice-a1a5bf5b": "a placeholder filled with an address without its port",
    "uni-externalservice-f03d6e2c": "a placeholder filled with an address without its port",
    "k8s-meshgatewayroute-af81a86d": "a placeholder filled with a path without its slash",
    "k8s-mesh-28f7f90c": "a placeholder filled with an invented value",
    "k8s-meshmetric-c35d2fc3": "a placeholder filled with a host without its port",
    "k8s-meshratelimit-3b1fd0fd": "a placeholder filled with another namespace than the system's",
    "meshtimeout-k8s-meshtimeout-0a81d8c5": "outside of the system's namespace, where Kuma refuses it too",
    "cli-user-create-mt-no-status.federated": "asks which control plane is written to",
    "cli-user-create-mt-spec-origin.federated": "asks which control plane is written to",
    "virtual-outbound-k8s-virtualoutbound-1db059e9": "no parameter stands for kuma.io/service, as Kuma asks",
    "uni-healthcheck-e0faf810": "a placeholder filled with an invented value",
    "uni-meshtimeout-6e5f4f4e": "a placeholder filled with an invented value",
    "how-kuma-chooses-the-right-policy-to-app-uni-dataplane-b679b5dc": "Envoy cannot listen twice on one port",
    "introduction-new-k8s-meshtimeout-42d0837e": "a MeshService without name and labels",
    "meshretry-k8s-legacy-meshretry-b7e82cd1": "a Dataplane has no tags in a targetRef",
    "meshretry-uni-meshretry-2532b9e9": "a Dataplane has no tags in a targetRef",
}
FIELDS_NAMED = 0.89
"""The share of refused fields that are named exactly or nearly; a regression shows below it."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the acceptance corpus is not at hand")


def _cases() -> Iterator[dict[str, Any]]:
    for family in FAMILIES:
        manifest = CORPUS / family / "manifest.json"
        for case in json.loads(manifest.read_text())["cases"] if manifest.exists() else ():
            in_scope = case.get("type") in schemas().types and case["tier"] in "AB" and PROFILE in case["versions"]
            if in_scope and case.get("accept") is not None:
                yield case


CASES = {case["dir"].partition("/")[2]: case for case in _cases()} if CORPUS.is_dir() else {}


def _judge(case: Mapping[str, Any], compiled: Schemas) -> list[Diagnostic]:
    """By itself and together with its Mesh, as `validate` looks at it."""
    files = {file.name: file.read_text() for file in sorted((CORPUS / case["dir"] / "input").iterdir())}
    found = Compiler(compiled, processes=1).compile(tree_of(files), thorough=True).diagnostics
    return [finding for finding in found if finding.level is Severity.ERROR]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_document_of_kumas_is_accepted_or_refused_as_kuma_does(name: str) -> None:
    case = CASES[name]
    errors = _judge(case, schemas())
    if name in OTHERWISE:
        assert bool(errors) is case["accept"], "the reason why this one differs holds no more"
    elif case["accept"]:
        assert errors == []
    else:
        assert errors != []


def test_what_is_wrong_is_named_as_kuma_names_it() -> None:
    """Of the fields that Kuma refuses; its schema's own refusals are left out, as the corpus does."""
    compare = _load("lib/canon.py").field_score
    scores = [
        max((compare(violation["field"], finding.path) for finding in errors), key=["no", "near", "exact"].index)
        for name, case in CASES.items()
        if not case["accept"]
        and not case.get("schema_refuses")
        and name not in OTHERWISE
        and (errors := _judge(case, schemas()))
        for violation in json.loads((CORPUS / case["dir"] / "expected.json").read_text())["violations"]
        if violation.get("field")
    ]
    assert scores
    assert sum(score != "no" for score in scores) / len(scores) >= FIELDS_NAMED


def _load(path: str) -> ModuleType:
    found = importlib.util.spec_from_file_location("canon", CORPUS / path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
