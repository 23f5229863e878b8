"""What is read back from the store is what was published, however much of it replicas have in common."""

from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from google.protobuf.message import Message

from compiler.envoy.resources import ResourceType
from compiler.snapshot import restore
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.from_json import Pieces, fill_message
from compiler.snapshot.names import NodeId
from compiler.snapshot.restore import parse_snapshot, restore_generation
from compiler.snapshot.snapshot import Snapshot
from tests.snapshot.generations import generation, of_snapshots, source, writing_store

ADDRESSES = ("10.0.0.1", "10.0.0.12", "127.0.0.6", "10.0.0.1", "::1", 'a"b\\', "é")


def _listener(address: str, also: str) -> Listener:
    """`also` stands under the same key elsewhere in the JSON, behind the address that replicas differ in."""
    listener = Listener(name="inbound", stat_prefix="inbound")
    listener.address.socket_address.address = address
    listener.metadata.filter_metadata["it"].update({"address": also})
    return listener


def _cluster(address: str, also: str) -> Cluster:
    cluster = Cluster(name="inbound")
    cluster.load_assignment.cluster_name = "inbound"
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = address
    cluster.upstream_bind_config.source_address.address = also
    return cluster


def _before(address: str, also: str) -> Cluster:
    """`also` stands before the address of the endpoint."""
    cluster = _cluster(address, "")
    cluster.dns_resolvers.add().socket_address.address = also
    return cluster


def _snapshot(proxy: str, message: Message) -> Snapshot:
    kind = ResourceType.LISTENER if isinstance(message, Listener) else ResourceType.CLUSTER
    return Snapshot(NodeId("m", "east", "w", proxy), {kind: {"inbound": render(kind, "inbound", message)}})


@pytest.mark.parametrize("make", [_listener, _cluster, _before])
@pytest.mark.parametrize("also", ["127.0.0.6", "10.0.0.1", ""])
def test_replicas_come_back_each_with_its_own_address(make: type, also: str, tmp_path: Path) -> None:
    store, _ = writing_store(tmp_path)
    made = of_snapshots([_snapshot(f"p{n}", make(address, also)) for n, address in enumerate(ADDRESSES)])
    published = store.publish(made, source=source(), now=1)
    assert restore_generation(store.repository, published).generation == made


def test_a_message_is_read_once_for_all_replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    made = of_snapshots([_snapshot(f"p{n}", _listener(f"10.0.0.{n}", "")) for n in range(50)])
    published = store.publish(made, source=source(), now=1)
    read: list[str] = []

    def counted(message: Message, plain: dict[str, object], pieces: Pieces) -> None:
        read.append(str(plain["name"]))
        fill_message(message, plain, pieces)

    monkeypatch.setattr(restore, "fill_message", counted)
    assert restore_generation(store.repository, published).generation == made
    assert read == ["inbound"]


def _several(number: int) -> Snapshot:
    """A listener of its own between some that all have and one that only a few do, and two clusters of its own."""
    own = _listener(f"10.0.0.{number}", "")
    shared = [Listener(name=name, stat_prefix=name) for name in ("a", "z", f"m{number // 3}")]
    clusters = [_cluster(f"10.0.{port}.{number}", "127.0.0.6") for port in range(2)]
    held = {
        ResourceType.LISTENER: {one.name: render(ResourceType.LISTENER, one.name, one) for one in (*shared, own)},
        ResourceType.CLUSTER: {f"c{n}": render(ResourceType.CLUSTER, f"c{n}", one) for n, one in enumerate(clusters)},
    }
    held = {kind: dict(sorted(named.items())) for kind, named in held.items()}
    return Snapshot(NodeId("m", ("east", "west")[number % 2], "w", f"p{number}"), held)


def test_replicas_share_all_that_none_has_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    made = of_snapshots([_several(number) for number in range(12)])
    published = store.publish(made, source=source(), now=1)
    walked: list[bytes] = []
    walk = restore._Reader._walk

    def counted(reader: restore._Reader, kind: ResourceType, content: bytes) -> object:
        walked.append(content)
        return walk(reader, kind, content)

    monkeypatch.setattr(restore._Reader, "_walk", counted)
    restored = restore_generation(store.repository, published).generation
    assert restored == made
    assert len(walked) < 24, "every file was walked through"
    held = [one.resources[ResourceType.LISTENER] for one in restored.snapshots.values()]
    assert len({id(named["a"]) for named in held}) == 1
    assert len({id(named["inbound"]) for named in held}) == 12
    for snapshot in restored.snapshots.values():
        wanted = made.snapshots[str(snapshot.node)]
        for kind, named in snapshot.resources.items():
            assert [one.member for one in named.values()] == [one.member for one in wanted.resources[kind].values()]


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_any_number_of_processes_reads_the_same(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "_MANY", 1)
    store, _ = writing_store(tmp_path)
    wanted = {f"w{n % 3}/p{n}": dict.fromkeys(("a", "ab", 'b"c'), n % 4) for n in range(20)}
    made = generation(wanted)
    published = store.publish(made, source=source(), now=1)
    restored = restore_generation(store.repository, published, processes)
    assert restored.generation == made
    assert restored.files.digest == made.digest


@pytest.mark.parametrize("processes", [1, 2])
def test_damage_is_told_whichever_process_meets_it(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "_MANY", 1)
    store, _ = writing_store(tmp_path)
    unknown = Rendered(ResourceType.CLUSTER, "it", "1", (b'\n  "it": {\n    "nothing": 1\n  }',), b"")
    made = of_snapshots([Snapshot(NodeId("m", "east", "w", "p"), {ResourceType.CLUSTER: {"it": unknown}})])
    published = store.publish(made, source=source(), now=1)
    with pytest.raises(StoreDamaged, match="cannot be read back"):
        restore_generation(store.repository, published, processes)


def test_no_file_is_hashed_again_for_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    made = of_snapshots([_snapshot(f"p{n}", _listener(f"10.0.0.{n}", "")) for n in range(5)])
    published = store.publish(made, source=source(), now=1)
    monkeypatch.setattr("compiler.snapshot.files._pieces", lambda _: pytest.fail("was assembled"))
    assert restore_generation(store.repository, published).files.digest == made.digest


@pytest.mark.parametrize(
    "text",
    [b'{\n  "it": {\n    "nothing": 1\n  }\n}\n', b'{\n  "it": {\n    "name": 1\n  }\n}\n', b"nothing of ours"],
)
def test_what_no_compiler_of_this_version_wrote_is_said_to_be_damage(text: bytes) -> None:
    with pytest.raises(StoreDamaged, match="cannot be read back"):
        parse_snapshot("meshes/m/east/w/p", {"clusters.json": text})


def test_a_snapshot_of_files_is_the_one_that_they_were_written_from() -> None:
    made = _snapshot("p", _cluster("10.0.0.1", "127.0.0.6"))
    (folder,) = GenerationTree.build([made]).proxies()
    files = {name: b"".join(entry.pieces) for name, entry in folder.entries.items()}
    assert parse_snapshot(made.node.path, files) == made
