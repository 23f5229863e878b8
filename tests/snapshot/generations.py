"""Small generations for the tests of what keeps them: a mesh is written as {"workload/proxy": {cluster: seconds}}."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener

from compiler.envoy.resources import ResourceType
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.lock import Lock, acquire_lock
from compiler.snapshot.names import NodeId, SecretName
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.snapshot.store import SnapshotStore

Wanted = Mapping[str, Mapping[str, int]]


@cache
def cluster(name: str, seconds: int) -> Rendered:
    message = Cluster(name=name)
    message.connect_timeout.seconds = seconds
    return render(ResourceType.CLUSTER, name, message)


@cache
def listener(name: str) -> Rendered:
    return render(ResourceType.LISTENER, name, Listener(name=name, stat_prefix=name))


def snapshot(workload: str, proxy: str, clusters: Mapping[str, int], zone: str = "east", named: int = 2) -> Snapshot:
    """`named` says how many secrets."""
    resources: dict[ResourceType, Mapping[str, Rendered]] = {ResourceType.LISTENER: {"inbound": listener("inbound")}}
    if clusters:
        resources[ResourceType.CLUSTER] = {name: cluster(name, seconds) for name, seconds in clusters.items()}
    secrets = (SecretName("root", "builtin"), SecretName("self", "builtin", (f"spiffe://mesh/{workload}",), 86400))
    return Snapshot(NodeId("mesh", zone, workload, proxy), resources, secrets[:named])


def generation(wanted: Wanted, commit: str = "a" * 40) -> Generation:
    places = {tuple(path.split("/")): clusters for path, clusters in wanted.items()}
    made = [snapshot(workload, proxy, clusters) for (workload, proxy), clusters in places.items()]
    return of_snapshots(made, commit)


def of_snapshots(snapshots: list[Snapshot], commit: str = "a" * 40) -> Generation:
    digest = GenerationTree.build(snapshots).digest
    by_node = {str(one.node): one for one in snapshots}
    assert len(by_node) == len(snapshots), "a proxy's name is unique in its mesh"
    return Generation(commit, "b" * 40, digest, by_node)


def source(commit: str = "a" * 40, subject: str = "edit the mesh") -> SourceCommit:
    return SourceCommit("https://git.example/mesh", commit, "b" * 40, subject)


def writing_store(data: Path) -> tuple[SnapshotStore, Lock]:
    lock = acquire_lock(data)
    assert lock is not None
    return SnapshotStore.open(data, lock), lock


def git(data: Path, *arguments: str) -> str:
    command = ["git", f"--git-dir={data / 'snapshots.git'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def assert_sound(data: Path) -> None:
    command = ["git", f"--git-dir={data / 'snapshots.git'}", "fsck", "--strict", "--full"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def publish_seconds(store: SnapshotStore, *seconds: int) -> None:
    """One generation for each."""
    for one in seconds:
        store.publish(generation({"w/p": {"one": one}, "w/q": {}}), source=source(f"{one:040x}"), now=1000 + one)
