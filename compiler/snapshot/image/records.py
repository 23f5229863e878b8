"""The records of the serving image: resources and files once each, then a generation that refers to them by place."""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from compiler.snapshot.image.frames import ImageDamaged, read_frames
from compiler.snapshot.names import NodeId, SecretName

__all__ = [
    "HEADER",
    "FileRecord",
    "Finished",
    "GenerationRecord",
    "ProxyEntry",
    "Record",
    "ResourceRecord",
    "apply_finished",
    "decode",
    "encode",
]

HEADER: Final = b"meshwright serving image 2\n"


class ResourceRecord(msgspec.Struct, tag="r", array_like=True, frozen=True):
    """Resources that later records name by their place, counted over the whole image."""

    resources: tuple[tuple[str, str, bytes], ...]
    """Name, version and body of each."""


class FileRecord(msgspec.Struct, tag="f", array_like=True, frozen=True):
    """A file of a snapshot, by its blob id: places of resources of one type, or names of secrets."""

    blob: bytes
    kind: str
    resources: tuple[int, ...] = ()
    secrets: tuple[SecretName, ...] = ()


class ProxyEntry(msgspec.Struct, array_like=True, frozen=True):
    """A proxy by its node id, and what it holds now.

    With `node` the files are all of its files, by blob id; without, those that are not what they were, and `gone` are
    the kinds of which it has none any more.
    """

    name: str
    digest: str
    files: tuple[bytes, ...]
    node: NodeId | None = None
    gone: tuple[str, ...] = ()


class GenerationRecord(msgspec.Struct, tag="g", array_like=True, frozen=True):
    """What differs from the generation before it in this image; the first differs from nothing."""

    number: int
    commit: str | None
    digest: str
    changed: tuple[ProxyEntry, ...]
    removed: tuple[str, ...]


Record = ResourceRecord | FileRecord | GenerationRecord
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    return _ENCODER.encode(record)


def decode(payload: bytes) -> Record:
    try:
        return _DECODER.decode(payload)
    except msgspec.DecodeError as error:
        raise ImageDamaged(f"a record cannot be understood: {error}") from error


class Finished(NamedTuple):
    """Where the last finished generation ends, and how many records were taken over up to there."""

    end: int
    records: int


def apply_finished(take_over: Callable[[Record], None], content: bytes, start: int, number: int) -> Finished:
    """Takes over every finished generation; records behind the last one are left for the next time."""
    pending: list[Record] = []
    end, records = start, 0
    for found in read_frames(content, start, number):
        pending.append(decode(found.payload))
        if isinstance(pending[-1], GenerationRecord):
            for record in pending:
                take_over(record)
            end, records = found.end, records + len(pending)
            pending.clear()
    return Finished(end, records)
