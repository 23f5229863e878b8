"""A compiler that was written and read goes on as the one that was written would have."""

import os
import pickle
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.memo import Input, Query
from compiler.mesh.calls import Principal
from compiler.mesh.policy import PolicyKind
from compiler.pipeline import Compiled, Compiler
from compiler.review.kept.image import SecretError, UnreadableImageError, read_image, write_image
from tests.histories import Files, histories, write_tree
from tests.review.kept.images import again, written
from tests.review.shop_edits import FASTER, SHOP, edited
from tests.review.test_no_secret import CANARY, GOOD, LEAKS, STRICT
from tests.trees import SCHEMAS, tree_of

READ = ("documents parsed", "verdicts computed")


def outcome(compiled: Checked[Compiled]) -> object:
    """Everything, and what it cost but for the reading of files that were met before."""
    value = compiled.value
    digest = value.generation.digest if value.generation is not None else None
    resources = value.resources
    counters = {name: count for name, count in value.counters.items() if count and name not in READ}
    found = value.settings, resources.counts, list(resources.resources.items()), counters
    return digest, compiled.diagnostics, found


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
@given(states=histories())
def test_every_later_commit_compiles_as_it_would_have(states: list[Files]) -> None:
    compiler = Compiler(SCHEMAS)
    trees = [write_tree(state, listed=True) for state in states]
    base = next((place for place, tree in enumerate(trees) if Compiler(SCHEMAS).compile(tree).value.generation), None)
    if base is None:
        return
    compiler.compile(trees[base])
    read = again(compiler, trees[base])
    for tree in (trees[base], *trees[base + 1 :]):
        assert outcome(read.compile(tree)) == outcome(compiler.compile(tree))


@pytest.mark.parametrize(
    "edit",
    [
        FASTER,
        ("mesh.yaml", "name: shop", "name: shop\nskipCreatingInitialPolicies: ['*']"),
        ("permissions.yaml", "spiffe://shop/web", "spiffe://shop/batch"),
        ("teams/web.yaml", "address: 127.1.2.1", "address: 127.1.2.99"),
        ("teams/backend.yaml", "protocol: http", "protocol: tcp"),
    ],
)
def test_an_edit_costs_what_it_would_have_cost(edit: tuple[str, str, str]) -> None:
    compiler, tree = Compiler(SCHEMAS), tree_of(SHOP)
    compiler.compile(tree)
    read, head = again(compiler, tree), tree_of(edited(edit))
    found, expected = read.compile(head), compiler.compile(head)
    assert outcome(found) == outcome(expected)
    assert expected.value.generation is not None


def test_what_else_was_found_is_read_too() -> None:
    compiler, tree = Compiler(SCHEMAS), tree_of(SHOP)
    compiler.compile(tree)
    assert read_image(BytesIO(written(compiler, ("found", 1))), tree, compiler)[1] == ("found", 1)


def test_a_place_is_looked_up_in_the_file_itself() -> None:
    compiler, tree = Compiler(SCHEMAS), tree_of(SHOP)
    compiler.compile(tree)
    read = again(compiler, tree).compile(tree).value.resources
    asked = [(str(read.position(key, "/spec")), str(read.position(key))) for key in read.resources]
    expected = compiler.compile(tree).value.resources
    assert asked == [(str(expected.position(key, "/spec")), str(expected.position(key))) for key in expected.resources]
    assert ("defaults.yaml:16:3", "defaults.yaml:16:3") in asked


def test_no_text_of_a_document_is_in_it() -> None:
    """Comments and annotations hold secrets, and what the mesh means does not."""
    compiler, tree = Compiler(SCHEMAS), tree_of({path: GOOD[path] for path in GOOD if path.endswith(".yaml")})
    assert compiler.compile(tree).value.generation is not None
    image = written(compiler)
    assert b"web-calls-backend" in image
    assert CANARY.findall(image.decode("latin-1")) == []


@pytest.mark.parametrize("leak", LEAKS)
def test_no_secret_is_in_it_where_a_repository_calls_its_mistake_a_warning(leak: str) -> None:
    files = {"mesh.yaml": STRICT, "leak.yaml": LEAKS[leak]}
    words = {found.code.word for found in Compiler(SCHEMAS).compile(tree_of(files)).diagnostics}
    severities = "".join(f"  {word}: warning\n" for word in sorted(words))
    tree = tree_of({**files, "meshwright.yaml": f"schemaVersion: 1\nseverity:\n{severities}"})
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree)
    assert words
    try:
        image = written(compiler)
    except SecretError:
        return
    assert CANARY.findall(image.decode("latin-1")) == []


@pytest.mark.parametrize("severity", ["warning", "'off'"])
def test_a_mesh_with_a_key_in_it_is_not_written(severity: str) -> None:
    settings = f"schemaVersion: 1\nseverity: {{secret-in-git: {severity}}}\n"
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree_of({"mesh.yaml": LEAKS["in an authority"], "meshwright.yaml": settings}))
    with pytest.raises(SecretError):
        written(compiler)


def test_a_finding_has_the_very_code_of_this_program() -> None:
    """Some are told from others by what they are, not by what they say."""
    files = {**SHOP, "retry.yaml": SHOP["retry.yaml"].replace("name: backend}", "name: bakend}")}
    compiler, tree = Compiler(SCHEMAS), tree_of(files)
    codes = [id(found.code) for found in compiler.compile(tree).diagnostics]
    assert [id(found.code) for found in again(compiler, tree).compile(tree).diagnostics] == codes
    assert codes


def test_every_table_has_a_name_of_its_own() -> None:
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("compiler.")]
    tables = {id(one): one for module in modules for one in vars(module).values() if isinstance(one, Input | Query)}
    names = [one.name for one in tables.values()]
    assert len(names) > 40
    assert len(set(names)) == len(names)


class Foreign:
    """Pickled, it is a call of something."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self._call = call, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    "foreign",
    [
        Foreign(os.mkdir, "made-by-an-image"),
        Foreign(eval, "1"),
        Foreign(getattr, Principal, "__init__"),
        Foreign(SCHEMAS.load),
        Foreign(write_image, 1, 2),
        Foreign(__import__, "antigravity"),
        Foreign(Compiler),
        Foreign(PolicyKind, "MeshOfAnotherProgram"),
    ],
    ids=["system", "eval", "getattr", "method", "function", "import", "compiler", "unknown policy"],
)
def test_nothing_but_a_value_of_the_core_is_made(
    foreign: Foreign, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableImageError):
        read_image(BytesIO(pickle.dumps(foreign)), tree_of({}), Compiler(SCHEMAS))
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10**6), byte=st.integers(1, 255), cut=st.booleans())
def test_bytes_that_are_no_image_are_refused_or_make_a_compiler(at: int, byte: int, cut: bool) -> None:
    """Never another exception; that they are as they were written, the folder sees to."""
    content = _image()
    at %= len(content)
    damaged = content[:at] if cut else bytes([*content[:at], content[at] ^ byte, *content[at + 1 :]])
    try:
        read_image(BytesIO(damaged), tree_of(SHOP), Compiler(SCHEMAS))
    except UnreadableImageError:
        return
    assert not cut


_WRITTEN: list[bytes] = []


def _image() -> bytes:
    if not _WRITTEN:
        compiler = Compiler(SCHEMAS)
        compiler.compile(tree_of(SHOP))
        _WRITTEN.append(written(compiler))
    return _WRITTEN[0]
