"""The files of a proxy's folder: what is in them, and their ids as Git gives them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import orjson

from compiler.mesh.trust import Trusted
from compiler.snapshot.canonical import Rendered, file_bytes
from compiler.snapshot.names import SecretName

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["LAYOUT", "Blob", "Files", "blob_id", "object_id", "parse_secrets", "plain_secret"]

LAYOUT: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
"""Of what is no resource."""
_WORTHWHILE: Final = 2048
"""A shorter beginning is hashed again as quickly as it is found to be shared."""


def object_id(kind: str, content: bytes) -> bytes:
    """What Git calls an object of this kind with this content."""
    return hashlib.sha1(b"%b %d\0%b" % (kind.encode(), len(content), content), usedforsecurity=False).digest()


def blob_id(content: bytes) -> bytes:
    return object_id("blob", content)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Blob:
    """A file by its id; its bytes are put together again where they are wanted, rather than kept twice."""

    id: bytes
    resources: Mapping[str, Rendered] | None = None
    fixed: bytes = b""

    @property
    def content(self) -> bytes:
        return self.fixed if self.resources is None else file_bytes(self.resources)

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """What `content` is joined from; a resource that two files share is the very same piece in both."""
        return (self.fixed,) if self.resources is None else _pieces(self.resources)


class Files:
    """Each file is hashed once while anything holds it.

    The key is the hash of the identities of the resources in it, which are compared then: a blob keeps its own alive.
    """

    def __init__(self) -> None:
        self._by_resources: WeakValueDictionary[int, Blob] = WeakValueDictionary()
        self._by_secrets: WeakValueDictionary[tuple[SecretName, ...], Blob] = WeakValueDictionary()
        self._begun: dict[tuple[str, str], _Begun] = {}

    def of_resources(self, alike: tuple[str, str], resources: Mapping[str, Rendered]) -> Blob:
        """`alike` is the same for files that are likely to begin alike: the workload, and the name of the file."""
        key = _key(resources)
        blob = self._by_resources.get(key)
        if blob is None or not _holds(blob, resources):
            begun = self._begun.get(alike) or self._begun.setdefault(alike, _Begun())
            blob = self._by_resources[key] = Blob(begun.blob_id(_pieces(resources)), resources)
        return blob

    def forget_beginnings(self) -> None:
        """All files that were to be hashed are: what the next ones share with these is not worth its memory."""
        self._begun.clear()

    def note(self, blob: Blob) -> None:
        """Nobody need hash it again while it is held."""
        if blob.resources is not None:
            self._by_resources[_key(blob.resources)] = blob

    def of_secrets(self, secrets: tuple[SecretName, ...]) -> Blob:
        blob = self._by_secrets.get(secrets)
        if blob is None:
            content = _write_secrets(secrets)
            blob = self._by_secrets[secrets] = Blob(blob_id(content), fixed=content)
        return blob


class _Begun:
    """Files of replicas are the same up to an address: that much of them is hashed once.

    Remembered are the pieces of the first of them, how many the others share with it, and the hash of these by the size
    of a file, which Git hashes before all else.
    """

    def __init__(self) -> None:
        self._first: tuple[bytes, ...] = ()
        self._shared = 0
        self._hashes: dict[int, _Hash] = {}

    def blob_id(self, pieces: tuple[bytes, ...]) -> bytes:
        shared = self._count_shared(pieces)
        if not shared:
            return blob_id(b"".join(pieces))
        size = sum(map(len, pieces))
        begun = self._hashes.get(size)
        if begun is None:
            beginning = b"".join((b"blob %d\0" % size, *pieces[:shared]))
            begun = self._hashes[size] = hashlib.sha1(beginning, usedforsecurity=False)
        hashed = begun.copy()
        hashed.update(b"".join(pieces[shared:]))
        return hashed.digest()

    def _count_shared(self, pieces: tuple[bytes, ...]) -> int:
        """One that shares more or less than those before it is the first of others."""
        shared = [*map(is_, self._first, pieces), False].index(False)
        if shared != self._shared:
            known, self._shared = self._shared, shared
            self._hashes.clear()
            if known or sum(map(len, pieces[:shared])) < _WORTHWHILE:
                self._shared = 0
        if not self._shared:
            self._first = pieces
        return self._shared


def _key(resources: Mapping[str, Rendered]) -> int:
    return hash(tuple(map(id, resources.values())))


def _holds(blob: Blob, resources: Mapping[str, Rendered]) -> bool:
    """The very same resources, in the same order."""
    held = blob.resources or {}
    return len(held) == len(resources) and all(map(is_, held.values(), resources.values()))


def parse_secrets(content: bytes) -> tuple[SecretName, ...]:
    """The names that a `secrets.json` holds."""
    return tuple(
        SecretName(
            name,
            secret.get("authority", ""),
            tuple(secret.get("uris", ())),
            secret.get("lifetimeSeconds", 0),
            tuple(secret.get("sources", ())),
            secret.get("kind", ""),
            secret.get("mesh", ""),
            tuple(map(_parse_trusted, secret.get("trusted", ()))),
        )
        for name, secret in orjson.loads(content).items()
    )


def _parse_trusted(plain: Mapping[str, Any]) -> Trusted:
    return Trusted(**{**plain, "sources": tuple(plain.get("sources", ()))})


def _write_secrets(secrets: Iterable[SecretName]) -> bytes:
    return orjson.dumps({secret.name: plain_secret(secret) for secret in secrets}, option=LAYOUT)


def plain_secret(secret: SecretName) -> dict[str, object]:
    """All that is said of it, but for its name."""
    plain = {
        "authority": secret.authority,
        "uris": secret.uris,
        "lifetimeSeconds": secret.lifetime_seconds,
        "sources": secret.sources,
        "kind": secret.kind,
        "mesh": secret.mesh,
        "trusted": [{field: value for field, value in one._asdict().items() if value} for one in secret.trusted],
    }
    return {field: value for field, value in plain.items() if value}


def _pieces(resources: Mapping[str, Rendered]) -> tuple[bytes, ...]:
    """What `file_bytes` is joined from."""
    if not resources:
        return (file_bytes(resources),)
    pieces = [b"{"]
    for name in sorted(resources):
        pieces += resources[name].pieces
        pieces.append(b",")
    pieces[-1] = b"\n}\n"
    return tuple(pieces)
