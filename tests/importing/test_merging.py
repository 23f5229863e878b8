"""What a repository has is never written over unasked, and no resource comes to stand in it twice."""

from pathlib import Path

from compiler.importing.imported import Imported, Wanted, import_stream
from compiler.importing.layout import Layout
from compiler.importing.merging import merge, overlay, write
from compiler.resources.schema import Schemas
from tests.importing.exports import MESH, RETRY, SECRETS, TIMEOUT, dataplane, stream

SCHEMAS = Schemas.load()
PLAIN = Wanted()
SLOW = "mesh/default/MeshTimeout/slow.yaml"


def imported(*documents: str, wanted: Wanted = PLAIN) -> Imported:
    done = import_stream("-", stream(*documents), wanted, SCHEMAS)
    assert done.value is not None
    return done.value


def test_a_second_import_of_the_same_stream_changes_nothing(tmp_path: Path) -> None:
    proxies = [dataplane(f"web-{number}", f"10.0.0.{number}") for number in range(3)]
    for number, wanted in enumerate((Wanted(), Wanted(Layout.TYPE), Wanted(sets=True))):
        directory = tmp_path / str(number)
        again = imported(MESH, TIMEOUT, RETRY, SECRETS, *proxies, wanted=wanted)
        write(directory, merge(again, directory, SCHEMAS).new)
        merged = merge(again, directory, SCHEMAS)
        assert (merged.new, merged.changed, merged.elsewhere) == ({}, {}, {})
        assert len(merged.same) == len(again.files)


def test_a_file_that_is_there_and_differs_is_told_apart_from_a_new_one(tmp_path: Path) -> None:
    write(tmp_path, merge(imported(MESH, TIMEOUT), tmp_path, SCHEMAS).new)
    merged = merge(imported(MESH, TIMEOUT.replace("5s", "6s"), RETRY), tmp_path, SCHEMAS)
    assert list(merged.changed) == [SLOW]
    assert list(merged.new) == ["mesh/default/MeshRetry/slow.demo.yaml"]
    assert "5s" in (tmp_path / SLOW).read_text()


def test_a_resource_that_somebody_moved_stays_where_it_is(tmp_path: Path) -> None:
    write(tmp_path, merge(imported(MESH, TIMEOUT), tmp_path, SCHEMAS).new)
    (tmp_path / "teams").mkdir()
    (tmp_path / SLOW).rename(tmp_path / "teams" / "shop.yaml")
    merged = merge(imported(MESH, TIMEOUT), tmp_path, SCHEMAS)
    assert (merged.new, merged.changed) == ({}, {})
    assert list(merged.elsewhere.values()) == ["teams/shop.yaml"]


def test_a_proxy_that_a_set_stands_for_is_there_already(tmp_path: Path) -> None:
    proxies = [dataplane(f"web-{number}", f"10.0.0.{number}") for number in range(2)]
    write(tmp_path, merge(imported(*proxies, wanted=Wanted(sets=True)), tmp_path, SCHEMAS).new)
    merged = merge(imported(*proxies), tmp_path, SCHEMAS)
    assert merged.new == {}
    assert set(merged.elsewhere.values()) == {"mesh/default/DataplaneSet/web.yaml"}


def test_files_that_the_settings_leave_out_are_told(tmp_path: Path) -> None:
    (tmp_path / "meshwright.yaml").write_text("schemaVersion: 1\npaths: [teams/]\n")
    assert merge(imported(TIMEOUT), tmp_path, SCHEMAS).unread == (SLOW,)


def test_something_that_is_no_file_is_not_taken_for_a_free_place(tmp_path: Path) -> None:
    (tmp_path / SLOW).mkdir(parents=True)
    assert list(merge(imported(TIMEOUT), tmp_path, SCHEMAS).changed) == [SLOW]


def test_the_repository_can_be_judged_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("type: Zone\nname: east\n")
    tree = overlay(tmp_path, {SLOW: "type: Mesh\n"})
    assert {file.path: tree.read(file) for file in tree.files} == {
        SLOW: b"type: Mesh\n",
        "own.yaml": b"type: Zone\nname: east\n",
    }
    assert not (tmp_path / "mesh").exists()
