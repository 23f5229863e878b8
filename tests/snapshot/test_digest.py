"""The digest is Git's own, whichever way the tree was reached."""

import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.envoy.resources import ResourceType
from compiler.snapshot import digest as digest_module
from compiler.snapshot import files as files_module
from compiler.snapshot.canonical import Rendered, file_bytes
from compiler.snapshot.digest import Blob, Folder, GenerationTree, blob_id, escape_name, manifest_blob, parse_secrets
from compiler.snapshot.files import Files
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.snapshot import Snapshot
from tests.snapshot.generations import cluster, snapshot

NAMES = st.sampled_from(["a", "b", "a-b", "a.b", "a0", "web", "z"])
PLACES = st.tuples(NAMES, NAMES, NAMES, NAMES)
HELD = st.dictionaries(NAMES, st.integers(1, 3), max_size=3)


def _write(folder: Folder, path: Path) -> None:
    path.mkdir()
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder):
            _write(entry, path / name)
        else:
            (path / name).write_bytes(entry.content)


def _git_tree_id(folder: Folder, path: Path) -> str:
    """What `git add` and `git write-tree` make of the same files."""
    _write(folder, path)
    for command in (["init", "-q"], ["-c", "core.autocrlf=false", "add", "-A"]):
        subprocess.run(["git", *command], cwd=path, check=True)
    found = subprocess.run(["git", "write-tree"], cwd=path, check=True, capture_output=True, text=True)
    return f"sha1:{found.stdout.strip()}"


def _snapshot(place: tuple[str, str, str, str], held: dict[str, int]) -> Snapshot:
    resources = {ResourceType.CLUSTER: {name: cluster(name, seconds) for name, seconds in held.items()}}
    return Snapshot(NodeId(*place), resources)


def test_the_digest_is_the_tree_id_that_git_gives_the_same_files(tmp_path: Path) -> None:
    places = [(workload, n) for workload in ("a", "a-b", "a.b") for n in (1, 2)]
    made = [snapshot(workload, f"{workload}-{n}", {"one": n, "two": 2}) for workload, n in places]
    tree = GenerationTree.build([*made, snapshot("other", "p", {}, zone="west"), snapshot("none", "p", {}, zone="")])
    assert tree.digest == _git_tree_id(tree.meshes, tmp_path / "work")


def test_a_folder_is_ordered_as_if_its_name_ended_in_a_slash(tmp_path: Path) -> None:
    names = ["a", "a-", "a.", "a0", "b"]
    tree = GenerationTree.build([snapshot(name, "p", {}) for name in reversed(names)])
    assert tree.digest == _git_tree_id(tree.meshes, tmp_path / "work")


def test_a_blob_id_is_gits() -> None:
    assert blob_id(b"hello\n").hex() == "ce013625030ba8dba906f756967f9e9ca394464a"


@given(st.lists(st.dictionaries(PLACES, st.one_of(st.none(), HELD), max_size=5), max_size=6))
def test_any_sequence_of_edits_gives_the_tree_that_a_cold_build_gives(
    edits: list[dict[tuple[str, ...], dict[str, int]]],
) -> None:
    tree = GenerationTree()
    held: dict[tuple[str, ...], Snapshot] = {}
    for edit in edits:
        held |= {place: _snapshot(place, clusters) for place, clusters in edit.items() if clusters is not None}  # type: ignore[arg-type]
        removed = [NodeId(*place) for place, clusters in edit.items() if clusters is None]
        for node in removed:
            held.pop((node.mesh, node.zone, node.workload, node.proxy), None)
        tree = tree.with_changes([held[place] for place in edit if place in held], removed)
        assert tree.digest == GenerationTree.build(held.values()).digest


@given(st.dictionaries(PLACES, HELD, max_size=6), st.dictionaries(PLACES, HELD, max_size=6))
def test_changes_name_exactly_the_proxies_whose_files_differ(
    old: dict[tuple[str, str, str, str], dict[str, int]], new: dict[tuple[str, str, str, str], dict[str, int]]
) -> None:
    before = GenerationTree.build(_snapshot(*one) for one in old.items())
    after = before.holding({str(place): _snapshot(place, held) for place, held in new.items()})
    changes = after.changes_since(before)
    changed = {change.folder.snapshot.node for change in changes.changed}
    assert changed == {NodeId(*place) for place in new if new[place] != old.get(place)}
    assert set(changes.removed) == {NodeId(*place) for place in old if place not in new}


def test_an_edit_shares_every_folder_that_it_does_not_touch() -> None:
    tree = GenerationTree.build([snapshot(workload, "p", {"one": 1}) for workload in ("a", "b", "c")])
    edited = tree.with_changes([snapshot("b", "p", {"one": 2})], ())
    before, after = (dict(one.meshes.entries["mesh"].entries["east"].entries) for one in (tree, edited))  # type: ignore[union-attr]
    assert [name for name in after if after[name] is not before[name]] == ["b"]


def test_an_edit_among_1000_proxies_assembles_the_changed_files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = GenerationTree.build([snapshot(f"w{n}", "p", {f"c{n}": 1}) for n in range(1000)])
    assembled: list[int] = []
    pieces = files_module._pieces

    def counted(resources: dict[str, Rendered]) -> tuple[bytes, ...]:
        assembled.append(len(resources))
        return pieces(resources)

    monkeypatch.setattr(files_module, "_pieces", counted)
    tree.with_changes([snapshot("w7", "p", {"c7": 2})], ())
    assert len(assembled) == 1


CLUSTERS = {name: cluster(name, 1) for name in ("a" * 3000, "b", "b" * 3000, "c", "c" * 3000)}
OWN = st.sampled_from([cluster(name, seconds) for name in CLUSTERS for seconds in (2, 10, 12)])


@given(st.lists(st.tuples(st.sampled_from("vw"), st.sets(st.sampled_from(sorted(CLUSTERS))), OWN), max_size=20))
def test_files_that_begin_alike_have_the_ids_that_each_has_alone(
    held: list[tuple[str, set[str], Rendered]],
) -> None:
    """However many bytes of the file before it were not hashed again, and whatever came between."""
    files = Files()
    for workload, names, own in held:
        clusters = {**{name: CLUSTERS[name] for name in names}, own.name: own}
        blob = files.of_resources((workload, "clusters.json"), clusters)
        assert blob.id == blob_id(file_bytes(clusters))


def test_the_beginning_of_replicas_files_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def counted(content: bytes, **options: bool) -> object:
        hashed.append(len(content))
        return hashlib.sha1(content, **options)

    monkeypatch.setattr(files_module, "hashlib", SimpleNamespace(sha1=counted))
    files = Files()
    for seconds in range(10, 20):
        files.of_resources(("w", "clusters.json"), {**CLUSTERS, "z": cluster("z", seconds)})
    assert sum(size > 10_000 for size in hashed) == len(hashed) == 2


def test_proxies_with_equal_files_share_the_blobs() -> None:
    tree = GenerationTree.build([snapshot("w", f"p{n}", {"one": 1}) for n in range(5)])
    blobs = [entry for folder in tree.proxies() for entry in folder.entries.values()]
    assert len(blobs) == 15
    assert len({id(blob) for blob in blobs}) == 3


def test_what_is_not_held_any_more_is_not_remembered() -> None:
    tree = GenerationTree.build([snapshot("w", "p", {"one": 1})])
    tree = tree.with_changes([snapshot("w", "p", {"one": 2})], ())
    assert len(tree._files._by_resources) == 2


def test_the_same_snapshots_leave_the_tree_as_it_is() -> None:
    tree = GenerationTree.build([snapshot("w", "p", {"one": 1})])
    assert tree.with_changes([snapshot("w", "p", {"one": 1})], ()) is tree


def test_a_proxy_that_holds_nothing_is_still_in_the_tree() -> None:
    tree = GenerationTree.build([Snapshot(NodeId("mesh", "", "w", "p"), {})])
    (folder,) = tree.proxies()
    assert list(folder.entries) == ["listeners.json"]


def test_each_zone_has_its_digest() -> None:
    east, west = snapshot("w", "p", {"one": 1}), snapshot("w", "q", {"one": 1}, zone="west")
    both = GenerationTree.build([east, west]).zone_digests
    changed = GenerationTree.build([east, snapshot("w", "q", {"one": 2}, zone="west")]).zone_digests
    assert both.keys() == {"mesh/east", "mesh/west"}
    assert [zone for zone in both if both[zone] != changed[zone]] == ["mesh/west"]


def test_secrets_are_names_with_what_it_takes_to_resolve_them() -> None:
    (folder,) = GenerationTree.build([snapshot("w", "p", {})]).proxies()
    blob = folder.entries["secrets.json"]
    assert isinstance(blob, Blob)
    assert blob.content == (
        b'{\n  "root": {\n    "authority": "builtin"\n  },\n  "self": {\n    "authority": "builtin",\n'
        b'    "lifetimeSeconds": 86400,\n    "uris": [\n      "spiffe://mesh/w"\n    ]\n  }\n}\n'
    )
    assert parse_secrets(blob.content) == snapshot("w", "p", {}).secrets


def test_a_secret_itself_is_refused() -> None:
    held = {ResourceType.SECRET: {"key": cluster("key", 1)}}
    with pytest.raises(ValueError, match="names only"):
        GenerationTree.build([Snapshot(NodeId("mesh", "", "w", "p"), held, (SecretName("key", "x"),))])


@pytest.mark.parametrize("name", ["a/b", "..", ".git", "git~1", "a\nb", "50%", "a\\b", "."])
def test_a_name_that_no_folder_may_have_is_escaped(name: str, tmp_path: Path) -> None:
    tree = GenerationTree.build([Snapshot(NodeId("mesh", "", name, "p"), {})])
    assert digest_module.unescape_name(escape_name(name)) == name
    assert tree.digest == _git_tree_id(tree.meshes, tmp_path / "work")


def test_the_manifest_names_source_and_toolchain() -> None:
    manifest = manifest_blob("b" * 40).content.decode()
    assert f'"sourceTree": "{"b" * 40}"' in manifest
    assert all(f'"{tool}"' in manifest for tool in ("meshwright", "protobuf", "xds-protos"))
