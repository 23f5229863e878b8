"""What a server holds: plain values that need no parsing, shared between proxies and between generations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from compiler.snapshot.snapshot import NodeId, SecretName

__all__ = ["ServedGeneration", "ServedProxy", "ServedResource"]


class ServedResource(NamedTuple):
    """`body` is a serialised Any, as it goes on the wire."""

    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ServedProxy:
    """One proxy's resources by type URL and name. Equal maps are one object; an unchanged proxy is the same object."""

    node: NodeId
    digest: str
    resources: Mapping[str, Mapping[str, ServedResource]]
    secrets: tuple[SecretName, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedGeneration:
    """All proxies by node id (`str(NodeId)`, what Envoy says in `node.id`)."""

    number: int
    commit: str | None
    digest: str
    proxies: Mapping[str, ServedProxy] = field(default_factory=dict)
