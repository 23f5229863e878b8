"""What a proxy says of itself in its first request: four things are kept, the 60 KB list of its extensions is not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from envoy.config.core.v3.base_pb2 import Node as NodeMessage

_METADATA_LIMIT = 32
_TEXT_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Node:
    """A claim, not a proof: it is compared with what was proven, never believed."""

    id: str
    cluster: str = ""
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_node(message: NodeMessage) -> Node:
    """Metadata is kept as far as it is text, and bounded: 32 entries of 256 characters."""
    return Node(
        id=message.id[:_TEXT_LIMIT],
        cluster=message.cluster[:_TEXT_LIMIT],
        version=_read_version(message),
        metadata=_read_metadata(message),
    )


def _read_version(message: NodeMessage) -> str:
    number = message.user_agent_build_version.version
    if number.major_number or number.minor_number:
        return f"{number.major_number}.{number.minor_number}.{number.patch}"
    return str(message.user_agent_version[:_TEXT_LIMIT])


def _read_metadata(message: NodeMessage) -> dict[str, str]:
    if not message.metadata.fields:
        return {}
    texts = (
        (name[:_TEXT_LIMIT], value.string_value[:_TEXT_LIMIT])
        for name, value in sorted(message.metadata.fields.items())
        if value.WhichOneof("kind") == "string_value"
    )
    return dict(list(texts)[:_METADATA_LIMIT])
