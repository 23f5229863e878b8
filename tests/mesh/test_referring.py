"""A policy that names a collector changes with it, and only such a policy does."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from compiler.diagnostics import Checked
from compiler.envoy.resources import ResourceType
from compiler.pipeline import Compiled, Compiler
from tests.policies.harness import plain_mesh
from tests.trees import SCHEMAS, tree_of

BACKEND = "MeshOpenTelemetryBackend"
Files = Mapping[str, Any]


def collector(name: str, address: str, **labels: str) -> dict[str, Any]:
    spec = {"endpoint": {"address": address}}
    return {"type": BACKEND, "mesh": "default", "name": name, "labels": labels, "spec": spec}


def trace(**reference: Any) -> dict[str, Any]:
    backend = {"type": "OpenTelemetry", "openTelemetry": {"backendRef": {"kind": BACKEND, **reference}}}
    return {"type": "MeshTrace", "mesh": "default", "name": "it", "spec": {"default": {"backends": [backend]}}}


def compile_tree(compiler: Compiler, files: Files) -> Checked[Compiled]:
    texts = {f"{number:03}.json": json.dumps(one) for number, one in enumerate(plain_mesh("services"))}
    texts |= {f"{name}.json": json.dumps(one) for name, one in files.items() if one is not None}
    return compiler.compile(tree_of(texts))


def compile_files(compiler: Compiler, files: Files) -> tuple[str, list[tuple[str, str]], list[str]]:
    """The digest, the findings, and the collectors of the frontend."""
    compiled = compile_tree(compiler, files)
    assert compiled.value.generation is not None
    named = compiled.value.generation.snapshots["default.frontend"].resources[ResourceType.CLUSTER]
    clusters = (json.loads(one.json) for name, one in named.items() if name.startswith("system_meshtrace"))
    hosts = [
        one["loadAssignment"]["endpoints"][0]["lbEndpoints"][0]["endpoint"]["address"]["socketAddress"]["address"]
        for one in clusters
    ]
    found = [(finding.code.word, finding.path) for finding in compiled.diagnostics]
    return compiled.value.generation.digest, found, hosts


STEPS: list[tuple[Files, list[str]]] = [
    ({"policy": trace(name="otel")}, []),
    ({"one": collector("otel", "10.1.1.1")}, ["10.1.1.1"]),
    ({"one": collector("otel", "10.1.1.2")}, ["10.1.1.2"]),
    ({"policy": trace(labels={"team": "ops"})}, []),
    ({"one": collector("otel", "10.1.1.2", team="ops")}, ["10.1.1.2"]),
    ({"two": collector("aaa", "10.1.1.3", team="ops")}, ["10.1.1.3"]),
    ({"two": collector("aaa", "10.1.1.3")}, ["10.1.1.2"]),
    ({"one": None}, []),
]


def test_what_a_policy_refers_to_is_followed_from_edit_to_edit() -> None:
    """A compiler that remembers says what a new one says."""
    remembering, files = Compiler(SCHEMAS), dict[str, Any]()
    for changes, hosts in STEPS:
        files |= changes
        outcome = compile_files(remembering, files)
        assert outcome[2] == hosts
        assert outcome == compile_files(Compiler(SCHEMAS), files)


@pytest.mark.parametrize(("named", "proxies"), [("otel", 2), ("other", 0)])
def test_an_edit_of_a_collector_concerns_who_names_it(named: str, proxies: int) -> None:
    compiler = Compiler(SCHEMAS)
    files = {"policy": trace(name=named), "one": collector("otel", "10.1.1.1"), "two": collector("other", "10.1.1.9")}
    compile_files(compiler, files)
    before = compiler.computed.get("common resources", 0)

    compile_files(compiler, files | {"one": collector("otel", "10.1.1.2")})

    assert compiler.computed.get("common resources", 0) - before == proxies


def test_a_collector_that_moves_changes_clusters_and_no_listener() -> None:
    """A change of a listener would drain connections."""
    compiler, files = Compiler(SCHEMAS), {"policy": trace(name="otel")}
    before, after = (
        listeners_of(compiler, files | {"one": collector("otel", address)}) for address in ("10.1.1.1", "10.1.1.2")
    )
    assert before == after
    assert any("system_meshtrace" in text for text in before.values())


def listeners_of(compiler: Compiler, files: Files) -> dict[str, str]:
    """Of the frontend, by name."""
    generation = compile_tree(compiler, files).value.generation
    assert generation is not None
    named = generation.snapshots["default.frontend"].resources[ResourceType.LISTENER]
    return {name: one.json.decode() for name, one in named.items()}
