"""The schemas themselves: what editors and both validators are promised."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from compiler.resources.envelope import normalise, read_envelope
from compiler.resources.findings import NO_EFFECT
from compiler.resources.judge import judge
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.model import SHORT_NAMES, SPECS
from compiler.resources.schema import Schemas, find_schemas
from compiler.resources.values import decode
from tests.resources.build import accepted, schemas

FILES = sorted(find_schemas().glob("*.json"))
CONTENTS = {path.stem: json.loads(path.read_bytes()) for path in FILES}
TYPES = schemas().types
FORMS = [
    (kind, form) for kind in TYPES for form in ("universal", "kubernetes") if form in CONTENTS[kind]["definitions"]
]
NEVER_NAMED = LEGACY_TYPES | {"ContainerPatch"}
"""Types that nothing of Envoy's is named after."""
OUTPUTS = ("access", "plan")
"""What commands print; nobody writes it, so nobody needs examples, and nothing judges it but tests."""


def _subschemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema; `examples` and lists of values hold none."""
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            if key in ("properties", "definitions"):
                for name, each in value.items():
                    yield from _subschemas(each, f"{path}/{key}/{name}")
            elif key in ("items", "additionalProperties", "propertyNames", "if", "then", "else", "not"):
                yield from _subschemas(value, f"{path}/{key}")
            elif key in ("allOf", "anyOf", "oneOf"):
                for index, each in enumerate(value):
                    yield from _subschemas(each, f"{path}/{key}/{index}")


def _fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, each in _subschemas(schema):
        if "/if" not in path:
            for name, value in each.get("properties", {}).items():
                yield f"{path}/properties/{name}", value


INPUTS = {name: schema for name, schema in CONTENTS.items() if name not in OUTPUTS}
ALL = [(f"{name}{path}", each) for name, schema in CONTENTS.items() for path, each in _subschemas(schema)]
READ = [(f"{name}{path}", each) for name, schema in INPUTS.items() for path, each in _subschemas(schema)]
FIELDS = [(name, path, value) for name, schema in INPUTS.items() for path, value in _fields(schema)]


def test_there_is_one_for_every_type_of_the_model() -> None:
    assert set(SPECS) <= set(TYPES) <= set(SHORT_NAMES) | NEVER_NAMED


@pytest.mark.parametrize("name", CONTENTS)
def test_each_is_draft_7_and_names_itself(name: str) -> None:
    schema = CONTENTS[name]
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"] == f"https://meshwright.dev/schemas/v1/{name}.json"


def test_every_mapping_with_fields_is_closed() -> None:
    open_ones = [path for path, each in ALL if "properties" in each and each.get("additionalProperties") is not False]
    assert [path for path in open_ones if path != "resource" and not path.endswith("/if")] == []


def test_every_field_has_a_description_and_an_example() -> None:
    assert [
        f"{name}{path}" for name, path, value in FIELDS if not (value.get("description") and value.get("examples"))
    ] == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_field_of_an_output_is_described(name: str) -> None:
    fields = list(_fields(CONTENTS[name]))
    assert fields
    assert [path for path, value in fields if not {"description", "$ref", "const"} & value.keys()] == []


def test_every_example_is_accepted_by_its_own_field() -> None:
    """An example that is not right would teach the mistake."""
    known = [(schema["$id"], schema) for schema in CONTENTS.values()]
    registry = jsonschema_rs.Registry(known, draft=7)
    wrong = []
    for name, schema in CONTENTS.items():
        for path, each in _subschemas(schema):
            pointer = f"{schema['$id']}#{path}"
            if each.get("examples") and "/if" not in path:
                field = jsonschema_rs.Draft7Validator({"$ref": pointer}, registry=registry, offline=True)
                wrong += [f"{name}{path}" for example in each["examples"] if not field.is_valid(example)]
    assert wrong == []


def test_no_rule_takes_more_than_linear_time() -> None:
    patterns = {each["pattern"] for _, each in READ if isinstance(each.get("pattern"), str)}
    for pattern in patterns:
        jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    assert patterns
    assert [path for path, each in READ if "uniqueItems" in each] == []


def test_every_pattern_has_its_meaning_beside_it() -> None:
    assert [path for path, each in READ if "pattern" in each and not each.get("patternErrorMessage")] == []


def test_no_reference_leaves_the_folder(tmp_path: Path) -> None:
    """Where one does, judging fails instead of fetching."""
    for path in FILES:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    zone = json.loads((tmp_path / "Zone.json").read_text())
    zone["definitions"]["spec"] = {"$ref": "http://127.0.0.1:9/elsewhere.json"}
    (tmp_path / "Zone.json").write_text(json.dumps(zone))
    with pytest.raises(ValueError, match="elsewhere"):
        Schemas.load(tmp_path).accepts("Zone", {})


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_the_dispatcher_judges_as_the_type_itself(kind: str, form: str) -> None:
    known = [(schema["$id"], schema) for schema in CONTENTS.values()]
    registry = jsonschema_rs.Registry(known, draft=7)
    dispatcher = jsonschema_rs.Draft7Validator(CONTENTS["resource"], registry=registry, offline=True)
    good = copy.deepcopy(CONTENTS[kind]["definitions"][form]["examples"][0])
    assert dispatcher.is_valid(good)
    assert not dispatcher.is_valid(good | {"surplus": 1})
    assert dispatcher.is_valid({"apiVersion": "apps/v1", "kind": "Deployment", "surplus": 1})


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_both_forms_are_accepted_as_the_schema_shows_them(kind: str, form: str) -> None:
    assert accepted(kind, CONTENTS[kind]["definitions"][form]["examples"][0])


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["0s", "5s", "1.5h", "5s\n", "٣s", "x-a", "Exact", "100.0", "-1", "spiffe://a/b", "a" * 300, "µs", "1µs"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _places(each, (*at, key))
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(each, (*at, index))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A right document with one to three places changed, removed or added to."""
    kind, form = draw(st.sampled_from(FORMS))
    value = copy.deepcopy(CONTENTS[kind]["definitions"][form]["examples"][0])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([place for place in _places(value) if place] or [()]))
        if not place:
            continue
        parent = value
        for step in place[:-1]:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del parent[place[-1]]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = draw(VALUES)
        else:
            parent[place[-1]] = draw(VALUES)
    return kind, value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_the_fast_and_the_slow_validator_give_one_verdict(case: tuple[str, dict[str, Any]]) -> None:
    accepted(*case)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_whatever_is_accepted_has_a_typed_spec(case: tuple[str, dict[str, Any]]) -> None:
    kind, value = case
    verdict, normal = judge(value, schemas()), normalise(kind, value)
    if verdict.envelope is None or not schemas().accepts(kind, normal):
        return
    if kind in SPECS:
        assert isinstance(decode(SPECS[kind], read_envelope(kind, normal).content(normal)), SPECS[kind])
    if kind not in LEGACY_TYPES:
        assert [resource.key.type for resource, _ in verdict.resources][:1] == [kind]


@pytest.mark.parametrize(("kind", "form"), [one for one in FORMS if one[0] not in LEGACY_TYPES])
def test_no_example_of_a_whole_document_has_anything_wrong(kind: str, form: str) -> None:
    verdict = judge(CONTENTS[kind]["definitions"][form]["examples"][0], schemas())
    useless = [found for found in verdict.findings if found.code is NO_EFFECT and kind in {"GlobalSecret", "Workload"}]
    assert (len(verdict.findings), len(verdict.resources) > 0) == (len(useless), True)
