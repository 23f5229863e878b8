"""What a file's bytes mean, and that no bytes at all can hurt."""

import json
import random
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.source.build import Limits
from compiler.source.document import Document
from compiler.source.parse import parse_file
from compiler.source.tree import blob_id

DOCUMENT = b"""type: MeshTimeout
name: timeouts
mesh: default
labels:
  kuma.io/origin: zone
spec:
  targetRef:
    kind: Dataplane
    labels: {app: frontend}
  to:
  - targetRef:
      kind: MeshService
      name: backend
    default:
      connectionTimeout: 5s
      http:
        requestTimeout: 15s
"""
MIB = 1024 * 1024


def read(text: bytes | str, limits: Limits = Limits()) -> Checked[tuple[Document, ...]]:
    content = text.encode() if isinstance(text, str) else text
    return parse_file("a.yaml", blob_id(content), content, limits)


def value_of(text: bytes | str) -> dict[str, object]:
    checked = read(text)
    assert not checked.diagnostics
    (document,) = checked.value
    return document.value


def findings(text: bytes | str, limits: Limits = Limits()) -> list[str]:
    return [f"{found.position.line}:{found.position.column} {found.code}" for found in read(text, limits).diagnostics]


def test_a_document_is_what_it_says() -> None:
    value = value_of(DOCUMENT)
    assert value["type"] == "MeshTimeout"
    assert value["labels"] == {"kuma.io/origin": "zone"}
    assert value["spec"]["to"][0]["default"] == {"connectionTimeout": "5s", "http": {"requestTimeout": "15s"}}  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2024-13-45", "2024-13-45"),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("-7", -7),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("'1'", "1"),
        ('"true"', "true"),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1.0),
        ("!!int '7'", 7),
        ("!!bool 'true'", True),
        ("<<", "<<"),
        ("٣", "٣"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = value_of(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ["3:1 duplicate-key"]),
        ("a: {b: 1, b: 2}\nc: {d: 1, d: 2}", ["1:11 duplicate-key", "2:11 duplicate-key"]),
        ("a: !!int ''", ["1:4 bad-scalar"]),
        ("a: !!bool maybe", ["1:4 bad-scalar"]),
        ("a: !!null x", ["1:4 bad-scalar"]),
        ("a: !!timestamp 2024-01-01", ["1:4 custom-tag"]),
        ("a: !!python/object:os.system x", ["1:4 custom-tag"]),
        ("a: !!set {x, y}", ["1:4 custom-tag"]),
        ("a: !Ref [x]", ["1:4 custom-tag"]),
        ("%TAG ! tag:x,2002:\n---\na: 1", ["1:1 custom-tag"]),
        ("a: .nan\nb: -.inf\nc: 1e999", ["1:4 not-finite", "2:4 not-finite", "3:4 not-finite"]),
        ("a: 18446744073709551616", ["1:4 number-out-of-range"]),
        ("a: " + "9" * 5000, ["1:4 number-out-of-range"]),
        ("a: 0x" + "f" * 17, ["1:4 number-out-of-range"]),
        ("1: x", ["1:1 non-string-key"]),
        ("true: x", ["1:1 non-string-key"]),
        ("? [a, b]\n: x", ["1:3 non-string-key"]),
        ("a: {? {b: c} : d}", ["1:7 non-string-key"]),
        ("a: &x {b: 1}\nc:\n  <<: *x", ["3:3 merge-key"]),
        ("a: *x", ["1:4 unknown-alias"]),
        ("a: &x [*x]", ["1:8 unknown-alias"]),
        ("a: &x 1\n---\na: *x", ["3:4 unknown-alias"]),
        ("- a\n- b", ["1:1 not-a-mapping"]),
        ("text", ["1:1 not-a-mapping"]),
        ("a: 1\n---\n[1]\n---\n7\n", ["3:1 not-a-mapping", "5:1 not-a-mapping"]),
        ("a: [", ["2:1 yaml-syntax"]),
        ("a: b: c", ["1:5 yaml-syntax"]),
        ("a:\n\t b: 1", ["2:1 yaml-syntax"]),
        ("a: {{ .Values.x }}", ["1:5 non-string-key"]),
        (b"a: \xff", ["1:4 not-utf8"]),
        (b"a: 1\nb: \xc3\xa9\xe2\x28", ["2:5 not-utf8"]),
        ("a: 1".encode("utf-16"), ["1:1 not-utf8"]),
        (b"a: \x00", ["1:4 control-character"]),
        (b"a: \x1b[31m", ["1:4 control-character"]),
        (b"a: 1\rb: 2", ["1:5 control-character"]),
        ('a: "\\0"', ["1:4 control-character"]),
        ('a: "\\x1b[31m"', ["1:4 control-character"]),
        ("a: x\u202ey", ["1:5 hidden-character"]),
        ("a: 1 # \u2066 evil", ["1:8 hidden-character"]),
        ("# ordinary\u2028---", ["1:11 hidden-character"]),
        ("# ordinary\u0085b: 1", ["1:11 hidden-character"]),
        ("ad\u200bmin: 1", ["1:3 hidden-character"]),
        ("ad\u200dmin: 1", ["1:3 hidden-character"]),
        ("a: 1\ufeff", ["1:5 hidden-character"]),
        ('a: "\\u202e"', ["1:4 hidden-character"]),
        ('a: "ad\\u200dmin" # क्\u200dष', ["1:4 hidden-character"]),
        ("a: e" + "\u0316" * 31, ["1:4 not-nfc"]),
        ('a: "\\L"', ["1:4 hidden-character"]),
        ("a: cafe\u0301", ["1:4 not-nfc"]),
        ("cafe\u0301: 1", ["1:1 not-nfc"]),
        ("name: b\u0430ckend", ["1:7 mixed-script"]),
        ("n\u0430me: backend", ["1:1 mixed-script"]),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ["1:1 git-lfs-pointer"]),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str | bytes, expected: list[str]) -> None:
    assert findings(text) == expected


def test_every_finding_says_what_to_do() -> None:
    for text in ("a: b: c", "a: 1\na: 2", "1: x", b"\xff", "a: *x", "a: .nan", "a: \u202e", "[", "a: !x y"):
        for found in read(text).diagnostics:
            assert found.position.file == "a.yaml"
            assert found.message
            assert found.hint


@pytest.mark.parametrize(
    "text",
    [
        "description: Grüße, ça va? 日本語 한국어 हिन्दी Привет мир",
        "description: می\u200cخواهم",
        "description: क्\u200dष",
        "description: family 👨\u200d👩\u200d👧",
        "description: ❤\ufe0f",
        "имя: сервис",
        "name: bücher-dienst",
        "delay: 10 µs",
        "sum: Δ t",
    ],
)
def test_ordinary_international_text_passes(text: str) -> None:
    assert unicodedata.is_normalized("NFC", text)
    assert value_of(text)


def test_the_message_of_a_hidden_character_names_its_code_point() -> None:
    (found,) = read("a: 1\n# \u202e").diagnostics
    assert found.message == "U+202E RIGHT-TO-LEFT OVERRIDE in the file"
    assert found.position.line == 2


def test_a_duplicate_key_names_both_places() -> None:
    (found,) = read("spec:\n  x: {a: 1}\n  y: 2\n  x: 3").diagnostics
    assert "line 2, column 3" in found.message
    assert (found.position.line, found.position.column, found.path) == (4, 3, "/spec")
    assert read("spec:\n  x: 1\n  x: 3").value[0].value == {"spec": {"x": 1}}


def test_documents_are_numbered_with_the_empty_ones() -> None:
    checked = read("---\na: 1\n---\n# nothing\n---\n\n---\nb: 2\n...\n---\nc: 3\n")
    numbered = [(document.index, document.value) for document in checked.value]
    assert numbered == [(0, {"a": 1}), (3, {"b": 2}), (4, {"c": 3})]
    assert checked.value[1].position("/b").line == 8


def test_an_empty_file_has_no_documents() -> None:
    assert read("") == read("# only this\n") == Checked(())


@pytest.mark.parametrize(
    "text", ["a:\n\tb: 1\n", "a:\n  b: 1\n\tc: 2\n", "- a\n\t- b\n", "a: |\n\tb\n", "a:\n  b:\n  \tc: 1\n"]
)
def test_a_tab_for_an_indent_is_named(text: str) -> None:
    (found,) = parse_file("a.yaml", "", text.encode()).diagnostics
    assert (found.code.word, found.hint) == ("yaml-syntax", "indent with spaces, not tabs")


@pytest.mark.parametrize(
    ("text", "place"),
    [('a: "b\nc: d\ne: f\n', (1, 4)), ("é: 1\na:\n- 'b\n---\nc: d\n", (3, 3)), ("\ufeffa: {b: 'c}\n", (1, 8))],
)
def test_a_quote_that_is_never_closed_is_found_where_it_opens(text: str, place: tuple[int, int]) -> None:
    (found,) = parse_file("a.yaml", "", text.encode()).diagnostics
    assert (found.position.line, found.position.column) == place
    assert found.hint == "close the quote that opens here"


def test_documents_before_a_syntax_error_stay() -> None:
    checked = read("a: 1\n---\nb: [")
    assert [document.value for document in checked.value] == [{"a": 1}]
    assert checked.failed


def test_a_byte_order_mark_does_not_move_columns() -> None:
    document = read(b"\xef\xbb\xbfa: 1").value[0]
    assert document.value == {"a": 1}
    assert str(document.position("/a")) == "a.yaml:1:4"


def test_windows_line_ends_pass() -> None:
    assert value_of(b"a: 1\r\nb: |\r\n  x\r\n  y\r\n") == {"a": 1, "b": "x\ny\n"}


@given(
    st.dictionaries(
        st.text("abcXYZ_./-é日", min_size=1),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text("abc :#'\"\\\n{}[]&*!|>%@`,?-é日 0"),
            lambda inner: st.lists(inner) | st.dictionaries(st.text("abcé", min_size=1), inner),
            max_leaves=8,
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None, max_examples=100)
def test_json_means_the_same_as_yaml(value: dict[str, object]) -> None:
    for text in (json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2, ensure_ascii=False)):
        assert value_of(text) == value


def test_json_may_be_indented_with_tabs_and_written_tightly() -> None:
    assert value_of('{\n\t"a": [\n\t\t1,\n\t\t{"b":null}\n\t]\n}\n') == {"a": [1, {"b": None}]}
    assert value_of('{"a":"x\\/y\\u00e9","b":[],"c":{}}') == {"a": "x/yé", "b": [], "c": {}}


# --- aliases


def test_a_small_alias_stands_for_its_value() -> None:
    document = read("a: &t {x: 1, l: [2]}\nb: *t\nc: [*t]\n&k key: 1\nd: {*k : 2}").value[0]
    assert document.value["b"] == {"x": 1, "l": [2]}
    assert document.value["c"] == [{"x": 1, "l": [2]}]
    assert document.value["d"] == {"key": 2}


def test_an_alias_has_its_own_place_and_its_content_that_of_the_anchor() -> None:
    document = read("a: &t\n  x: 1\nb: *t\n").value[0]
    assert (document.position("/b").line, document.position("/b").column) == (3, 4)
    assert document.position("/b/x").line == 2


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def test_an_alias_bomb_is_refused_where_it_goes_off() -> None:
    (found,) = findings(bomb(9, 9))
    assert found == "6:20 aliases-too-large"


def test_a_bomb_of_few_but_long_texts_is_refused_too() -> None:
    text = "a: &a " + "x" * 400_000 + "\nb: [*a, *a]"
    assert findings(text) == ["2:9 aliases-too-large"]


def test_aliases_cannot_nest_deeper_than_text() -> None:
    text = "a0: &a0 []\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))
    (found,) = findings(text)
    assert found == "64:12 too-deep"


# --- limits


def test_depth_is_allowed_to_the_limit_and_not_beyond() -> None:
    assert not findings("a: " + "[" * 63 + "]" * 63)
    assert findings("a: " + "[" * 64 + "]" * 64) == ["1:67 too-deep"]


def test_nodes_are_counted_over_all_documents_of_a_file() -> None:
    limits = Limits(max_nodes=9)
    assert not findings("a: [1, 2]\n---\nb: [1]", limits)
    assert findings("a: [1, 2]\n---\nb: [1, 2]", limits) == ["3:8 too-many-nodes"]


def test_a_file_is_refused_by_its_size_before_it_is_looked_at() -> None:
    content = b"[" * 200 * MIB
    started = time.process_time()
    (found,) = parse_file("a.yaml", "0" * 40, content).diagnostics
    assert time.process_time() - started < 0.1
    assert str(found.code) == "file-too-large"
    assert "209,715,200" in found.message


def test_reading_stops_after_many_findings() -> None:
    found = findings("\n".join(["a: 1"] * 1000))
    assert len(found) == 101
    assert found[-1] == "101:1 too-many-findings"


POISONS = {
    "flow lists": b"[" * MIB,
    "flow mappings": b"{" * MIB,
    "flow pairs": b"{a: " * (MIB // 4),
    "block lists": b"- " * (MIB // 2),
    "block keys": b"? " * (MIB // 2),
    "block mappings": b"".join(b" " * depth + b"a:\n" for depth in range(1400)),
    "lists by line": b"".join(b" " * depth + b"-\n" for depth in range(1400)),
    "empty documents": b"---\n" * (MIB // 4),
    "flat": b"a: [" + b"1," * (MIB // 2 - 4) + b"]",
    "keys": b"".join(b"%d: a\n" % number for number in range(100_000)),
    "long": b"a: " + b"x" * (MIB - 3),
    "digits": b"a: " + b"1" * (MIB - 3),
    "float digits": b"a: 1." + b"1" * (MIB - 5),
    "quoted lines": b'a: "' + b"x\n " * (MIB // 3 - 4) + b'"',
    "escapes": b'a: "' + b"\\u202e" * (MIB // 6 - 4) + b'"',
    "literal": b"a: |\n" + b"  x\n" * (MIB // 4 - 4),
    "comments": b"#\n" * (MIB // 2),
    "colons": b"a" + b":" * (MIB - 1),
    "anchors": b"".join(b"- &a%d x\n" % number for number in range(70_000)),
    "long anchor": b"a: &" + b"b" * (MIB - 10) + b" x",
    "long tag": b"a: !" + b"b" * (MIB - 10) + b" x",
    "tag directives": b"".join(b"%%TAG !a%d! b\n" % number for number in range(50_000)) + b"---\na: 1",
    "controls": b"\x01" * MIB,
    "bidi": "\u202e".encode() * (MIB // 3),
    "bidi comments": "#\u202e\n".encode() * (MIB // 5),
    "bidi values": "- \u202e\n".encode() * (MIB // 6),
    "joiners": "\u200d".encode() * (MIB // 3),
    "combining": b"a: e" + "\u0301\u0316".encode() * (MIB // 4 - 4),
    "mixed": b"a: " + "aа".encode() * (MIB // 3 - 4),
    "duplicates in a long mapping": b"".join(b"k%d: 1\n" % number for number in range(20_000)) + b"k0: 1\n" * 5000,
    "alias bomb": bomb(9, 9).encode(),
    "aliases": b"a: &a x\nb: [" + b"*a," * (MIB // 3 - 10) + b"]",
    "merge bomb": b"a: &a {b: 1}\nc: {" + b"<<: *a, " * 1000 + b"}",
    "date": b"a: 2024-13-45",
    "empty int": b"a: !!int ''",
    "bad bool": b"a: !!bool maybe",
    "surrogates": b'a: "\\ud800"',
    "byte order mark only": b"\xef\xbb\xbf",
    "utf-16": "a: 1".encode("utf-16-be"),
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbfa: 1",
    "directive": b"%YAML 9.9\n---\na: 1",
    "unknown directive": b"%FOO\n---\na: 1",
    "noncharacter": "a: \ufffe".encode(),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_poisonous_file_is_answered_within_a_second_or_two_a_megabyte(poison: bytes) -> None:
    started = time.process_time()
    checked = read(poison)
    for document in checked.value:
        document.position("/a/0/0")
    assert time.process_time() - started < 2
    assert all(found.position.line or found.code.word == "file-too-large" for found in checked.diagnostics)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@example(b"a: &b\n  *b: c")
@settings(deadline=None, max_examples=500)
def test_no_bytes_make_an_exception(content: bytes) -> None:
    for document in read(content).value:
        document.position("/a")


@given(st.text("ab:-[]{}&*!?|>'\"#%,.0 \n\t<~\\", max_size=60))
@settings(deadline=None, max_examples=1500)
def test_no_yaml_like_text_makes_an_exception_and_findings_lie_inside(text: str) -> None:
    checked = read(text)
    lines = text.split("\n")
    for found in checked.diagnostics:
        assert 1 <= found.position.line <= len(lines) + 1
        assert found.position.column >= 1
    for document in checked.value:
        for key in document.value:
            place = document.position("/" + key.replace("~", "~0").replace("/", "~1"), key=True)
            assert 1 <= place.line <= len(lines)


def test_a_damaged_document_is_a_finding_or_a_document() -> None:
    chance = random.Random(7)
    for _ in range(1500):
        content = bytearray(DOCUMENT)
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        checked = read(bytes(content))
        assert checked.value or checked.diagnostics
