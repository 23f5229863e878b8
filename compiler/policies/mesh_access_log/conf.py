"""What a MeshAccessLog says (kuma-policies §2.1); `filters` is ours."""

import json
from typing import Any

from compiler.mesh.collectors import OpenTelemetry
from compiler.resources.model import Spec
from compiler.resources.values import Duration, Percentage


class Entry(Spec, frozen=True):
    key: str
    value: str


class Format(Spec, frozen=True):
    """`type`: Plain or Json."""

    type: str
    plain: str = ""
    json: tuple[Entry, ...] = ()
    omit_empty_values: bool = False


class File(Spec, frozen=True):
    path: str
    format: Format | None = None


class Tcp(Spec, frozen=True):
    address: str
    format: Format | None = None


class OpenTelemetryLog(OpenTelemetry, frozen=True):
    """A body is any JSON."""

    attributes: tuple[Entry, ...] = ()
    body: Any = None

    def __hash__(self) -> int:
        """Confs are remembered by their values; a body does not hash by itself."""
        return hash((self.collector, self.attributes, json.dumps(self.body, sort_keys=True)))


class Bounds(Spec, frozen=True):
    """Both are inside."""

    min: int | None = None
    max: int | None = None


class Durations(Spec, frozen=True):
    """Both are inside."""

    min: Duration | None = None
    max: Duration | None = None


class Filters(Spec, frozen=True):
    """What is logged at all: what passes every one of these."""

    status: Bounds | None = None
    duration: Durations | None = None
    sample: Percentage | None = None


class Backend(Spec, frozen=True):
    """`type`: File, Tcp or OpenTelemetry, whose block is the one that is there."""

    type: str
    file: File | None = None
    tcp: Tcp | None = None
    open_telemetry: OpenTelemetryLog | None = None
    filters: Filters | None = None


class AccessLog(Spec, frozen=True):
    """Without backends nothing is logged."""

    backends: tuple[Backend, ...] = ()
