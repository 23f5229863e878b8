"""Whole meshes, compiled: every file of `<scenario>/expected/` is what `<scenario>/input/` becomes.

`pytest tests/golden --rewrite` writes what a compile gives and removes files that it does not give; read every line of
the difference. Most expectations belong into `tests/policies/cases` instead, where only a change is written down.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from compiler.diagnostics import Checked
from compiler.envoy.resources import EnvoyResources
from compiler.pipeline import Compiled, compile_tree
from compiler.resources.findings import NOT_SUPPORTED_YET
from compiler.snapshot.canonical import Rendered, parse
from compiler.snapshot.constraints import check_constraints
from compiler.snapshot.digest import Folder, GenerationTree
from compiler.snapshot.inline import inline_all, validate_with_envoy
from compiler.snapshot.references import check_references
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.snapshot.typed import roundtrips
from compiler.source.tree import read_directory
from tests.snapshot.verdicts import ENVOY, needs_envoy
from tests.trees import SCHEMAS

SCENARIOS = sorted(path.parent for path in Path(__file__).parent.glob("*/input"))
scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)


@scenarios
def test_a_mesh_becomes_the_files_that_are_expected(scenario: Path, rewrite: bool) -> None:
    assert [one for one in compiled(scenario).diagnostics if one.code != NOT_SUPPORTED_YET] == []
    files = dict(_files(GenerationTree.build(generation(scenario).snapshots.values()).meshes, Path("meshes")))
    expected = scenario / "expected"
    if rewrite:
        _rewrite(expected, files)
    on_disk = {path.relative_to(expected): path.read_bytes() for path in expected.rglob("*") if path.is_file()}
    assert sorted(on_disk) == sorted(files)
    for path, content in files.items():
        assert on_disk[path].decode() == content.decode(), path


@scenarios
def test_the_files_have_the_digest_of_the_generation(scenario: Path) -> None:
    found = generation(scenario)
    assert GenerationTree.build(found.snapshots.values()).digest == found.digest


@scenarios
def test_its_resources_fit_their_constraints_and_each_other(scenario: Path) -> None:
    for snapshot in generation(scenario).snapshots.values():
        resources = messages(snapshot)
        secrets = frozenset(resources.secrets)
        assert check_references(resources, secrets) == ()
        every = [one for named in resources.messages.values() for one in named.values()]
        assert [violation for one in every for violation in check_constraints(one)] == []


@scenarios
def test_a_second_decoder_reads_the_same(scenario: Path) -> None:
    distinct = {one.version: one for snapshot in generation(scenario).snapshots.values() for one in rendered(snapshot)}
    assert [one.name for one in distinct.values() if not roundtrips(one)] == []


@needs_envoy
def test_envoy_accepts_them_all() -> None:
    assert ENVOY is not None
    proxies = {
        f"{scenario.name}.{name}": messages(snapshot)
        for scenario in SCENARIOS
        for name, snapshot in generation(scenario).snapshots.items()
    }
    assert len(proxies) > len(SCENARIOS) >= 10
    assert validate_with_envoy(inline_all(proxies), ENVOY) is None


@cache
def compiled(scenario: Path) -> Checked[Compiled]:
    tree = read_directory(scenario / "input")
    assert tree.diagnostics == ()
    return compile_tree(tree.value, SCHEMAS)


def generation(scenario: Path) -> Generation:
    found = compiled(scenario).value.generation
    assert found is not None, compiled(scenario).diagnostics
    return found


def rendered(snapshot: Snapshot) -> Iterator[Rendered]:
    return (one for resources in snapshot.resources.values() for one in resources.values())


def messages(snapshot: Snapshot) -> EnvoyResources:
    """As Envoy would read them from the files."""
    parsed = {
        kind: {name: parse(one.json, kind) for name, one in resources.items()}
        for kind, resources in snapshot.resources.items()
    }
    return EnvoyResources(parsed, tuple(secret.name for secret in snapshot.secrets))


def _files(folder: Folder, path: Path) -> Iterator[tuple[Path, bytes]]:
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder):
            yield from _files(entry, path / name)
        else:
            yield path / name, entry.content


def _rewrite(expected: Path, files: Mapping[Path, bytes]) -> None:
    for path in [path for path in expected.rglob("*") if path.is_file() and path.relative_to(expected) not in files]:
        path.unlink()
    for path, content in files.items():
        (expected / path).parent.mkdir(parents=True, exist_ok=True)
        (expected / path).write_bytes(content)
    for folder in sorted((path for path in expected.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
