"""Trees parsed through the cache, and where each value stands."""

import itertools
import time

import pytest

from compiler.source.build import Limits
from compiler.source.document import Passage
from compiler.source.parse import parse, parse_file
from compiler.source.places import Places
from compiler.source.tree import SourceFile, SourceTree, blob_id
from tests.source.test_parse import DOCUMENT, read

# --- trees


def tree_of(files: dict[str, bytes]) -> tuple[SourceTree, list[str]]:
    reads: list[str] = []

    def fetch(file: SourceFile) -> bytes:
        reads.append(file.path)
        return files[file.path]

    listed = tuple(SourceFile(path, blob_id(content), len(content)) for path, content in sorted(files.items()))
    return SourceTree(listed, "0" * 40, None, fetch), reads


def test_no_blob_is_read_or_parsed_twice() -> None:
    tree, reads = tree_of({"a.yaml": b"x: 1\nx: 2", "b/a.yaml": b"x: 1\nx: 2", "c.yaml": b"y: 1"})
    checked = parse(tree)
    assert reads == ["a.yaml", "c.yaml"]
    assert [document.file for document in checked.value] == ["a.yaml", "b/a.yaml", "c.yaml"]
    assert [str(found.position) for found in checked.diagnostics] == ["a.yaml:2:1", "b/a.yaml:2:1"]
    assert checked.value[1].position("/x").file == "b/a.yaml"


def test_the_limits_hold_for_each_file_of_a_tree() -> None:
    tree, _ = tree_of({"a.yaml": b"a: [[1]]"})
    assert not parse(tree).failed
    assert parse(tree, Limits(max_depth=2)).failed
    assert parse(tree, Limits(max_bytes=4)).failed


def test_equality_of_documents_is_by_file_blob_and_index() -> None:
    one, other = read(DOCUMENT).value[0], read(DOCUMENT).value[0]
    assert one == other
    assert hash(one) == hash(other)
    assert one != parse_file("b.yaml", one.blob, DOCUMENT).value[0]


# --- positions


@pytest.mark.parametrize(
    ("pointer", "key", "place"),
    [
        ("", False, "1:1"),
        ("/name", False, "2:7"),
        ("/name", True, "2:1"),
        ("/labels/kuma.io~1origin", False, "5:19"),
        ("/labels/kuma.io~1origin", True, "5:3"),
        ("/spec/targetRef/labels/app", False, "9:19"),
        ("/spec/to/0", False, "11:5"),
        ("/spec/to/0", True, "11:5"),
        ("/spec/to/0/default/http/requestTimeout", False, "17:25"),
        ("/spec/to/0/default/http/request_timeout", True, "17:9"),
        ("/spec/to/0/default/http/absent/deeper", False, "17:9"),
        ("/spec/to/0/default/http/absent", True, "16:7"),
        ("/spec/to/7", False, "11:3"),
        ("/name/deeper", False, "2:7"),
    ],
)
def test_a_pointer_leads_to_line_and_column(pointer: str, key: bool, place: str) -> None:
    position = read(DOCUMENT).value[0].position(pointer, key=key)
    assert f"{position.line}:{position.column}" == place


def test_a_camel_case_segment_finds_the_snake_case_key() -> None:
    document = read("a: {foo_bar: 1, http2ProtocolOptions: 2}").value[0]
    assert document.position("/a/fooBar").column == 14
    assert document.position("/a/http2_protocol_options").column == 39


def test_a_pointer_is_spelled_as_the_document_is() -> None:
    document = read("a: {foo_bar: [{b/c: 1, snake_case: 2}]}").value[0]
    assert document.spell("/a/fooBar/0/b~1c") == "/a/foo_bar/0/b~1c"
    assert document.spell("/a/fooBar/0/snakeCase/notWritten/0") == "/a/foo_bar/0/snake_case/notWritten/0"
    assert document.spell("") == ""
    assert Passage("x.yaml", "0" * 40, 7, Places(b"a_b: 1")).spell("/aB") == "/aB"


def test_columns_count_characters() -> None:
    document = read("{é日: x, b: 1}").value[0]
    assert document.position("/b").column == 12


def test_positions_are_found_without_the_parser_too() -> None:
    passage = Passage("x.yaml", "0" * 40, 1, Places(b"a: 1\n---\nb: 1"))
    assert str(passage.position("/b", key=True)) == "x.yaml:3:1"


def test_all_positions_of_a_file_cost_one_walk() -> None:
    content = b"".join(b"---\na: %d\n" % number for number in range(5000))
    started = time.process_time()
    lines = [document.position("/a").line for document in read(content).value]
    assert time.process_time() - started < 3
    assert lines == list(itertools.islice(itertools.count(2, 2), 5000))
