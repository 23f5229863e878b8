"""What is read back from the store is what was published, however much of it replicas have in common."""

from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from google.protobuf.message import Message

from compiler.envoy.resources import ResourceType
from compiler.snapshot import restore
from compiler.snapshot.canonical import render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.failures import StoreDamaged
from compiler.snapshot.from_json import Pieces, fill_message
from compiler.snapshot.restore import parse_snapshot, restore_generation
from compiler.snapshot.snapshot import NodeId, Snapshot
from tests.snapshot.generations import of_snapshots, source, writing_store

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


def test_no_file_is_hashed_again_for_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = writing_store(tmp_path)
    made = of_snapshots([_snapshot(f"p{n}", _listener(f"10.0.0.{n}", "")) for n in range(5)])
    published = store.publish(made, source=source(), now=1)
    monkeypatch.setattr("compiler.snapshot.digest.file_bytes", lambda _: pytest.fail("was assembled"))
    assert restore_generation(store.repository, published).files.digest == made.digest


@pytest.mark.parametrize(
    "text", [b'{\n  "it": {\n    "nothing": 1\n  }\n}\n', b'{\n  "it": {\n    "name": 1\n  }\n}\n']
)
def test_what_no_compiler_of_this_version_wrote_is_said_to_be_damage(text: bytes) -> None:
    with pytest.raises(StoreDamaged, match="cannot be read back"):
        parse_snapshot("meshes/m/east/w/p", {"clusters.json": text})


def test_a_snapshot_of_files_is_the_one_that_they_were_written_from() -> None:
    made = _snapshot("p", _cluster("10.0.0.1", "127.0.0.6"))
    (folder,) = GenerationTree.build([made]).proxies()
    files = {name: b"".join(entry.pieces) for name, entry in folder.entries.items()}
    assert parse_snapshot(made.node.path, files) == made
