"""Git out: every published generation is a commit of `DATA/snapshots.git`, wholly there or not there."""

import re
from pathlib import Path
from typing import Final

from compiler.forks import usable_cores
from compiler.snapshot.digest import Folder, GenerationTree, manifest_blob, write_digest
from compiler.snapshot.failures import NotTheWriter, StoreDamaged, StoreError, storing
from compiler.snapshot.lock import Lock
from compiler.snapshot.objects import commit_object, new_objects, write_pack
from compiler.snapshot.packing import Packing
from compiler.snapshot.publication import Published, SourceCommit, parse_commit, write_message
from compiler.snapshot.repository import BareRepository, is_object_id
from compiler.snapshot.restore import parse_snapshot
from compiler.snapshot.snapshot import Generation, Snapshot

__all__ = ["SnapshotStore"]

_AUTHOR: Final = "meshwright <meshwright@localhost>"
_PUBLISHED: Final = "heads/published"
_PREVIOUS: Final = "heads/previous"
_MANY_PACKS: Final = 50
"""Git's own `gc.autoPackLimit`."""
_REVISION: Final = re.compile(r"(?:sha1:)?([0-9a-f]{40})")
_REF: Final = re.compile(r"[A-Za-z0-9][\w-]*(?:/[A-Za-z0-9][\w.-]*)?")


class SnapshotStore:
    """Holds what is published. Without the lock of its data directory it reads only.

    The digest of a generation published again under another source commit gives a commit that records the source, with
    the same generation number and the same snapshots; under the same source commit it gives nothing new.
    """

    def __init__(self, repository: BareRepository, lock: Lock | None) -> None:
        self.repository = repository
        self.published: Published | None = None
        self.fallback: str | None = None
        """Why `published` is not what the ref names, where it is not."""
        self._lock = lock
        self._seen: str | None = None
        self._last_number = 0
        self._tree: GenerationTree | None = None
        self._held: Folder | None = None
        self._known: frozenset[bytes] = frozenset()
        self._uncertain = False
        self._packing: Packing | None = None

    @classmethod
    def open(cls, data: Path, lock: Lock | None = None) -> "SnapshotStore":
        """With the lock the repository is made when it is not there, and leftovers of a killed writer are removed."""
        repository = BareRepository(data / "snapshots.git")
        store = cls(repository, lock)
        if lock is not None and lock.held:
            if not repository.exists:
                repository.create()
            repository.remove_leftovers()
        store.reload()
        return store

    def reload(self) -> Published | None:
        """Reads anew what is published, verified; where it is damaged, `previous` stands in and `fallback` says so."""
        self._uncertain = False
        self._tree, self._held, self._known, self.fallback = None, None, frozenset(), None
        self._seen = self.repository.read_ref(_PUBLISHED)
        previous = self.repository.read_ref(_PREVIOUS)
        try:
            self.published = self._verify(self._seen) if self._seen is not None else None
        except (StoreDamaged, ValueError) as error:
            self._last_number = max(self._last_number, self._number_of(self._seen))
            self.fallback = f"the published generation cannot be used: {error}"
            self.published = self._stand_in(previous)
        self._last_number = max(self._last_number, self.published.number if self.published else 0)
        return self.published

    def publish(
        self, generation: Generation, *, source: SourceCommit, now: float, tree: GenerationTree | None = None
    ) -> Published:
        """Durable when it returns. `now` is seconds since the epoch; `tree` saves making it again.

        Raises `StoreFull`, `StoreReadOnly`, `StoreError` when the disk fails and `NotTheWriter` when this process lost
        the lock or another has published; what was published before then still is.
        """
        self._ensure_writer()
        self.end_pruning()
        if self._uncertain:
            self.repository.remove_leftovers()
            self.reload()
        tree = tree or (self._tree or GenerationTree()).holding(generation.snapshots)
        if tree.digest != generation.digest:
            raise ValueError(f"the generation says {generation.digest} of itself, its snapshots are {tree.digest}")
        if self.published is not None and self._is_published(self.published, tree.digest, source):
            self._tree, self._held = tree, Folder({"meshes": tree.meshes})
            return self.published
        try:
            with storing(f"publish {tree.digest}"):
                return self._write(tree, source, int(now))
        except StoreError:
            self._uncertain = True
            raise

    def history(self, limit: int = 100) -> tuple[Published, ...]:
        """The newest first, as far back as is kept."""
        if self.published is None:
            return ()
        ids = self.repository.git("rev-list", "--first-parent", f"--max-count={limit}", self.published.commit)
        commits = self.repository.read_objects(ids.decode().split())
        return tuple(parse_commit(commit.id, commit.content) for commit in commits)

    def read_files(self, revision: str, path: str) -> dict[str, bytes]:
        """The files of a proxy's folder (`NodeId.path`), by name; empty when that revision has no such proxy.

        `revision` is `published`, `previous`, `pins/<name>`, a commit, or a digest.
        """
        folder = self._find(revision, path)
        files = self.repository.list_files(folder) if folder else ()
        contents = {file.id: b"" for file in files}
        contents |= {found.id: found.content for found in self.repository.read_objects(contents)}
        return {"/".join(file.path): contents[file.id] for file in files}

    def read_snapshot(self, revision: str, path: str) -> Snapshot | None:
        """As `read_files`, parsed."""
        files = self.read_files(revision, path)
        return parse_snapshot(path, files) if files else None

    def pin(self, name: str, revision: str) -> None:
        """Keeps this commit and its snapshots whatever is pruned."""
        self._ensure_writer()
        self.end_pruning()
        commit = self._commit_of(revision)
        if commit is None or not _REF.fullmatch(f"pins/{name}"):
            raise ValueError(f"{revision!r} names no commit that could be pinned as {name!r}")
        with storing(f"pin {revision}"):
            self.repository.write_refs({f"pins/{name}": commit})

    @property
    def wants_pruning(self) -> bool:
        """Every generation is a pack, and Git grows slow over many."""
        return self.repository.packs > _MANY_PACKS

    def prune(self, keep: int) -> None:
        """Cuts off all but the newest `keep` generations (at least two); published, previous and pinned ones stay."""
        self.begin_pruning(keep)
        if self._packing is not None:
            self._packing.wait()
        self._packing = None

    def begin_pruning(self, keep: int) -> None:
        """As `prune`, but Git packs what is left on its own; if we die, it holds our lock until it is done."""
        lock = self._ensure_writer()
        self.end_pruning()
        boundary = "".join(f"{commit}\n" for commit in sorted(self._oldest_kept(max(keep, 2))))
        with storing("prune old generations"):
            self.repository.replace_files({self.repository.path / "shallow": boundary.encode()})
        self._packing = self.repository.begin_packing(lock.descriptor)

    def is_pruning(self) -> bool:
        """Raises `StoreDamaged`, once, where Git has failed."""
        if self._packing is None or self._packing.is_running:
            return self._packing is not None
        packing, self._packing = self._packing, None
        packing.wait()
        self.repository.remove_half_packs()
        return False

    def end_pruning(self) -> bool:
        """Whether it had to be broken off: nobody who publishes or pins waits for Git, or works beside it.

        What is published stays whole at whatever point Git ends: it removes a pack only when another has its objects.
        """
        packing, self._packing = self._packing, None
        if packing is None or not packing.is_running:
            return False
        packing.end()
        self.repository.remove_leftovers()
        self.repository.remove_half_packs()
        return True

    def _ensure_writer(self) -> Lock:
        if self._lock is None or not self._lock.held:
            raise NotTheWriter("another process writes to this data directory; this one may only read")
        return self._lock

    def _is_published(self, published: Published, digest: str, source: SourceCommit) -> bool:
        held = published.source
        return not self.fallback and (published.digest, held.commit, held.tree) == (digest, source.commit, source.tree)

    def _write(self, tree: GenerationTree, source: SourceCommit, seconds: int) -> Published:
        before = self.published
        same = before is not None and before.digest == tree.digest and not self.fallback
        number = self._last_number + (not same)
        root = Folder({"manifest.json": manifest_blob(source.tree), "meshes": tree.meshes})
        message = write_message(number, tree.digest, source)
        parents = [bytes.fromhex(before.commit)] if before else []
        commit = commit_object(root.id, parents, author=_AUTHOR, seconds=seconds, message=message)
        objects = [*new_objects(self._held, root, self._known), commit]
        write_pack(self.repository.objects / "pack", objects, usable_cores())
        self._move_refs(commit.id.hex(), before, same=same)
        published = parse_commit(commit.id.hex(), b"".join(commit.source.pieces))
        self.published, self._tree, self._held, self.fallback = published, tree, root, None
        self._seen, self._last_number, self._known = published.commit, number, frozenset()
        return published

    def _move_refs(self, commit: str, before: Published | None, *, same: bool) -> None:
        """The last step, and the only one that anybody sees; `previous` always names another generation."""
        self._ensure_writer()
        found = self.repository.read_ref(_PUBLISHED)
        if found != self._seen:
            raise NotTheWriter(f"published moved from {self._seen} to {found} while generation was written")
        previous = {_PREVIOUS: before.commit} if before is not None and not same else {}
        self.repository.write_refs({_PUBLISHED: commit} | previous)

    def _verify(self, commit: str) -> Published:
        """All of it is there, with the bytes that it was stored with: told by the packs, of the rest one by one."""
        published = self._read_commit(commit)
        meshes = self.repository.resolve(f"{commit}:meshes")
        if meshes is None or write_digest(bytes.fromhex(meshes)) != published.digest:
            raise StoreDamaged(f"commit {commit} promises {published.digest}, its tree is {meshes}")
        ids = self.repository.list_objects(f"{commit}^{{tree}}")
        for _ in self.repository.read_objects(self.repository.list_doubtful(ids)):
            pass
        self._known = frozenset(bytes.fromhex(one) for one in ids)
        return published

    def _read_commit(self, commit: str) -> Published:
        if not is_object_id(commit):
            raise StoreDamaged("the ref names no commit")
        return parse_commit(commit, self.repository.read_object(commit).content)

    def _stand_in(self, previous: str | None) -> Published | None:
        try:
            return self._verify(previous) if previous is not None else None
        except (StoreDamaged, ValueError) as error:
            self.fallback = f"{self.fallback}; nor can the previous one: {error}"
            return None

    def _number_of(self, commit: str | None) -> int:
        try:
            return self._read_commit(commit).number if commit else 0
        except (StoreDamaged, ValueError):
            return 0

    def _commit_of(self, revision: str) -> str | None:
        if found := _REVISION.fullmatch(revision):
            return next((one.commit for one in self._kept() if found[1] in (one.commit, one.digest[5:])), None)
        if not _REF.fullmatch(revision):
            return None
        named = self.repository.read_ref(revision if "/" in revision else f"heads/{revision}")
        return named if named and is_object_id(named) else None

    def _find(self, revision: str, path: str) -> str | None:
        """A digest is the tree of `meshes/` itself; a commit or a ref has it below."""
        if any(ord(letter) < ord(" ") for letter in path):
            return None
        if not (found := _REVISION.fullmatch(revision)):
            commit = self._commit_of(revision)
            return commit and self.repository.resolve(f"{commit}:{path}")
        below = path.removeprefix("meshes/")
        return self.repository.resolve(f"{found[1]}:{path}") or self.repository.resolve(f"{found[1]}:{below}")

    def _kept(self) -> tuple[Published, ...]:
        return self.history(limit=1_000_000)

    def _oldest_kept(self, keep: int) -> set[str]:
        """Where history is cut: below the oldest kept generation, and below every ref that is older."""
        history = self._kept()
        numbers = sorted({one.number for one in history})[-keep:]
        kept = [one.commit for one in history if one.number in numbers]
        refs = self.repository.git("for-each-ref", "--format=%(objectname)").decode().split()
        return {*kept[-1:], *(set(refs) - set(kept))}
