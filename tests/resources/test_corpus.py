"""How well Kuma's own documents are judged, where the acceptance corpus is at hand; what differs has its reason."""

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compiler.diagnostics import Diagnostic, Severity
from compiler.resources.schema import Schemas
from compiler.resources.validate import validate
from compiler.source.parse import parse_file
from tests.resources.build import schemas

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
PROFILE = "2.14"
FAMILIES = (
    "validate-policy",
    "validate-resource",
    "validate-labels",
    "validate-k8s-admission",
    "accept-e2e",
    "docs-examples",
)
NOT_SUPPORTED_YET = "not-supported-yet"
OTHERWISE: Mapping[str, str] = {
    "meshretry-refuse-top-level-targetref-meshgateway": "a kind of target, which is the policy's own table",
    "global-meshtimeout-mesh-other": "a global control plane does not look; a zone's does",
    "zone-k8s-meshtimeout-zone-other": "asks which zone the control plane is in",
    "zone-uni-meshtimeout-zone-other": "asks which zone the control plane is in",
    "cli-user-create-ms-custom-ns.global": "asks which control plane is written to",
    "cli-user-create-mt-system-policy-role-label.global": "asks which control plane is written to",
    "cp-user-create-ms-multiple-port-violations.federated": "the control plane itself may write what is wrong",
    "cp-user-create-ms-multiple-port-violations.global": "the control plane itself may write what is wrong",
    "cp-user-create-ms-multiple-port-violations.non-federated": "the control plane itself may write what is wrong",
    "k8s-mesh-28f7f90c": "a placeholder filled with an invented value",
    "uni-meshtimeout-6e5f4f4e": "a placeholder filled with an invented value",
    "how-kuma-chooses-the-right-policy-to-app-uni-dataplane-b679b5dc": "Envoy cannot listen twice on one port",
    "introduction-new-k8s-meshtimeout-42d0837e": "a MeshService without name and labels",
    "meshretry-k8s-legacy-meshretry-b7e82cd1": "a Dataplane has no tags in a targetRef",
    "meshretry-uni-meshretry-2532b9e9": "a Dataplane has no tags in a targetRef",
}
FIELDS_NAMED = 0.8
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
    parsed = [
        parse_file(file.name, str(file), file.read_bytes())
        for file in sorted((CORPUS / case["dir"] / "input").iterdir())
    ]
    documents = tuple(document for one in parsed for document in one.value)
    found = [finding for one in parsed for finding in one.diagnostics]
    found += validate(documents, compiled).diagnostics
    return [finding for finding in found if finding.level is Severity.ERROR]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_document_of_kumas_is_accepted_or_refused_as_kuma_does(name: str) -> None:
    case = CASES[name]
    errors = _judge(case, schemas())
    supported = [finding for finding in errors if finding.code.word != NOT_SUPPORTED_YET]
    if name in OTHERWISE:
        assert bool(supported) is case["accept"], "the reason why this one differs holds no more"
    elif case["accept"]:
        assert supported == []
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
