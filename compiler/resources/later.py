"""What is Kuma's but not ours yet: it is judged in full, and then refused by a finding of its own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compiler.resources.findings import NOT_SUPPORTED_YET, SECRET_IN_GIT, Finding, join

LEGACY_TYPES: Final = frozenset(
    (
        "CircuitBreaker",
        "FaultInjection",
        "HealthCheck",
        "ProxyTemplate",
        "RateLimit",
        "Retry",
        "Timeout",
        "TrafficLog",
        "TrafficPermission",
        "TrafficRoute",
        "TrafficTrace",
        "VirtualOutbound",
    )
)
"""Kuma's policies from before targetRef; their names are common words, so a document needs a `mesh` too."""
GONE_TYPES: Final[Mapping[str, str]] = {"OPAPolicy": "MeshOPA"}
"""Kong Mesh's policies from before targetRef, and what does their work; in Universal form they need a `mesh` too."""

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ExternalService": (
        "networking.tls.caCert.file",
        "networking.tls.clientCert.file",
        "networking.tls.clientCert.inline",
        "networking.tls.clientCert.inlineString",
        "networking.tls.clientKey.file",
    ),
    "MeshExternalService": (
        "tls.verification.clientCert.inline",
        "tls.verification.clientCert.inlineString",
        "tls.verification.clientCert.insecureInline",
    ),
    "MeshGateway": ("conf.listeners.*.tls.certificates.*.file",),
}
"""Fields that a schema has and nothing reads. Who makes one compile takes it out."""

_VALUES: Final[Mapping[str, Mapping[str, tuple[object, ...]]]] = {
    "Mesh": {
        "mtls.backends.*.type": ("vault", "acmpca", "certmanager"),
    },
    "MeshIdentity": {"provider.type": ("Extension",)},
}
"""The same of single values of fields that are read otherwise."""

_LEAVE_OUT: Final = "take the field out, or list the file under `ignore` in meshwright.yaml to go without it"

Steps = tuple[str, ...]

_FIELD_STEPS: Final[Mapping[str, tuple[Steps, ...]]] = {
    kind: tuple(tuple(path.split(".")) for path in paths) for kind, paths in _FIELDS.items()
}
_VALUE_STEPS: Final[Mapping[str, tuple[tuple[Steps, tuple[object, ...]], ...]]] = {
    kind: tuple((tuple(path.split(".")), values) for path, values in rows.items()) for kind, rows in _VALUES.items()
}


def check_later(kind: str, content: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """For every field and value of a right document that would have no effect."""
    for steps in _FIELD_STEPS.get(kind, ()):
        for at, _ in _find(content, pointer, steps):
            message = f"{'.'.join(steps)} of a {kind} is not supported yet"
            yield Finding(at, NOT_SUPPORTED_YET, message, _LEAVE_OUT, on_key=True)
    for steps, values in _VALUE_STEPS.get(kind, ()):
        for at, value in _find(content, pointer, steps):
            if value in values:
                shown = str(value).lower() if isinstance(value, bool) else value
                message = f"{steps[-1]} {shown} is not supported yet"
                yield Finding(at, NOT_SUPPORTED_YET, message, _LEAVE_OUT)


def refused_fields(kind: str) -> tuple[str, ...]:
    """Paths of fields that no document of a type may have, entries of a list as `*`."""
    return _FIELDS.get(kind, ())


def find_leak(kind: str, pointer: str) -> Finding | None:
    """For a field of a secret's document that would hold the secret itself."""
    if kind not in ("Secret", "GlobalSecret") or pointer.removeprefix("/spec") not in ("/data", "/stringData"):
        return None
    message, hint = "a secret's content does not belong in Git", "keep the name only; give the content to the server"
    return Finding(pointer, SECRET_IN_GIT, message, hint, on_key=True)


def _find(value: Any, pointer: str, steps: Sequence[str]) -> Iterator[tuple[str, object]]:
    """What stands at a path, `*` being every entry of a list; nothing where it is not written."""
    for number, step in enumerate(steps):
        if step == "*":
            for index, entry in enumerate(value):
                yield from _find(entry, join(pointer, index), steps[number + 1 :])
            return
        if step not in value:
            return
        value, pointer = value[step], join(pointer, step)
    yield pointer, value
