"""A tree with some files replaced is what a commit of those files would be, and costs what they do."""

from collections.abc import Mapping

import pytest

from compiler.pipeline import Compiler
from compiler.review.variants import with_files, with_root
from compiler.source.git import read_commit
from compiler.source.tree import SourceTree, blob_id, differing_files, read_directory
from tests.source.clone import Clone
from tests.trees import SCHEMAS, tree_of

MESH = 'type: Mesh\nname: default\nskipCreatingInitialPolicies: ["*"]\n'
WEB = """
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
"""
FILES = {
    "a-b.yaml": "type: Zone\nname: east\n",
    "a.yaml": "type: Zone\nname: west\n",
    "a/b/one.yaml": WEB,
    "a/mesh.yaml": MESH,
    "z.json": '{"type": "Zone", "name": "north"}',
}
CHANGES: list[Mapping[str, bytes | None]] = [
    {"a/b/one.yaml": WEB.replace("10.0.0.1", "10.0.0.2").encode()},
    {"z.json": None},
    {"a/b/one.yaml": None},
    {"new/deep/two.yaml": WEB.replace("web", "shop").encode(), "a.yaml": None},
    {"a-b.yaml": b"", "a/b/another.yaml": b"# nothing\n", "z.json": b'{"type": "Zone", "name": "south"}'},
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("variants") / "clone")
    made.commit(dict(FILES))
    return made


@pytest.fixture(params=["a commit", "a directory", "a directory with a root"])
def tree(request: pytest.FixtureRequest, clone: Clone) -> SourceTree:
    match request.param:
        case "a commit":
            return read_commit(clone.path, "main").value
        case "a directory":
            return read_directory(clone.path).value
        case _:
            return with_root(read_directory(clone.path).value)


def contents(tree: SourceTree) -> list[tuple[str, bytes]]:
    return [(file.path, tree.read(file)) for file in tree.files]


@pytest.mark.parametrize("changes", CHANGES)
def test_a_variant_holds_the_files_of_the_tree_and_those_written_over_them(
    tree: SourceTree, changes: Mapping[str, bytes | None]
) -> None:
    variant = with_files(tree, changes)
    expected = {path: text.encode() for path, text in FILES.items()} | dict(changes)
    assert contents(variant) == sorted((path, text) for path, text in expected.items() if text is not None)
    assert all(
        file.blob == blob_id(variant.read(file)) and file.size == len(variant.read(file)) for file in variant.files
    )
    assert variant.root is None or variant.root.files == variant.files
    assert variant.tree != tree.tree
    assert variant.commit is None


@pytest.mark.parametrize("changes", CHANGES)
def test_a_variant_compiles_to_what_its_files_do(tree: SourceTree, changes: Mapping[str, bytes | None]) -> None:
    compiler = Compiler(SCHEMAS)
    compiler.compile(tree)
    variant = with_files(tree, changes)
    after = compiler.compile(variant)
    fresh = Compiler(SCHEMAS).compile(tree_of({path: text.decode() for path, text in contents(variant)}))
    assert after.diagnostics == fresh.diagnostics
    digests = [one.value.generation.digest if one.value.generation is not None else None for one in (after, fresh)]
    assert digests[0] == digests[1]
    back = compiler.compile(tree)
    assert back.value.generation == Compiler(SCHEMAS).compile(tree).value.generation


def test_only_the_directories_of_a_change_are_compared(tree: SourceTree) -> None:
    rooted = with_root(tree)
    before, after = differing_files(rooted, with_files(rooted, {"a/mesh.yaml": b"type: Mesh\nname: other\n"}))
    assert {file.path for file in (*before, *after)} == {"a-b.yaml", "a.yaml", "z.json", "a/mesh.yaml"}


def test_variants_of_different_contents_have_different_names(tree: SourceTree) -> None:
    names = [with_files(tree, changes).tree for changes in CHANGES]
    assert len(set(names)) == len(names)
    assert with_files(with_files(tree, CHANGES[0]), CHANGES[1]).tree not in names


def test_a_change_that_changes_nothing_gives_the_tree_itself(tree: SourceTree) -> None:
    assert with_files(tree, {"a.yaml": FILES["a.yaml"].encode(), "gone.yaml": None}) is tree


def test_files_that_reading_passes_over_are_passed_over(tree: SourceTree) -> None:
    assert with_files(tree, {"README.md": b"#", ".github/x.yaml": b"a: 1", "node_modules/y.json": b"{}"}) is tree


def test_a_variant_of_a_variant_reads_what_either_wrote(tree: SourceTree) -> None:
    first = with_files(tree, {"a.yaml": b"a: 1\n"})
    second = with_files(first, {"z.json": b"{}"})
    assert dict(contents(second))["a.yaml"] == b"a: 1\n"
    assert dict(contents(second))["z.json"] == b"{}"
