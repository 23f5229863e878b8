"""`meshwright serve` and Envoys as people run them; each is ended by its own id."""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO, Any

from compiler.dataplane.bootstrap import (
    AdsProtocol,
    BootstrapOptions,
    NodeOptions,
    SocketAddress,
    UnixSocket,
    bootstrap_json,
)
from compiler.dataplane.children import die_with_parent
from compiler.dataplane.run import RunOptions, envoy_command
from tests.e2e.places import free_port
from tests.e2e.traffic import PATIENCE

ROOT = Path(__file__).parents[2]
START = 90.0
"""Seconds until a reconciler that is not ready is given up, on a slow and busy machine."""
MESHWRIGHT = (sys.executable, "-c", "from compiler.cli.main import main; main()")
_WARMING = "listener_manager.total_listeners_warming"
Status = Mapping[str, Any]


@cache
def find_envoys() -> Mapping[str, Path]:
    """The two ends of the range that is supported, by version; a missing one is missing here."""
    beside_us = shutil.which("envoy", path=str(Path(sys.executable).parent))
    places = (beside_us, shutil.which("envoy"), str(ROOT / ".envoy-1.37" / "bin" / "envoy"))
    found = {_version(place): Path(place) for place in reversed(places) if place and Path(place).exists()}
    return {version: path for version, path in found.items() if version in {"1.37", "1.40"}}


def _version(binary: str) -> str:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    return re.findall(r"/([0-9]+[.][0-9]+)[.][0-9]+/", said)[0]


def environment() -> dict[str, str]:
    """Without variables that would change what the commands do."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MESHWRIGHT_")}
    return own | {"PYTHONPATH": str(ROOT)}


def meshwright(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*MESHWRIGHT, *arguments), env=environment(), capture_output=True, text=True, check=False)


@dataclass
class Serve:
    """A reconciler on addresses that stay the same when it is started again."""

    repository: Path
    folder: Path
    authority: Path
    zone: str = ""
    xds: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    http: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    health: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    secrets: Path | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None
    more: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> str:
        """The digest that it serves as soon as it is ready."""
        flags = {
            "repo": self.repository,
            "data": self.data,
            "xds": self.xds,
            "http": self.http,
            "health": self.health,
            "ca": f"file:{self.authority}",
        }
        if self.zone:
            flags["zone"] = self.zone
        if self.secrets is not None:
            flags["secrets"] = self.secrets
        written = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        command = (*MESHWRIGHT, "serve", *written, *self.more, "--insecure")
        self.log = []
        self.process = subprocess.Popen(
            command,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            preexec_fn=die_with_parent(),  # noqa: PLW1509  # it calls nothing but prctl
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        threading.Thread(target=_read_log, args=(self.process.stderr, self.log), daemon=True).start()
        ready, _, _ = select.select([self.process.stdout], [], [], START)
        line = self.process.stdout.readline() if ready else b""
        assert line, f"not ready within {START} s: {self.log}"
        return str(json.loads(line)["digest"])

    def stop(self) -> None:
        """As an operator does it."""
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(PATIENCE) == 0, self.log
            self.process = None

    def kill(self) -> None:
        """The reconciler and its children, at once."""
        if self.process is not None:
            children = [int(line["pid"]) for line in self.log if line["event"] == "started"]
            self.process.kill()
            for pid in children:
                with suppress(ProcessLookupError):
                    if _is_ours(pid):
                        os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None

    def pid_of(self, child: str) -> int:
        """Of the supervisor's child that was started last."""
        started = [line for line in self.log if line["event"] == "started" and line["child"] == child]
        return int(started[-1]["pid"])

    def get(self, path: str) -> tuple[int, str]:
        host, _, port = self.http.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self) -> Status:
        code, text = self.get("/status")
        assert code == 200
        found: Status = json.loads(text)
        return found

    def pushes(self) -> dict[str, int]:
        """How many answers the server has sent of each type."""
        _, text = self.get("/metrics")
        samples = re.findall(r'^meshwright_xds_pushes_total\{type="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
        return {kind: int(float(count)) for kind, count in samples if float(count)}

    def until(self, holds: Callable[[Status], object], seconds: float = PATIENCE) -> Status:
        """The first status for which it holds."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.status()
            if holds(found):
                return found
            assert time.monotonic() < deadline, _summary(found)
            time.sleep(0.02)

    def accepted(self, commit: str, proxies: int, seconds: float = PATIENCE) -> Status:
        """Every proxy has ACKed every resource of this commit."""

        def look(found: Status) -> bool:
            candidate = found["candidate"] or {}
            assert (candidate.get("commit"), candidate.get("state")) != (commit, "refused"), candidate["diagnostics"]
            return is_accepted(found, commit, proxies)

        return self.until(look, seconds)

    def digest(self) -> str:
        return str((self.status()["serving"] or {}).get("digest"))


def is_accepted(status: Status, commit: str, proxies: int) -> bool:
    serving = status["serving"] or {}
    holding = [
        proxy
        for proxy in status["proxies"]
        if proxy["fully_acked"] and proxy["acked_digest"] == proxy["digest"] and not refusals([proxy])
    ]
    return serving.get("commit") == commit and len(holding) == proxies


def refusals(proxies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every NACK that stands."""
    return [kind["nack"] for proxy in proxies for kind in proxy["types"].values() if kind["nack"]]


def _summary(status: Status) -> str:
    proxies = [
        (proxy["node"], proxy["digest"], proxy["fully_acked"], _types(proxy["types"])) for proxy in status["proxies"]
    ]
    return json.dumps({**status, "proxies": proxies}, indent=1)


def _types(types: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What was sent, what was ACKed, and what was said against it."""
    return {url.rpartition(".")[2]: f"{one['sent']} {one['acked']} {one['nack']}" for url, one in types.items()}


def _is_ours(pid: int) -> bool:
    """A number may belong to somebody else by now."""
    try:
        return b"compiler.reconcile" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _read_log(stream: IO[bytes], log: list[dict[str, Any]]) -> None:
    for line in stream:
        try:
            log.append(json.loads(line))
        except ValueError:
            log.append({"event": "text", "text": line.decode(errors="replace")})


@dataclass
class Envoy:
    """A real one, started with the bootstrap and the arguments of `meshwright dataplane run`."""

    binary: Path
    folder: Path
    mesh: str
    name: str
    server: str
    protocol: AdsProtocol = AdsProtocol.DELTA
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Two Envoys in one folder would take each other's admin socket."""
        self.folder.mkdir(parents=True)
        host, _, port = self.server.partition(":")
        node, server = NodeOptions(self.mesh, self.name), SocketAddress(host, int(port))
        options = BootstrapOptions(node, server, UnixSocket(self.folder / "admin.sock"), self.protocol, self.folder)
        file = self.folder / "bootstrap.json"
        file.write_text(bootstrap_json(options))
        run = RunOptions(node, server, concurrency=1, drain_time=timedelta(seconds=1))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                (*envoy_command(self.binary, file, run), "--file-flush-interval-msec", "50"),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509  # it calls nothing but prctl
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def admin(self, path: str, method: str = "GET") -> str:
        connection = _AdminConnection(self.folder / "admin.sock")
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def wait_live(self) -> None:
        """Every listener that it was sent takes connections."""
        deadline = time.monotonic() + PATIENCE
        while self.stats(_WARMING)[_WARMING] or json.loads(self.admin("/server_info"))["state"] != "LIVE":
            assert time.monotonic() < deadline, self.admin("/listeners")
            time.sleep(0.02)

    def stats(self, *names: str) -> dict[str, int]:
        """Counters and gauges by their whole names; 0 where Envoy has none of it yet."""
        lines = (line.partition(": ") for line in self.admin("/stats").splitlines())
        found = {name: value for name, _, value in lines}
        return {name: int(found.get(name, "0")) for name in names}

    def listeners(self) -> dict[str, Mapping[str, Any]]:
        """What the admin interface says of each listener that came over ADS."""
        dump = json.loads(self.admin("/config_dump?resource=dynamic_listeners"))
        return {one["name"]: one for one in dump.get("configs", ())}


class _AdminConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))
