"""What edits draw: every kind that there is, as its schema wants it."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.resources.schema import find_schemas
from tests.edited_policies import Document
from tests.edits import DOCUMENTS
from tests.heads import kind_of
from tests.trees import SCHEMAS


def _kinds() -> set[str]:
    """Of the schemas, those that are of a type of resource."""
    loaded = {path.stem: json.loads(path.read_bytes()) for path in find_schemas().glob("*.json")}
    return {
        name for name, schema in loaded.items() if {"universal", "kubernetes"} & schema.get("definitions", {}).keys()
    }


def test_every_kind_is_edited() -> None:
    drawn: set[str] = set()

    @settings(max_examples=10, database=None, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.fixed_dictionaries(dict(DOCUMENTS)))
    def draw(documents: dict[str, Document]) -> None:
        for document in (one for file, one in documents.items() if file != "meshwright"):
            kind = kind_of(document)
            drawn.add(kind)
            assert SCHEMAS.accepts(kind, document), document

    draw()
    assert drawn == _kinds()
