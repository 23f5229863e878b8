"""Live state survives a restart, and a disk that fails costs only that."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.state.sqlite import SqliteState

NODES = st.sampled_from(["default.web-1", "default.web-2", "other.é"])
STEPS = st.lists(
    st.tuples(st.just("nack"), NODES, st.none() | st.binary(max_size=20))
    | st.tuples(st.just("acked"), NODES, st.text(max_size=10))
    | st.tuples(st.just("gone"), NODES, st.none()),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_what_was_noted_is_what_a_restart_finds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, object]]
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.db"
    state = SqliteState(path)
    nacks: dict[str, object] = {}
    digests: dict[str, object] = {}
    for step, node, value in steps:
        if step == "nack":
            state.keep_unrepaired_nack(node, value)  # type: ignore[arg-type]
            nacks[node] = value
        elif step == "acked":
            state.note_acked_digests({node: value})  # type: ignore[dict-item]
            digests[node] = value
        else:
            state.keep_only(frozenset((nacks.keys() | digests.keys()) - {node}))
            nacks.pop(node, None)
            digests.pop(node, None)
    state.close()
    again = SqliteState(path)
    assert {node: again.unrepaired_nack(node) for node in nacks} == nacks
    assert again.acked_digests() == digests
    assert again.trouble is None
    again.close()


def test_a_nack_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    program = (
        "import os, pathlib; from compiler.state.sqlite import SqliteState; "
        f"SqliteState(pathlib.Path({str(tmp_path / 'state.db')!r})).keep_unrepaired_nack('default.a', b'owed'); "
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert SqliteState(tmp_path / "state.db").unrepaired_nack("default.a") == b"owed"


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all" * 100)
    state = SqliteState(tmp_path / "state.db")
    state.keep_unrepaired_nack("default.a", b"owed")
    assert state.trouble is None
    assert (tmp_path / "state.db.damaged").exists()
    assert SqliteState(tmp_path / "state.db").unrepaired_nack("default.a") == b"owed"


def test_a_folder_that_is_not_there_costs_only_the_memory_and_is_written_once_it_is(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "later" / "state.db")
    state.keep_unrepaired_nack("default.a", b"one")
    assert state.trouble is not None
    assert state.unrepaired_nack("default.a") == b"one"
    (tmp_path / "later").mkdir()
    state.keep_unrepaired_nack("default.b", b"two")
    assert state.trouble is None
    again = SqliteState(tmp_path / "later" / "state.db")
    assert (again.unrepaired_nack("default.a"), again.unrepaired_nack("default.b")) == (b"one", b"two")


def test_a_writer_that_holds_the_file_too_long_is_trouble_that_passes(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    state.keep_unrepaired_nack("default.a", b"one")
    assert state.trouble is not None
    assert "locked" in state.trouble
    other.execute("ROLLBACK")
    state.note_acked_digests({})
    assert state.trouble is None
    assert SqliteState(tmp_path / "state.db").unrepaired_nack("default.a") == b"one"


def test_what_stands_in_a_file_that_could_not_be_opened_at_first_is_not_lost(tmp_path: Path) -> None:
    before = SqliteState(tmp_path / "state.db")
    before.keep_unrepaired_nack("default.a", b"from before")
    before.close()
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    state = SqliteState(tmp_path / "state.db")
    assert state.trouble is not None
    other.execute("ROLLBACK")
    state.keep_unrepaired_nack("default.b", b"new")
    assert state.trouble is None
    again = SqliteState(tmp_path / "state.db")
    assert (again.unrepaired_nack("default.a"), again.unrepaired_nack("default.b")) == (b"from before", b"new")


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    SqliteState(tmp_path / "state.db")
    assert (tmp_path / "state.db").stat().st_mode & 0o077 == 0
