"""What a Mesh or a Dataplane of 2.x says of telemetry and nothing comes of."""

from collections.abc import Iterator
from typing import Final, cast

from compiler.memo import Memo
from compiler.mesh.collectors import confs_of
from compiler.mesh.declared import is_declared
from compiler.mesh.graph import KEYS, RESOURCE, mesh_spec
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Dataplane, Mesh, Policy, Resource

_USED_BY: Final = (("logging", "MeshAccessLog", "TrafficLog"), ("tracing", "MeshTrace", "TrafficTrace"))


def check_backends(memo: Memo, mesh: str, spec: Mesh) -> Iterator[Finding]:
    """Backends are for TrafficLogs and TrafficTraces: a Mesh alone logs and traces nothing, as in Kuma."""
    for field, kind, legacy in _USED_BY:
        if getattr(spec, field).backends and not _is_used(memo, kind, mesh):
            message, hint = f"no {legacy} sends anything to these backends", f"write a {kind} with its backends"
            yield Finding(f"/{field}", NO_EFFECT, message, hint, on_key=True)


def check_metrics(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    """A Dataplane adds to what its Mesh collects."""
    metrics = cast(Dataplane, proxy.spec).metrics
    if metrics is not None and not mesh_spec(memo, proxy.key.mesh).metrics.enabled_backend:
        message = f"mesh {proxy.key.mesh!r} has no metrics backend in force, so the proxy's own metrics change nothing"
        yield Finding("/metrics", NO_EFFECT, message, "set metrics.enabledBackend of the Mesh, or write a MeshMetric")


def _is_used(memo: Memo, kind: str, mesh: str) -> bool:
    policies = (memo.read(RESOURCE, key) for key in memo.read(KEYS, (kind, mesh)))
    specs = (policy.spec for policy in policies if policy is not None)
    return any(is_declared(conf) for spec in specs if isinstance(spec, Policy) for _, conf in confs_of(spec))
