"""Two real Envoys beside the simulated proxies: one calls the other, and a commit says whether it may.

The workload's own proxies redirect traffic and stand on addresses that no machine has; the probe stands on loopback.
"""

import asyncio
import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

from benchmarks.documents import MESH, NOBODY
from benchmarks.repository import Changes
from compiler.dataplane.bootstrap import (
    BootstrapOptions,
    DataplaneError,
    NodeOptions,
    SocketAddress,
    UnixSocket,
    bootstrap_json,
)
from compiler.dataplane.children import die_with_parent
from compiler.dataplane.run import RunOptions, envoy_command, find_envoy
from compiler.demo.applications import HttpApplication
from compiler.demo.shop import Address
from compiler.demo.traffic import Answer, Caller

CLIENT: Final = "probe-client"
SERVER: Final = "probe-server"
NODES: Final = tuple(f"{MESH}.{name}" for name in (CLIENT, SERVER))
QUERY: Final = f"?after={MESH}.probe&limit={len(NODES)}"
"""The part of the status page that shows these two."""
GRANTED: Final = 200
WITHDRAWN: Final = 403
"""What the callee's Envoy answers itself where no permission names the caller."""
_CLIENT_HOST: Final = "127.77.0.2"
_SERVER_HOST: Final = "127.77.0.3"
_PATIENCE: Final = 30.0
_BREATH: Final = 0.0005
"""Seconds between two requests, so that the measurement leaves the machine to what is measured."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the callee's application listens, where its proxy does, and where the caller's listens for calls."""

    application: int
    inbound: int
    outbound: int
    unused: int

    @classmethod
    def choose(cls, application: int) -> "Ports":
        """Free a moment ago."""
        return cls(application, _free_port(_SERVER_HOST), _free_port(_CLIENT_HOST), _free_port(_CLIENT_HOST))


def look_for_envoy() -> Path | None:
    """None where there is none: the effect on traffic is then left out."""
    try:
        return find_envoy()
    except DataplaneError:
        return None


def write_probe(ports: Ports) -> Changes:
    """Both Dataplanes, the service between them, and its permission, granted."""
    text = "---\n".join((_write_client(ports), _write_server(ports), _write_service(ports)))
    return {"probe/proxies.yaml": text.encode(), **write_permission(granted=True)}


def write_permission(*, granted: bool) -> Changes:
    """Only what the callee holds follows from it: an outbound that is written down stays."""
    caller = f"spiffe://{MESH}/{CLIENT}" if granted else NOBODY
    text = dedent(f"""\
        type: MeshTrafficPermission
        mesh: {MESH}
        name: {SERVER}
        spec:
          targetRef: {{kind: Dataplane, labels: {{app: {SERVER}}}}}
          rules:
          - default:
              allow:
              - spiffeID: {{type: Exact, value: {caller}}}
        """)
    return {"probe/permission.yaml": text.encode()}


def remove_probe() -> Changes:
    return {"probe/proxies.yaml": None, "probe/permission.yaml": None}


def holds_all(status: Mapping[str, Any]) -> bool:
    """Whether both Envoys have ACKed everything, by the daemon's status page."""
    return set(NODES) <= {proxy["node"] for proxy in status["proxies"] if proxy["fully_acked"]}


def list_refusals(status: Mapping[str, Any]) -> Sequence[str]:
    """What each NACK that stands says; an Envoy that is gone counts as one."""
    proxies = {proxy["node"]: proxy for proxy in status["proxies"]}
    kinds = [kind for node in NODES if node in proxies for kind in proxies[node]["types"].values()]
    lost = [f"{node} is not connected" for node in NODES if node not in proxies]
    return (*lost, *(kind["nack"]["message"] for kind in kinds if kind["nack"]))


@contextmanager
def serving() -> Iterator[Ports]:
    """The callee's application, in a thread, as long as the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="probe", daemon=True)
    thread.start()
    start = asyncio.start_server(HttpApplication(SERVER).serve, _SERVER_HOST, 0)
    server = asyncio.run_coroutine_threadsafe(start, loop).result(_PATIENCE)
    try:
        yield Ports.choose(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)


@contextmanager
def running_envoys(binary: Path, folder: Path, xds: str) -> Iterator[None]:
    """Both as long as the block runs, each with one worker: there is one connection."""
    with ExitStack() as stack:
        for name in (CLIENT, SERVER):
            stack.enter_context(_running_envoy(binary, folder / name, name, xds))
        yield


@contextmanager
def calling(ports: Ports) -> Iterator["Line"]:
    """One connection to the caller's proxy, once the first call came through on it; raises TimeoutError."""
    caller = _connect(Address(_CLIENT_HOST, ports.outbound))
    try:
        yield Line(caller)
    finally:
        caller.close()


@dataclass(slots=True)
class Line:
    """A kept-alive connection; `odd` counts answers that neither rule gives. A lost connection is an error."""

    caller: Caller
    odd: int = 0

    def until(self, status: int) -> float:
        """When the first answer with this status was here, in seconds since 1970; raises TimeoutError."""
        deadline = time.monotonic() + _PATIENCE
        while (answer := self._ask()).status != status:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the probe still gets {answer.status} {answer.text[:200]}, not {status}")
            time.sleep(_BREATH)
        return answer.at

    def _ask(self) -> Answer:
        answer = self.caller.get()
        self.odd += answer.status not in (GRANTED, WITHDRAWN)
        return answer


def _connect(address: Address) -> Caller:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            caller = Caller(address)
            if caller.get().status == GRANTED:
                return caller
            caller.close()
        time.sleep(0.05)
    raise TimeoutError(f"no call came through the probe's Envoys at {address.host}:{address.port}")


@contextmanager
def _running_envoy(binary: Path, folder: Path, name: str, xds: str) -> Iterator[None]:
    """Started as `meshwright dataplane run` does it; what it says is in its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "admin.sock").unlink(missing_ok=True)
    host, _, port = xds.rpartition(":")
    node, server = NodeOptions(MESH, name), SocketAddress(host, int(port))
    options = BootstrapOptions(node, server, UnixSocket(folder / "admin.sock"), work_dir=folder)
    bootstrap = folder / "bootstrap.json"
    bootstrap.write_text(bootstrap_json(options))
    run = RunOptions(node, server, concurrency=1, drain_time=timedelta(seconds=1))
    with (folder / "log").open("wb") as log:
        envoy = subprocess.Popen(
            envoy_command(binary, bootstrap, run),
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(),  # noqa: PLW1509  # it calls nothing but prctl
        )
    try:
        yield
    finally:
        _stop(envoy)


def _stop(envoy: "subprocess.Popen[bytes]") -> None:
    envoy.terminate()
    try:
        envoy.wait(10)
    except subprocess.TimeoutExpired:
        envoy.kill()
        envoy.wait()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _write_client(ports: Ports) -> str:
    outbound = f"{{address: {_CLIENT_HOST}, port: {ports.outbound}, backendRef: {_BACKEND}}}"
    return _write_dataplane(CLIENT, _CLIENT_HOST, ports.unused, ports.unused) + f"  outbound:\n  - {outbound}\n"


def _write_server(ports: Ports) -> str:
    return _write_dataplane(SERVER, _SERVER_HOST, ports.inbound, ports.application)


def _write_dataplane(name: str, host: str, port: int, application: int) -> str:
    inbound = f"{{name: main, port: {port}, servicePort: {application}, protocol: http}}"
    return (
        f"type: Dataplane\nmesh: {MESH}\nname: {name}\n"
        f"labels: {{app: {name}, kuma.io/workload: {name}, kuma.io/zone: east}}\n"
        f"networking:\n  address: {host}\n  inbound:\n  - {inbound}\n"
    )


def _write_service(ports: Ports) -> str:
    return (
        f"type: MeshService\nmesh: {MESH}\nname: {SERVER}\nspec:\n"
        f"  selector: {{dataplaneLabels: {{matchLabels: {{app: {SERVER}}}}}}}\n"
        f"  ports:\n  - {{name: main, port: 80, targetPort: {ports.inbound}, appProtocol: http}}\n"
    )


_BACKEND: Final = f"{{kind: MeshService, name: {SERVER}, port: 80}}"
