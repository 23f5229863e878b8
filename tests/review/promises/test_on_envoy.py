"""Both engines give the same answers, whatever the routes; the real one leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from compiler.dataplane.children import die_with_parent
from compiler.dataplane.run import find_envoy
from compiler.review.promises.envoy_process import Binary, EnvoyFailed
from compiler.review.promises.on_envoy import EnvoyEngine
from compiler.review.promises.routing.answer import Ask, CannotTell
from compiler.review.promises.routing.engine import PythonEngine
from compiler.review.promises.routing.held import Fleet
from tests.review.route_meshes import PODS, Document, ask, documents, fleet_of, meshes, requests, route, with_tls

ROOT = Path(__file__).parents[3]
BESIDE_US = shutil.which("envoy", path=str(Path(sys.executable).parent))
needs_envoy = pytest.mark.skipif(not (BESIDE_US or shutil.which("envoy")), reason="no Envoy is installed")
REQUESTS = tuple(requests())


def real(fleet: Fleet) -> EnvoyEngine:
    return EnvoyEngine(fleet, Binary(find_envoy(), die_with_parent()))


def differing(fleet: Fleet, asks: tuple[Ask, ...] = REQUESTS) -> list[object]:
    """What the engines say differently; where the one in Python says that it cannot tell, it is not wrong."""
    told = zip(asks, PythonEngine(fleet).answer(asks), real(fleet).answer(asks), strict=True)
    return [
        (one, python, envoy) for one, python, envoy in told if not isinstance(python, CannotTell) and python != envoy
    ]


@needs_envoy
def test_a_plain_mesh_is_answered_alike() -> None:
    assert differing(fleet_of(documents())) == []


@needs_envoy
@pytest.mark.parametrize("mode", [None, "PERMISSIVE", "STRICT"])
def test_other_modes_of_tls_and_other_services_are_answered_alike(mode: str | None) -> None:
    names = {
        "pods": "kri_msvc_shop___pods_",
        "orders": "kri_msvc_shop___orders_grpc",
        "empty": "kri_msvc_shop___empty_80",
    }
    asks = tuple(Ask("shop.caller", listener, authority=name, counts_retries=True) for name, listener in names.items())
    fleet = fleet_of(with_tls(mode, documents(*yaml.safe_load_all(PODS))))
    assert differing(fleet, (*asks, ask(), ask(caller="batch"), ask("db"), ask("db", caller="batch"))) == []


@needs_envoy
@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(mesh=meshes())
def test_every_table_is_answered_alike(mesh: tuple[Document, ...]) -> None:
    assert differing(fleet_of(mesh)) == []


@needs_envoy
def test_an_impostor_is_believed_by_neither_engine() -> None:
    fleet = fleet_of(documents())
    ledger = fleet.snapshots["shop.ledger"]
    secrets = tuple(one._replace(uris=("spiffe://shop/impostor",) if one.uris else ()) for one in ledger.secrets)
    impostor = Fleet({**fleet.snapshots, "shop.ledger": replace(ledger, secrets=secrets)})
    asks = (ask("ledger"),)
    assert differing(impostor, asks) == []
    found = real(impostor).answer(asks)[0]
    assert not isinstance(found, CannotTell)
    assert [(one.answer.status, one.answer.node) for one in found] == [(503, "")]


@needs_envoy
def test_nothing_is_logged_and_nobody_collects_spans(tmp_path: Path) -> None:
    log = tmp_path / "log"
    files = {"backends": [{"type": "File", "file": {"path": str(log)}}]}
    otel = {"backends": [{"type": "OpenTelemetry", "openTelemetry": {"endpoint": "127.0.0.1:4317"}}]}
    rules, to = [{"default": files}], [{"targetRef": {"kind": "Mesh"}, "default": files}]
    telemetry = (
        {"type": "MeshAccessLog", "mesh": "shop", "name": "in", "spec": {"rules": rules}},
        {"type": "MeshAccessLog", "mesh": "shop", "name": "out", "spec": {"to": to}},
        {"type": "MeshTrace", "mesh": "shop", "name": "it", "spec": {"default": otel}},
    )
    assert differing(fleet_of(documents(*telemetry)), (ask(), ask("db"))) == []
    assert not log.exists()


@needs_envoy
def test_shares_are_those_of_the_weights_however_many_they_are() -> None:
    """Beyond a total of 200 so many draws are spread evenly."""
    backends = [
        {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": version}, "weight": weight}
        for version, weight in (("v1", 900), ("v2", 99))
    ]
    fleet = fleet_of(documents(route("r", [{"matches": [{"method": "GET"}], "default": {"backendRefs": backends}}])))
    found = real(fleet).answer([ask()])[0]
    assert not isinstance(found, CannotTell)
    shares = {dict(one.answer.tags)["version"]: float(one.share) for one in found}
    assert shares == pytest.approx({"v1": 900 / 999, "v2": 99 / 999}, abs=0.01)


@needs_envoy
def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(psutil.Process().children(recursive=True))
    real(fleet_of(documents())).answer([ask()])
    assert list(tmp_path.iterdir()) == []
    assert set(psutil.Process().children(recursive=True)) - before == set()


def test_an_envoy_that_does_not_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    binary = tmp_path / "envoy"
    binary.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n")
    binary.chmod(0o755)
    with pytest.raises(EnvoyFailed, match="no such thing"):
        EnvoyEngine(fleet_of(documents()), Binary(binary)).answer([ask()])


def test_a_port_that_was_taken_meanwhile_is_another_try(tmp_path: Path) -> None:
    binary, tries = tmp_path / "envoy", tmp_path / "tries"
    binary.write_text(f"#!/bin/sh\necho x >> {tries}\necho 'cannot bind: Address already in use' >&2\nexit 1\n")
    binary.chmod(0o755)
    with pytest.raises(EnvoyFailed, match="could not listen"):
        EnvoyEngine(fleet_of(documents()), Binary(binary)).answer([ask()])
    assert tries.read_text().split() == ["x", "x", "x"]


_ASKING = """
import sys
from pathlib import Path
from compiler.dataplane.children import die_with_parent
from compiler.review.promises.envoy_process import Binary
from compiler.review.promises.on_envoy import EnvoyEngine
from tests.review.route_meshes import ask, documents, fleet_of
EnvoyEngine(fleet_of(documents()), Binary(Path(sys.argv[1]), die_with_parent())).answer([ask()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a child is told of its parent's death on Linux only")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_envoy_ends_with_us_in_whatever_way_we_end(tmp_path: Path, number: signal.Signals) -> None:
    """One that never becomes ready, so that there is a middle in which to end."""
    binary, started = tmp_path / "envoy", tmp_path / "pid"
    binary.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 60\n")
    binary.chmod(0o755)
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    asking = subprocess.Popen((sys.executable, "-c", _ASKING, str(binary)), env=environment, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: started.exists() and started.read_text().strip() != "")
        envoy = psutil.Process(int(started.read_text()))
        asking.send_signal(number)
        assert asking.wait(30) != 0
        _until(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE)
        left = [path.name for path in folder.rglob("*") if path.is_file()]
        assert left == [] or number == signal.SIGKILL
    finally:
        asking.kill()
        asking.wait()


def _until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
