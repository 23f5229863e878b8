"""The reference says every field of every schema, and is what the schemas say."""

from pathlib import Path

import pytest
import yaml

from compiler.pipeline import Compiler
from compiler.resources.schema import Schemas
from tests.trees import SCHEMAS, tree_of
from tools.reference import IDLE_TYPES, INDEX, fields_of, main, make_pages, read_schemas

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def test_the_pages_are_what_the_schemas_say() -> None:
    assert main(str(FOLDER), "--check") == 0


def test_every_type_has_a_page_and_a_line() -> None:
    pages = make_pages(read_schemas())
    types = Schemas.load().types
    assert set(pages) == {INDEX, *(f"{name}.md" for name in types)}
    assert all(f"[{name}]({name}.md)" in pages[INDEX] for name in types)


@pytest.mark.parametrize("kind", IDLE_TYPES)
def test_what_is_said_to_be_without_effect_is_warned_of(kind: str) -> None:
    schema = read_schemas()[f"{kind}.json"]["definitions"]
    example = (schema.get("universal") or schema["kubernetes"])["examples"][0]
    text = yaml.safe_dump_all([{"type": "Mesh", "name": example.get("mesh", "default")}, example])
    compiled = Compiler(SCHEMAS).compile(tree_of({"a.yaml": text}))
    assert compiled.value.generation is not None
    assert [str(one.code) for one in compiled.diagnostics if one.subject.type == kind] == ["no-effect"]


def test_a_shared_part_is_told_once_and_referred_to_afterwards() -> None:
    fields = {field.path: field for field in fields_of("MeshTimeout.json", read_schemas())}
    assert fields["spec.to[].default.http.requestTimeout"].says.startswith("How long a request may take")
    assert fields["spec.rules[].default"].shape == "as `spec.to[].default`"
    assert "spec.rules[].default.http" not in fields


def test_a_page_that_is_old_or_of_no_type_is_named(tmp_path: Path, capsys: object) -> None:
    assert main(str(tmp_path)) == 0
    (tmp_path / "Nobody.md").write_text("gone")
    (tmp_path / "Mesh.md").write_text("old")
    assert main(str(tmp_path), "--check") == 1
    assert main(str(tmp_path)) == 0
    assert not (tmp_path / "Nobody.md").exists()
    assert main(str(tmp_path), "--check") == 0
