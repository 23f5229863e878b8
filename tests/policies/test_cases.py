"""Every case of `cases/` (see `harness.py`), and the real Envoy's verdict on all of their snapshots."""

from collections.abc import Iterator, Mapping

import jsonpointer
import pytest
from google.protobuf.message import Message

from compiler.envoy.resources import EnvoyResources, ResourceType
from compiler.policies import POLICIES
from compiler.snapshot.canonical import parse
from compiler.snapshot.inline import inline_all, validate_with_envoy
from compiler.snapshot.snapshot import Snapshot
from tests.policies.harness import (
    CASES,
    Case,
    actual_changes,
    apply_changes,
    compile_documents,
    difference,
    findings,
    read_cases,
    rewrite_changes,
    snapshot_of,
    view,
)
from tests.snapshot.verdicts import ENVOY, needs_envoy

ALL = tuple(read_cases())


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.kind}: {case.title}")
def test_a_policy_does_what_its_case_says(case: Case, rewrite: bool) -> None:
    compiled = compile_documents((*case.documents, *case.policies))
    assert findings(compiled) == list(case.finds)
    if rewrite:
        _rewrite(case)
        return
    if compiled.failed:
        assert case.changes is None, "there is no snapshot that could change"
        return
    after = view(snapshot_of(compiled, case.proxy))
    assert {path: jsonpointer.resolve_pointer(after, path, None) for path in case.holds} == case.holds
    if case.policies:
        assert case.changes is not None, "say what changes, or []"
        assert list(difference(apply_changes(case), after)) == []


def _rewrite(case: Case) -> None:
    failed = compile_documents((*case.documents, *case.policies)).failed
    rewrite_changes(case.file, {case.title: None if failed or not case.policies else actual_changes(case)})


def test_every_policy_has_cases() -> None:
    assert {case.kind for case in ALL} == {policy.kind.type for policy in POLICIES}


def test_titles_are_unique_in_their_file() -> None:
    """YAML lets the last of two equal keys win in silence."""
    for path in CASES.glob("*.yaml"):
        titles = [line[:-1] for line in path.read_text().splitlines() if line.endswith(":") and line[0] not in " #"]
        assert len(titles) == len(set(titles))
        assert len(titles) == sum(case.file == path for case in ALL)


@needs_envoy
def test_envoy_accepts_the_snapshot_of_every_case() -> None:
    assert ENVOY is not None
    proxies = {f"{number}": _messages(snapshot) for number, snapshot in enumerate(_snapshots())}
    assert len(proxies) > 50
    assert validate_with_envoy(inline_all(proxies), ENVOY) is None


def _snapshots() -> Iterator[Snapshot]:
    for case in ALL:
        compiled = compile_documents((*case.documents, *case.policies))
        if not compiled.failed:
            yield snapshot_of(compiled, case.proxy)


def _messages(snapshot: Snapshot) -> EnvoyResources:
    parsed: Mapping[ResourceType, Mapping[str, Message]] = {
        kind: {name: parse(resource.json, kind) for name, resource in resources.items()}
        for kind, resources in snapshot.resources.items()
    }
    return EnvoyResources(parsed, tuple(secret.name for secret in snapshot.secrets))
