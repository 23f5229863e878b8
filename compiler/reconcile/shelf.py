"""Where generations are kept and handed over: snapshot store, serving image, and what the wipe guard counted."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from compiler.envoy.resources import ResourceType
from compiler.reconcile.guard import Census
from compiler.reconcile.ports import Published, Tip
from compiler.reconcile.pruning import Pruning
from compiler.snapshot.digest import GenerationTree
from compiler.snapshot.image.frames import ImageDamaged
from compiler.snapshot.image.reading import ImageReader
from compiler.snapshot.image.served import ServedGeneration
from compiler.snapshot.image.writing import ImageWriter, rebuild_image
from compiler.snapshot.lock import Lock
from compiler.snapshot.publication import Published as StoredCommit
from compiler.snapshot.publication import SourceCommit
from compiler.snapshot.snapshot import Generation
from compiler.snapshot.store import SnapshotStore

_STEP: Final = 0.01
"""Seconds in one go for what can wait; a commit that comes meanwhile waits no longer."""
_QUIET: Final = 3.0
"""Seconds after a commit, after which most likely none follows at once."""


class DataShelf:
    """Opened at the first use and again after a failure: a disk that was full or away needs nobody's help to go on."""

    def __init__(self, data: Path, lock: Lock, repository: str) -> None:
        self._data = data
        self._lock = lock
        self._repository = repository
        self._store: SnapshotStore | None = None
        self._pruning: Pruning | None = None
        self._image: ImageWriter | None = None
        self._compaction: Iterator[None] | None = None
        self._served_at = 0.0

    def recover(self) -> Published | None:
        """What is published, put into the image where a crash came between the two; None where nothing is published."""
        store = self._open()
        if store.published is None:
            return None
        published = _published(store.published)
        self._image, self._compaction = ImageWriter(self._data / "serving.image"), None
        if not _is_same(self._image.last, published):
            self._image = rebuild_image(store, self._data / "serving.image")
        return published

    def publish(self, generation: Generation, files: GenerationTree, tip: Tip) -> Published:
        source = SourceCommit(self._repository, tip.commit, generation.tree, tip.message.split("\n", 1)[0])
        store = self._open()
        if self._pruning is not None:
            self._pruning.give_way()
        return _published(store.publish(generation, source=source, now=time.time(), tree=files))

    def serve(self, published: Published, generation: Generation, files: GenerationTree) -> None:
        if self._image is None:
            self._image = ImageWriter(self._data / "serving.image")
        self._image.append(generation, published.number, files)
        self._served_at = time.monotonic()

    def tidy(self) -> bool:
        """Off the path of any commit: the image is compacted step by step, old generations are cut off beside us."""
        quiet = time.monotonic() - self._served_at > _QUIET
        if self._pruning is not None:
            self._pruning.go_on(quiet=quiet)
        if self._compaction is None and self._image is not None and self._image.wants_compaction(quiet=quiet):
            self._compaction = self._image.compact_in_steps()
        return self._compaction is not None and self._compact_on(self._compaction)

    def _compact_on(self, compaction: Iterator[None]) -> bool:
        self._compaction = None
        until = time.monotonic() + _STEP
        for _ in compaction:
            if time.monotonic() > until:
                self._compaction = compaction
                break
        return self._compaction is not None

    def close(self) -> None:
        """Git would hold the lock of the data folder until it is done, and the next writer would wait for it."""
        if self._pruning is not None:
            self._pruning.give_way()

    def census(self) -> Census | None:
        """As it was noted; else what the image shows, which has neither kinds of documents nor endpoints."""
        store = self._open()
        if store.published is None:
            return None
        with suppress(OSError, ValueError, KeyError, AttributeError):
            noted = orjson.loads((self._data / "census.json").read_bytes())
            if noted["digest"] == store.published.digest:
                return {str(kind): int(count) for kind, count in noted["counts"].items()}
        return _count_served(self._read_image())

    def note_census(self, digest: str, census: Census) -> None:
        """Losing it costs precision, never the guard itself, so a disk that fails is let pass."""
        unfinished = self._data / "census.json.unfinished"
        with suppress(OSError):
            unfinished.write_bytes(orjson.dumps({"digest": digest, "counts": dict(census)}))
            unfinished.replace(self._data / "census.json")

    def _open(self) -> SnapshotStore:
        if self._store is None:
            self._store = SnapshotStore.open(self._data, self._lock)
            self._pruning = Pruning(self._store)
        return self._store

    def _read_image(self) -> ServedGeneration | None:
        try:
            return ImageReader(self._data / "serving.image").latest()
        except (ImageDamaged, OSError):
            return None


def _published(stored: StoredCommit) -> Published:
    return Published(stored.number, stored.source.commit or "", stored.digest)


def _is_same(served: ServedGeneration | None, published: Published) -> bool:
    if served is None:
        return False
    return (served.number, served.commit or "", served.digest) == (published.number, published.commit, published.digest)


def _count_served(served: ServedGeneration | None) -> Mapping[str, int] | None:
    if served is None:
        return None
    listeners = (proxy.resources.get(ResourceType.LISTENER.type_url, {}) for proxy in served.proxies.values())
    return {
        "mesh": len({proxy.node.mesh for proxy in served.proxies.values()}),
        "proxy": len(served.proxies),
        "listener": sum(map(len, listeners)),
    }
