import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import probe
from benchmarks.generate import make_repository
from benchmarks.repository import WorkloadRepository
from benchmarks.tiers import TIERS, Shape
from compiler.pipeline import Compiler
from compiler.snapshot.snapshot import Snapshot
from compiler.source.git import read_commit

PORTS = probe.Ports(application=7001, inbound=7002, outbound=7003, unused=7004)
ACKED = {
    "proxies": [
        {"node": node, "fully_acked": True, "types": {"clusters": {"nack": None}, "listeners": {"nack": None}}}
        for node in (*probe.NODES, "default.svc-00000-0")
    ]
}


def snapshots_of(compiler: Compiler, path: Path) -> Mapping[str, Snapshot]:
    """By node."""
    compiled = compiler.compile(read_commit(path, "main").value)
    assert compiled.value.generation is not None, compiled.diagnostics
    return compiled.value.generation.snapshots


def test_the_probe_changes_no_other_proxy_and_its_permission_only_the_callee(tmp_path: Path) -> None:
    make_repository(tmp_path / "mesh.git", Shape(TIERS["S"]))
    repository, compiler = WorkloadRepository(tmp_path / "mesh.git"), Compiler()
    tree, alone = repository.tree, snapshots_of(compiler, repository.path)
    repository.commit(probe.write_probe(PORTS), "add")
    granted = snapshots_of(compiler, repository.path)
    assert {node: snapshot for node, snapshot in granted.items() if node not in probe.NODES} == alone
    assert granted.keys() - alone.keys() == set(probe.NODES)
    repository.commit(probe.write_permission(granted=False), "withdraw")
    withdrawn = snapshots_of(compiler, repository.path)
    assert {node for node in granted if granted[node] != withdrawn[node]} == {f"default.{probe.SERVER}"}
    assert repository.commit(probe.remove_probe(), "remove").tree == tree


def test_a_nack_and_a_lost_envoy_are_refusals() -> None:
    assert probe.holds_all(ACKED)
    assert probe.list_refusals(ACKED) == ()
    refused: dict[str, Any] = copy.deepcopy(ACKED)
    refused["proxies"][0]["types"]["clusters"]["nack"] = {"message": "no such field"}
    refused["proxies"][1]["fully_acked"] = False
    assert not probe.holds_all(refused)
    assert probe.list_refusals(refused) == ("no such field",)
    del refused["proxies"][1]
    assert probe.list_refusals(refused) == ("default.probe-server is not connected", "no such field")


def test_no_envoy_anywhere_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert probe.look_for_envoy() is None
