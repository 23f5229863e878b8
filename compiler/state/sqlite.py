"""Live state in `DATA/state.db`; where the file fails, the memory goes on and `trouble` says so."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS unrepaired_nack (node TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acked_digest (node TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSION: Final = 1
_BUSY_SECONDS: Final = 1.0


class SqliteState:
    """Everything is also held in memory: reading never touches the disk after the start."""

    def __init__(self, path: Path) -> None:
        self.trouble: str | None = None
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._nacks: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._owed = False
        self._read_once = False
        self._open()

    def unrepaired_nack(self, node: str) -> bytes | None:
        return self._nacks.get(node)

    def keep_unrepaired_nack(self, node: str, record: bytes | None) -> None:
        if record is None:
            self._nacks.pop(node, None)
            self._write([("DELETE FROM unrepaired_nack WHERE node = ?", [(node,)])])
        else:
            self._nacks[node] = record
            self._write([("INSERT OR REPLACE INTO unrepaired_nack VALUES (?, ?)", [(node, record)])])

    def acked_digests(self) -> Mapping[str, str]:
        return dict(self._digests)

    def note_acked_digests(self, digests: Mapping[str, str]) -> None:
        changed = {node: digest for node, digest in digests.items() if self._digests.get(node) != digest}
        if changed or self._owed:
            self._digests |= changed
            self._write([("INSERT OR REPLACE INTO acked_digest VALUES (?, ?)", list(changed.items()))])

    def keep_only(self, nodes: frozenset[str]) -> None:
        gone = sorted((self._nacks.keys() | self._digests.keys()) - nodes)
        for node in gone:
            self._nacks.pop(node, None)
            self._digests.pop(node, None)
        rows = [(node,) for node in gone]
        if rows:
            self._write(
                [
                    ("DELETE FROM unrepaired_nack WHERE node = ?", rows),
                    ("DELETE FROM acked_digest WHERE node = ?", rows),
                ]
            )

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> None:
        try:
            self._read(self._connect())
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                self._fail(error)
            else:
                self._start_anew()

    def _start_anew(self) -> None:
        """A file that is no database is put aside: it may be looked at, and nothing in it can be trusted."""
        try:
            self.close()
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._path.replace(self._path.with_name(self._path.name + ".damaged"))
            self._read(self._connect())
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._database = database
        self._path.chmod(0o600)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA user_version = {_VERSION}")
        return database

    def _read(self, database: sqlite3.Connection) -> None:
        """What was noted before the file could be read is newer than what stands in it."""
        self._nacks = dict(database.execute("SELECT node, record FROM unrepaired_nack")) | self._nacks
        self._digests = dict(database.execute("SELECT node, digest FROM acked_digest")) | self._digests
        self._read_once = True

    def _write(self, statements: Iterable[tuple[str, Iterable[tuple[object, ...]]]]) -> None:
        """After a failure everything is written once more, from memory, as soon as the disk lets us."""
        try:
            if self._owed or self._database is None:
                self._write_all()
                return
            self._commit(self._database, statements)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _write_all(self) -> None:
        database = self._database or self._connect()
        if not self._read_once:
            self._read(database)
        self._commit(
            database,
            [
                ("DELETE FROM unrepaired_nack", [()]),
                ("DELETE FROM acked_digest", [()]),
                ("INSERT OR REPLACE INTO unrepaired_nack VALUES (?, ?)", list(self._nacks.items())),
                ("INSERT OR REPLACE INTO acked_digest VALUES (?, ?)", list(self._digests.items())),
            ],
        )
        self.trouble, self._owed = None, False

    def _commit(
        self, database: sqlite3.Connection, statements: Iterable[tuple[str, Iterable[tuple[object, ...]]]]
    ) -> None:
        database.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in statements:
                database.executemany(statement, rows)
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _fail(self, error: Exception) -> None:
        self._owed = True
        self.trouble = (
            f"{self._path} cannot be written ({error}); refusals of proxies are remembered until a restart only"
        )
