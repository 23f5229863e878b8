"""Canonical text means what it meant, says what it said, and stays as it is when it is formatted again."""

import json
import re

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.formatting.canonical import Formatter
from compiler.resources.schema import Schemas
from compiler.source.parse import Limits, parse_blob
from tests.formatting.odd import ODD

FORMATTER = Formatter(Schemas.load().known)


def format_text(text: str, path: str = "a.yaml") -> str:
    formatted = FORMATTER.format(path, text.encode())
    assert formatted.value is not None, formatted.diagnostics
    return formatted.value.text


def meaning(text: str) -> list[str]:
    parsed = parse_blob(text.encode(), Limits())
    assert not parsed.diagnostics
    return [json.dumps(value, sort_keys=True) for _, value in parsed.documents]


def words(text: str) -> list[str]:
    """Comments as a reader sees them, found without any of the code under test."""
    bare = re.sub(r"\"(?:\\\\.|[^\"\n])*\"|'[^'\n]*'", "''", text)
    return sorted(word for line in bare.splitlines() for word in re.findall(r"(?<!\S)#.*", line.strip()))


@pytest.mark.parametrize("name", ODD)
def test_odd_files_keep_their_meaning_and_their_comments_and_are_done_at_once(name: str) -> None:
    after = format_text(ODD[name])
    assert meaning(after) == meaning(ODD[name])
    assert words(after) == words(ODD[name])
    assert format_text(after) == after
    assert "\r" not in after
    assert after.endswith("\n")
    assert not re.search(r"[^\S\n]+$", re.sub(r"(?m)^ *$", "", after), re.MULTILINE) or "|" in after or ": >" in after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mesh: a\nname: b\ntype: MeshTimeout\n", "type: MeshTimeout\nmesh: a\nname: b\n"),
        (
            "kind: MeshRetry\nspec: {}\nmetadata: {labels: {b: c}, name: x}\napiVersion: kuma.io/v1alpha1\n",
            "apiVersion: kuma.io/v1alpha1\nkind: MeshRetry\nmetadata: {name: x, labels: {b: c}}\nspec: {}\n",
        ),
        (
            "type: MeshTimeout\nspec:\n  to:\n  - default: {a: 1s}\n    targetRef: {name: b, kind: X}\n",
            "type: MeshTimeout\nspec:\n  to:\n    - targetRef: {kind: X, name: b}\n      default: {a: 1s}\n",
        ),
        ("type: Mesh\nname: 'a'\nlabels: {z: \"1\", a: 'yes'}\n", 'type: Mesh\nname: a\nlabels: {z: "1", a: "yes"}\n'),
        ("type: Mesh\nname: a   # why\n\n\n\n# far\nmtls:\n\n  backends: []\n",
         "type: Mesh\nname: a  # why\n\n# far\nmtls:\n  backends: []\n"),
        ('type: Mesh\nname: "a\\nb"\nx: {a: "say \\"x\\""}\n', 'type: Mesh\nname: "a\\nb"\nx: {a: say "x"}\n'),
        ("---\ntype: Mesh\nname: a\n...\n---\ntype: Mesh\nname: b\n",
         "type: Mesh\nname: a\n---\ntype: Mesh\nname: b\n"),
        ("name: a\ntype: MeshRateLimit\nmesh: m\n", "type: MeshRateLimit\nmesh: m\nname: a\n"),
        ("networking: {inbound: [{tags: {a: b}, service_port: 1, port: 2}], address: x}\ntype: Dataplane\n",
         "type: Dataplane\nnetworking: {address: x, inbound: [{port: 2, service_port: 1, tags: {a: b}}]}\n"),
    ],
)  # fmt: skip
def test_one_meaning_has_one_spelling(before: str, after: str) -> None:
    assert format_text(before) == after


def test_a_list_in_brackets_that_does_not_fit_is_written_over_lines() -> None:
    short = "type: Mesh\nname: a\nskipCreatingInitialPolicies: [MeshTimeout, MeshRetry]\n"
    assert format_text(short) == short
    names = [f"entry-{number:02}" for number in range(20)]
    after = format_text(f"type: Mesh\nname: a\nskipCreatingInitialPolicies: [{', '.join(names)}]\n")
    assert after.endswith("skipCreatingInitialPolicies:\n" + "".join(f"  - {name}\n" for name in names))


def test_comments_move_with_the_field_that_they_stand_before_or_beside() -> None:
    spec, name = "spec:\n  # of the rule\n  to: []  # none yet\n", "# of the name\nname: a  # short\n"
    after = format_text(f"# of the file\n{spec}{name}type: MeshTimeout\n")
    assert after == f"# of the file\ntype: MeshTimeout\n{name}{spec}"


def test_what_is_not_the_meshs_stays_byte_for_byte() -> None:
    foreign = "services:   {a: 'b'}\r\n# x\r\nz:   1\r\n"
    assert format_text(foreign) == foreign
    mixed = "a:   1 # one\n---\nname: b\ntype: Mesh\n---\nc:   [ 2 ]"
    assert format_text(mixed) == "a:   1 # one\n---\ntype: Mesh\nname: b\n---\nc:   [ 2 ]"


def test_a_document_with_aliases_keeps_its_order_so_that_anchors_stay_before_them() -> None:
    text = "type: Mesh\nrouting: &r\n  localityAwareLoadBalancing: true\nname: a\nlabels: *r\n"
    assert format_text(text) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("type: Mesh\nname: a\nname: b\n", "duplicate-key"),
        ("type: Mesh\nlabels: &a {x: y}\nmore: {<<: *a}\n", "merge-key"),
        ("type: Mesh\nname: [\n", "yaml-syntax"),
        ("type: Mesh\nname: !secret x\n", "custom-tag"),
        ("type: Mesh\nname: \x1b[31m\n", "control-character"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_has_no_text(text: str, code: str) -> None:
    formatted = FORMATTER.format("team/a.yaml", text.encode())
    assert formatted.value is None
    assert [(found.position.file, found.code.word) for found in formatted.diagnostics] == [("team/a.yaml", code)]


def test_a_json_file_stays_json_in_the_order_of_the_schema() -> None:
    after = format_text('{"name": "a", "labels": {"z": "é", "a": "5"}, "type": "Mesh"}', "a.json")
    assert after == '{\n  "type": "Mesh",\n  "name": "a",\n  "labels": {\n    "z": "é",\n    "a": "5"\n  }\n}\n'
    assert format_text(after, "a.json") == after


def test_text_that_would_mean_something_else_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for loss, reason in (("name: b", "mean something else"), ("name: a", "comment"), ("name: [", "read again")):
        monkeypatch.setattr(FORMATTER, "_texts", lambda *_, text=loss: iter((f"type: Mesh\n{text}\n",)))
        formatted = FORMATTER.format("a.yaml", b"type: Mesh\nname: a # said\n")
        assert formatted.value is None
        assert formatted.diagnostics[0].code.word == "not-formatted"
        assert reason in formatted.diagnostics[0].message


SIGNS = " \n:#-'\"{}[],&*!|>%@"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M"), include_characters=SIGNS))
SCALARS = st.one_of(
    TEXTS,
    st.sampled_from(["yes", "on", "0o7", "1:30", "null", "~", "2024-01-01", "1e3", "0x1f", "<<", "=", "- a", "a: b"]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=15
)
DOCUMENTS = st.dictionaries(st.sampled_from(["labels", "spec", "name", "mtls", "other"]), VALUES)


@st.composite
def written(draw: st.DrawFn) -> str:
    """A document as PyYAML writes it in one of its many ways, with comments strewn over it."""
    document = {**draw(DOCUMENTS), "type": "Mesh"}
    text = yaml.safe_dump(
        document,
        default_flow_style=draw(st.sampled_from([None, True, False])),
        default_style=draw(st.sampled_from([None, "'", '"', "|", ">"])),
        width=draw(st.sampled_from([20, 80, 10**6])),
        indent=draw(st.integers(2, 6)),
        allow_unicode=True,
        sort_keys=draw(st.booleans()),
    )
    lines = []
    for number, line in enumerate(text.split("\n")):
        match draw(st.integers(0, 9)):
            case 0:
                lines += [" " * draw(st.integers(0, 8)) + f"# c{number}", line]
            case 1:
                lines.append(f"{line} # c{number}")
            case 2:
                lines += ["", line]
            case _:
                lines.append(line)
    return "\n".join(lines)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(written())
def test_whatever_is_read_is_formatted_without_loss(text: str) -> None:
    parsed = parse_blob(text.encode(), Limits())
    assume(not parsed.diagnostics and parsed.documents and parsed.documents[0][1].get("type") == "Mesh")
    after = format_text(text)
    assert meaning(after) == meaning(text)
    assert format_text(after) == after


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.booleans())
def test_readers_of_yaml_1_1_take_a_string_for_the_same_string(text: str, flow: bool) -> None:
    quoted = json.dumps(text, ensure_ascii=False)
    before = f"type: Mesh\nx: [{quoted}]\n" if flow else f"type: Mesh\nx:\n- {quoted}\n"
    assume(not parse_blob(before.encode(), Limits()).diagnostics)
    assert yaml.safe_load(format_text(before))["x"] == [text]
