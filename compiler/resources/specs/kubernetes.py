"""What is said of containers on Kubernetes (kuma-policies §5)."""

from msgspec import field

from compiler.resources.specs.spec import Spec


class PatchOperation(Spec, frozen=True):
    """Of RFC 6902; `value` is JSON in a text."""

    op: str
    path: str
    from_: str = field(default="", name="from")
    value: str | None = None


class ContainerPatch(Spec, frozen=True):
    """Changes of the containers that are injected; no proxy's configuration depends on it."""

    sidecar_patch: tuple[PatchOperation, ...] = ()
    init_patch: tuple[PatchOperation, ...] = ()
