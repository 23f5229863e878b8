"""The backends that a Mesh of 2.x declares, in the words of the newer policies that hold theirs themselves."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.envelope import Envelope
from compiler.resources.findings import join
from compiler.resources.label_names import DISPLAY_NAME, MESH, ORIGIN, ROLE
from compiler.resources.legacy.numbers import as_decimal
from compiler.resources.legacy.said import ConvertedPlacement, given
from compiler.resources.model import Conf, Mesh, Policy, Resource, ResourceKey, TargetRef
from compiler.resources.resource_set import Placement

DECLARED: Final = "Mesh"
"""The type of a policy's backend that stands for one of the Mesh; no document can say it."""
LOWEST_ROLE: Final = "mesh"
"""The role of what a Mesh itself says of its proxies: every policy that somebody wrote overrides it."""
_ZIPKIN: Final = ("url", "traceId128bit", "apiVersion", "sharedSpanContext")
_DATADOG_PORT: Final = 8126


def refer_to_mesh(mesh: str, backend: str) -> Conf:
    """A backend of a policy that stands for one of the Mesh; for its default one where the name is empty."""
    return {"type": DECLARED, "mesh": {"kind": DECLARED, "name": mesh, "backend": backend}}


def write_logging(kind: str, layout: str, conf: Conf) -> dict[str, Any] | None:
    """As a backend of a MeshAccessLog; None for a type that there is not."""
    written = {"type": "Plain", "plain": layout} if layout else None
    match kind:
        case "file":
            return {"type": "File", "file": given({"path": conf.get("path"), "format": written})}
        case "tcp":
            return {"type": "Tcp", "tcp": given({"address": conf.get("address"), "format": written})}
    return None


def write_tracing(kind: str, conf: Conf) -> dict[str, Any] | None:
    """As a backend of a MeshTrace; None for a type that there is not."""
    match kind:
        case "zipkin":
            return {"type": "Zipkin", "zipkin": given({name: conf.get(name) for name in _ZIPKIN})}
        case "datadog":
            url = f"http://{conf.get('address', '')}:{conf.get('port', _DATADOG_PORT)}"
            return {"type": "Datadog", "datadog": given({"url": url, "splitService": conf.get("splitService")})}
    return None


def write_sampling(share: float | None) -> dict[str, Any]:
    """The part of a conf of a MeshTrace that says how many requests are traced."""
    return {"sampling": {"overall": as_decimal(share)}} if share is not None else {}


def declared_policies(envelope: Envelope, mesh: Mesh) -> Iterator[tuple[Resource, Placement]]:
    """What a Mesh says of its proxies' metrics, as a policy that is said in it."""
    for index, backend in enumerate(mesh.metrics.backends):
        if backend.name == mesh.metrics.enabled_backend:
            at = join(envelope.prefix, "metrics", "backends", index)
            labels = {MESH: envelope.name, DISPLAY_NAME: _name(envelope), ORIGIN: "global", ROLE: LOWEST_ROLE}
            key = ResourceKey("MeshMetric", envelope.name, _name(envelope))
            spec = Policy(target_ref=TargetRef(kind="Mesh"), default={"declared": _plain(backend.conf)})
            elsewhere = {"": at} | {f"/default/declared/{name}": join(at, "conf", name) for name in backend.conf}
            yield Resource(key, labels, spec), ConvertedPlacement(at, elsewhere, at)


def _name(envelope: Envelope) -> str:
    return f"mesh-metrics-{envelope.name}"


def _plain(conf: Mapping[str, Any]) -> Conf:
    """Without what nothing is made of."""
    return {name: value for name, value in conf.items() if name != "tags"}
