"""What the worker answers for the pages that show proxies, policies and services."""

from collections.abc import Mapping
from typing import Any

import pytest

from compiler.pipeline import Compiler
from compiler.reconcile.answers import list_questions
from tests.trees import SCHEMAS, compile_texts

MESH = """
type: Mesh
name: default
---
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: frontend}}]
---
type: MeshTimeout
mesh: default
name: slow
spec: {to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 9s}}]}
---
type: MeshExternalService
mesh: default
name: github
spec: {match: {port: 443}, endpoints: [{address: 192.0.2.1, port: 443}]}
"""


def ask(question: str, **arguments: str) -> Any:
    compiler = Compiler(SCHEMAS)
    compiled = compile_texts(MESH, compiler=compiler).value
    return list_questions(compiler)[question](compiled, {"mesh": "default", **arguments})


@pytest.mark.parametrize(
    ("question", "arguments", "total"),
    [
        ("chosen", {"collection": "meshtimeouts", "name": "slow"}, 1),
        ("chosen", {"collection": "meshtimeouts", "name": "mesh-timeout-all-default"}, 1),
        ("chosen", {"collection": "meshservices", "name": "frontend"}, 1),
        ("hostnames", {"collection": "meshexternalservices", "name": "github"}, 1),
    ],
)
def test_resources_are_found_by_what_kumas_paths_call_their_type(
    question: str, arguments: Mapping[str, str], total: int
) -> None:
    assert ask(question, **arguments)["total"] == total


def test_a_proxy_is_shown_with_its_layout_and_its_policies() -> None:
    assert [one["port"] for one in ask("layout", name="web")["inbounds"]] == [80]
    assert "slow" in [one["name"] for one in ask("policies", name="web")["policies"]]


@pytest.mark.parametrize(
    ("question", "arguments", "sentence"),
    [
        ("chosen", {"collection": "meshretries", "name": "slow"}, "no 'slow' among the meshretries of mesh 'default'"),
        ("hostnames", {"collection": "meshtimeouts", "name": "slow"}, "no service MeshTimeout 'slow'"),
        ("layout", {"name": "wep"}, "no dataplane 'wep' in mesh 'default'"),
    ],
)
def test_what_is_not_there_is_told_by_a_sentence(question: str, arguments: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(LookupError, match=sentence):
        ask(question, **arguments)
