"""What a MeshMetric asks of us, as the snapshot says it (docs/dataplane-run.md)."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

SCHEMA_VERSION: Final = 1

_SOCKET: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,90}")
_PARTS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|h|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SHORTEST_INTERVAL: Final = timedelta(seconds=1)


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """A field that is not here is passed over, as an older program must."""


class Application(Part, frozen=True):
    path: str
    name: str = ""


class Backend(Part, frozen=True):
    """`type` is Prometheus or OpenTelemetry; `socket` is relative to the working directory."""

    type: str
    name: str = ""
    path: str = ""
    tls: str = "Disabled"
    socket: str = ""
    protocol: str = "grpc"
    refresh_interval: str = "1m"

    @property
    def interval(self) -> timedelta:
        """Never shorter than a second, whatever is written."""
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(self.refresh_interval))
        return max(timedelta(seconds=seconds), _SHORTEST_INTERVAL)


class Selector(Part, frozen=True):
    """`type` is Prefix, Regex, Exact or Contains."""

    type: str
    match: str


class Sidecar(Part, frozen=True):
    include_unused: bool = False
    profiles: tuple[str, ...] = ("Basic",)
    exclude: tuple[Selector, ...] = ()
    include: tuple[Selector, ...] = ()


class Wanted(Part, frozen=True):
    """All that a MeshMetric says for this proxy."""

    schema_version: int = 0
    applications: tuple[Application, ...] = ()
    backends: tuple[Backend, ...] = ()
    extra_labels: Mapping[str, str] = {}
    sidecar: Sidecar = Sidecar()


def read_document(body: bytes) -> Wanted:
    """Raises ValueError with a sentence for a document that this program cannot follow."""
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the document about metrics cannot be read: {error}") from error
    if wanted.schema_version != SCHEMA_VERSION:
        raise ValueError(f"the document about metrics is of version {wanted.schema_version}, not {SCHEMA_VERSION}")
    wrong = next((one.socket for one in wanted.backends if one.socket and not _SOCKET.fullmatch(one.socket)), None)
    if wrong is not None:
        raise ValueError(f"the document about metrics leads out of the working directory: {json.dumps(wrong)}")
    return wanted
