"""What stands under tests/ of a mesh repository: read from anywhere, and every mistake has its place."""

import json
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Checked
from compiler.review.promises.route_tests import Expected, RouteTest, Sent, Share, read_route_tests
from compiler.source.git import read_commit
from compiler.source.tree import read_directory
from tests.trees import SCHEMAS, tree_of

TEST = """
tests:
- name: it goes there
  from: frontend
  request: {to: backend}
  expect: {status: 200}
"""


def read(text: str, path: str = "tests/routes.yaml", **more: str) -> Checked[tuple[RouteTest, ...]]:
    return read_route_tests(tree_of({path: text, **more}), SCHEMAS)


def found(text: str) -> list[tuple[str, int, str]]:
    return [(one.code.word, one.position.line, one.path) for one in read(text).diagnostics]


def test_what_is_not_said_has_a_default() -> None:
    test = read(TEST).value[0]
    assert (test.name, test.caller, test.sent) == ("it goes there", "frontend", Sent("backend"))
    assert test.expected == Expected(status=200)
    assert (test.answer_status, test.answer_headers) == (200, ())


def test_everything_that_can_be_said_is_read() -> None:
    test = read("""
tests:
- name: all of it
  from: shop/frontend
  request: {to: backend, port: http, method: POST, path: "/a?b=1", host: shop.example, headers: {x-beta: "1"}}
  answer: {status: 404, headers: {x-internal: "yes"}}
  expect:
    denied: false
    path: /b
    host: other
    requestHeaders: {x-a: b}
    withoutRequestHeaders: [x-c]
    responseHeaders: {x-d: e}
    withoutResponseHeaders: [x-internal]
    location: http://x/
    timeout: 1m30s
    retries: 2
    identity: spiffe://shop/frontend
    split: [{service: backend, tags: {version: v1}, weight: 9}, {status: 500, weight: 1}]
""").value[0]
    assert test.sent == Sent("backend", "http", "POST", "/a?b=1", "shop.example", (("x-beta", "1"),))
    assert (test.answer_status, test.answer_headers) == (404, (("x-internal", "yes"),))
    assert test.expected == Expected(
        denied=False,
        path="/b",
        host="other",
        request_headers=(("x-a", "b"),),
        without_request_headers=("x-c",),
        response_headers=(("x-d", "e"),),
        without_response_headers=("x-internal",),
        location="http://x/",
        timeout=90.0,
        retries=2,
        identity="spiffe://shop/frontend",
        split=(Share(9, "backend", (("version", "v1"),)), Share(1, status=500)),
    )


def test_a_place_is_that_of_the_word() -> None:
    test = read(TEST).value[0]
    assert str(test.position("name")) == "tests/routes.yaml:3:9"
    assert str(test.position("request", "to")) == "tests/routes.yaml:5:17"


def test_only_the_folder_of_tests_is_read() -> None:
    assert read(TEST, "tests/deep/below/a.yml").value
    assert not read(TEST, "teams/tests/a.yaml").value
    assert not read(TEST, "tests.yaml").value


def test_the_paths_of_the_mesh_do_not_matter_and_what_is_ignored_does() -> None:
    settings_text = "schemaVersion: 1\npaths: [mesh/]\nignore: [tests/other/]\n"
    assert read(TEST, **{"meshwright.yaml": settings_text}).value
    assert not read(TEST, "tests/other/a.yaml", **{"meshwright.yaml": settings_text}).value


def test_a_document_of_the_mesh_is_no_test_wherever_it_stands() -> None:
    checked = read("type: Zone\nname: east\n---\napiVersion: apps/v1\nkind: Deployment\n")
    assert checked == Checked(())


def test_a_mistake_is_told_with_its_line_and_the_others_still_run() -> None:
    assert found("tests:\n- nam: x\n  from: a\n  request: {to: b}\n  expect: {status: 200}\n") == [
        ("missing-field", 2, "/tests/0/name"),
        ("unknown-field", 2, "/tests/0/nam"),
    ]
    assert found(TEST.replace("200", "OK")) == [("wrong-type", 6, "/tests/0/expect/status")]
    assert found("test: []\n")[0] == ("missing-field", 1, "/tests")
    good_too = read_route_tests(tree_of({"tests/a.yaml": "tests: 1", "tests/b.yaml": TEST}), SCHEMAS)
    assert [test.name for test in good_too.value] == ["it goes there"]


def test_what_cannot_be_parsed_is_told_like_any_other_file() -> None:
    assert found("tests: [\n")[0][0] == "yaml-syntax"
    assert "duplicate-key" in [code for code, _, _ in found("tests: 1\ntests: 2\n")]


def test_headers_that_every_envoy_sets_by_itself_are_refused() -> None:
    assert found(TEST.replace("status: 200", "requestHeaders: {x-request-id: a}"))[0][0] == "bad-value"
    assert found(TEST.replace("to: backend", "to: backend, headers: {host: a}"))[0][:2] == ("bad-value", 5)


def test_a_split_says_where_requests_go_and_nothing_else_does() -> None:
    split = "split: [{tags: {v: a}, weight: 1}]"
    assert found(TEST.replace("status: 200", split)) == []
    assert found(TEST.replace("status: 200", f"status: 200, {split}"))[0][0] == "exclusive-fields"
    assert found(TEST.replace("status: 200", split.replace("1}", "0}")))[0][0] == "bad-value"


def test_two_tests_of_one_name_are_one_too_many() -> None:
    twice = read_route_tests(tree_of({"tests/a.yaml": TEST, "tests/b.yaml": TEST}), SCHEMAS)
    assert [(one.code.word, one.position.file) for one in twice.diagnostics] == [("duplicate-name", "tests/b.yaml")]


def test_a_commit_is_read_without_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "routes.yaml").write_text(TEST)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "tests")):
        subprocess.run(("git", "-C", str(tmp_path), *author, *words), check=True)
    (tmp_path / "tests" / "routes.yaml").write_text(TEST.replace("there", "elsewhere"))
    at_commit = read_route_tests(read_commit(tmp_path, "main", "").value, SCHEMAS)
    on_disk = read_route_tests(read_directory(tmp_path).value, SCHEMAS)
    assert [test.name for test in at_commit.value] == ["it goes there"]
    assert [test.name for test in on_disk.value] == ["it goes elsewhere"]


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-1, 600) | st.sampled_from(["name", "/a", "15s", "GET", ""]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["tests", "name", "from", "request", "to", "expect", "split", "tags"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_there_is_a_test_or_a_finding(value: object) -> None:
    checked = read(json.dumps({"tests": value}))
    assert bool(checked.value) != checked.failed
