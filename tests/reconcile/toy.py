"""A compiler for tests: each file names proxies, one a line; some words in a file do what no compiler should."""

import ctypes
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.envoy.resources import ResourceType
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.ports import Compiled
from compiler.reconcile.shelf import DataShelf
from compiler.reconcile.watched import WatchedRepository
from compiler.reconcile.work import Tools, work
from compiler.resources.resource_set import ResourceSet
from compiler.snapshot.canonical import render
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.lock import Lock
from compiler.snapshot.names import NodeId
from compiler.snapshot.snapshot import Generation, Snapshot
from compiler.source.tree import SourceTree

BROKEN = Code("toy-broken", Severity.ERROR, "the word `broken`", "Only in tests.")


class ToyCompiler:
    """A line is `proxy cluster…`, or one of the words below."""

    def compile(self, tree: SourceTree) -> Checked[Compiled]:
        findings: list[Diagnostic] = []
        snapshots: dict[str, Snapshot] = {}
        for file in tree.files:
            for number, line in enumerate(tree.read(file).decode().splitlines(), 1):
                proxy, *clusters = line.split() or [""]
                if not proxy:
                    continue
                if proxy == "broken":
                    findings.append(Diagnostic(Position(file.path, number, 1), BROKEN, "this word is broken"))
                elif proxy in TRAPS:
                    TRAPS[proxy]()
                else:
                    snapshots[f"default.{proxy}"] = _snapshot(proxy, clusters)
        files = GenerationTree.build(snapshots.values())
        generation = None if findings else Generation(tree.commit, tree.tree, files.digest, snapshots)
        counters = {"toys": len(snapshots)}
        compiled = SimpleNamespace(generation=generation, resources=ResourceSet(), files=files, counters=counters)
        return Checked(cast("Compiled", compiled), tuple(findings))


def _snapshot(proxy: str, clusters: list[str]) -> Snapshot:
    held = {name: render(ResourceType.CLUSTER, name, Cluster(name=name)) for name in clusters}
    return Snapshot(NodeId("default", "", "toy", proxy), {ResourceType.CLUSTER: held})


def _crash() -> None:
    """A real SIGSEGV."""
    ctypes.string_at(0)


def _spin() -> None:
    """PyDLL keeps the interpreter lock while the C library sleeps, as libgit2 does on a torn object."""
    ctypes.PyDLL(None).usleep(3_600_000_000)


def _eat() -> None:
    held = []
    while True:
        held.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.002)


def _loop() -> None:
    while True:
        pass


def _raise() -> None:
    raise ZeroDivisionError("a bug")


TRAPS = {"crash": _crash, "spin": _spin, "eat": _eat, "loop": _loop, "raise": _raise}


def show_config(compiled: Compiled, arguments: Mapping[str, object]) -> object:
    """The names of a proxy's clusters."""
    found = compiled.generation.snapshots.get(f"default.{arguments['name']}") if compiled.generation else None
    if found is None:
        raise LookupError(f"no dataplane {arguments['name']!r}")
    return sorted(found.resources[ResourceType.CLUSTER])


def equip(options: ServeOptions, lock: int | None) -> Tools:
    data = Path(options.data)
    return Tools(
        WatchedRepository(options.repo, options.ref, options.path, data / "mirror.git"),
        ToyCompiler(),
        DataShelf(data, Lock(data / "lock", -1 if lock is None else lock), options.repo),
        {"config": show_config},
    )


if __name__ == "__main__":
    sys.exit(work(equip))
