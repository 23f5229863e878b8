"""No field of a policy is without a case."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from compiler.policies import POLICIES
from tests.policies.harness import Case, read_cases
from tests.schematic import contents
from tools.reference import fields_of

CASES: tuple[Case, ...] = tuple(read_cases())
SCHEMAS = {f"{policy.kind.type}.json": contents(f"{policy.kind.type}.json") for policy in POLICIES} | {
    "definitions.json": contents("definitions.json")
}
_SECTION = re.compile(r"^(to|from|rules)\[\]\.")
_PERMISSION = re.compile(r"\.(deny|allow|allowWithShadowDeny)\[\]")
"""Lists of one shape: a field of one of them is a field of all."""
_TARGETS = re.compile(r"(^|\.)targetRef(\.|$)")
"""What a targetRef may hold is the same for every policy, and has tests of its own."""


def named(path: str) -> str:
    return _PERMISSION.sub(".matching[]", _SECTION.sub("section[].", path))


def written(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all fields that a document has."""
    if isinstance(value, dict):
        for key, one in value.items():
            below = f"{path}.{key}" if path else key
            yield from (below, *written(one, below))
    elif isinstance(value, list):
        for one in value:
            yield from written(one, f"{path}[]")


@pytest.mark.parametrize("kind", sorted(policy.kind.type for policy in POLICIES))
def test_every_field_stands_in_a_case(kind: str) -> None:
    documents = (one for case in CASES for one in case.policies if one.get("type", case.kind) == kind)
    found = {named(path) for one in documents for path in written(one.get("spec", {}))}
    fields = (one.path.removeprefix("spec.") for one in fields_of(f"{kind}.json", SCHEMAS) if "spec." in one.path)
    known = {named(path.partition(".*")[0]).removesuffix("[]") for path in fields}
    assert {path for path in known - found if not _TARGETS.search(path)} == set()
