"""What is beyond the schema is told beside what the schema refuses, and nothing that is not so."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.resources.findings import Finding
from compiler.resources.judge import judge
from tests.resources.build import findings, policy, schemas
from tests.schematic import contents, part


def test_what_is_beyond_the_schema_is_told_too() -> None:
    conf = "{idleTimeout: x, connectionTimeout: 1s}"
    text = policy("MeshTimeout", f"from: [{{targetRef: {{kind: Mesh}}, default: {conf}}}]\nrules: []\nmore: 1")
    assert sorted(findings(text)) == [
        ("bad-value", "/spec/from/0/default/idleTimeout"),
        ("exclusive-fields", "/spec/from"),
        ("unknown-field", "/spec/more"),
    ]


@pytest.mark.parametrize(
    ("mtls", "found"),
    [
        ("{enabledBackend: no, backends: [{name: ca, type: magic}]}", ("bad-value", "/mtls/backends/0/type")),
        ("{enabledBackend: ca, backends: [{type: builtin}]}", ("missing-field", "/mtls/backends/0/name")),
    ],
)
def test_what_only_misses_what_is_wrong_is_not_told(mtls: str, found: tuple[str, str]) -> None:
    assert findings(f"type: Mesh\nname: shop\nmtls: {mtls}") == [found]


FORMS = {kind: contents(f"{kind}.json")["definitions"] for kind in schemas().types}
KINDS = sorted(kind for kind, forms in FORMS.items() if {"spec", "kubernetes"} <= forms.keys())


def places(value: Any, steps: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Of all that is in a value."""
    yield steps
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        yield from places(one, (*steps, key))


def changed(value: Any, steps: tuple[str | int, ...], new: object) -> Any:
    if not steps:
        return new
    first, *others = steps
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[first] = changed(value[first], tuple(others), new)
    return copy


def errors(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {_told(one) for one in judge(document, schemas()).findings if one.refuses}


def _told(one: Finding) -> tuple[str, str, str]:
    return one.code.word, one.pointer, one.message


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_told_that_the_document_without_the_mistake_has_not(kind: str) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(part(kind, "spec"), st.data())
    def check(spec: dict[str, Any], data: st.DataObject) -> None:
        mesh = {"mesh": "m"} if "mesh" in FORMS[kind]["kubernetes"]["properties"] else {}
        document = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **mesh, "metadata": {"name": "one"}}
        right = {**document, "spec": spec}
        assume(schemas().accepts(kind, right))
        place = data.draw(st.sampled_from([one for one in places(spec) if one] or [()]))
        wrong = {**document, "spec": changed(spec, place, ["", {"x": 1}, 3.25, True])}
        assume(not schemas().accepts(kind, wrong))
        by_schema = {_told(one) for one in schemas().explain(kind, wrong)}
        assert errors(wrong) - by_schema <= errors(right)

    check()
