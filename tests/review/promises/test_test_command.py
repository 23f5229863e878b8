"""`meshwright test`, as people and CI run it."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from compiler.cli.exits import FINE, FOUND, UNREACHABLE, UNREADABLE
from compiler.cli.main import run
from tests.review.promises.test_on_envoy import needs_envoy
from tests.review.route_meshes import conf, documents, route

EXAMPLE = Path(__file__).parents[3] / "examples" / "repo"
CANARY = "canary-6f1d"

V1 = {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v1"}}
V2 = {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v2"}}
ROUTES = route(
    "items",
    [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/items"}}],
            "default": {"backendRefs": [V1 | {"weight": 9}, V2 | {"weight": 1}]},
        },
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
            "default": {
                "backendRefs": [V1],
                "filters": [
                    {
                        "type": "URLRewrite",
                        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}},
                    },
                    {
                        "type": "ResponseHeaderModifier",
                        "responseHeaderModifier": {
                            "set": [{"name": "x-served", "value": "shop"}],
                            "remove": ["x-internal"],
                        },
                    },
                ],
            },
        },
    ],
)
TIMEOUT = conf("MeshTimeout", "patience", {"http": {"requestTimeout": "3s"}})
GOOD = """
tests:
- name: one of ten sees version 2
  from: frontend
  request: {to: backend, path: /items/1}
  expect: {split: [{tags: {version: v1}, weight: 9}, {tags: {version: v2}, weight: 1}]}
- name: old paths are new ones
  from: shop/frontend
  request: {to: backend, path: /old/a?b=1, headers: {x-a: b}}
  answer: {status: 404, headers: {x-internal: "1", x-kept: "2"}}
  expect:
    service: backend
    tags: {version: v1}
    status: 404
    denied: false
    path: /new/a?b=1
    host: backend
    requestHeaders: {x-a: b}
    withoutRequestHeaders: [x-b]
    responseHeaders: {x-served: shop, x-kept: "2"}
    withoutResponseHeaders: [x-internal]
    timeout: 3s
    retries: 0
    identity: spiffe://shop/frontend
- name: batch may not
  from: batch
  request: {to: 127.0.0.1:1001}
  expect: {denied: true}
- name: batch has no way to the ledger
  from: batch
  request: {to: ledger}
  expect: {denied: true}
- name: rows are read
  from: frontend
  request: {to: db}
  expect: {service: db, denied: false}
"""


def repository(folder: Path, tests: str | None = GOOD) -> Path:
    """One document a file, so that lines are known."""
    for index, document in enumerate(documents(ROUTES, TIMEOUT)):
        if document["type"] == "Dataplane" and document["name"] == "batch":
            document["networking"]["outbound"][0]["address"] = "127.0.0.1"
        name = f"{document['type']}-{document.get('name', index)}.yaml"
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
    if tests is not None:
        (folder / "tests").mkdir()
        (folder / "tests" / "routes.yaml").write_text(tests)
    return folder


def one(expect: str, request: str = "{to: backend, path: /old}", caller: str = "frontend") -> str:
    return f"tests:\n- name: it\n  from: {caller}\n  request: {request}\n  expect: {expect}\n"


def failure(folder: Path, capsys: pytest.CaptureFixture[str], tests: str, code: int = FOUND) -> str:
    assert run(["test", str(repository(folder, tests)), "--engine", "python"]) == code
    return capsys.readouterr().out


def test_promises_that_are_kept_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", str(repository(tmp_path)), "--engine", "python"]) == FINE
    out = capsys.readouterr().out
    assert out == "ok: all 5 promises are kept; answered by the Python engine, without an Envoy\n"


@needs_envoy
def test_a_real_envoy_is_asked_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", str(repository(tmp_path))]) == FINE, capsys.readouterr().out
    assert capsys.readouterr().out == "ok: all 5 promises are kept; asked of a real Envoy\n"


@needs_envoy
def test_the_example_keeps_its_promises(capsys: pytest.CaptureFixture[str]) -> None:
    for engine in ("envoy", "python"):
        assert run(["test", str(EXAMPLE), "--engine", engine, "--coverage"]) == FINE, capsys.readouterr().out
        assert "coverage: 1 of 1 route touched" in capsys.readouterr().out


def test_without_an_envoy_auto_says_so_and_envoy_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    folder = str(repository(tmp_path))
    assert run(["test", folder]) == FINE
    assert "answered by the Python engine, without an Envoy" in capsys.readouterr().out
    assert run(["test", folder, "--engine", "envoy"]) == UNREACHABLE
    assert "there is no Envoy" in capsys.readouterr().err


def test_a_broken_promise_shows_a_counter_example_and_the_lines_behind_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failure(tmp_path, capsys, one("{tags: {version: v2}}")).splitlines() == [
        "failed: 1 of 1 promise is broken; answered by the Python engine, without an Envoy",
        "",
        "tests/routes.yaml:2: it",
        "    request:  shop.frontend GET backend/old",
        "    expected: version=v2",
        "    came:     200 from backend (version=v1)",
        "    decided:  MeshHTTPRoute-items.yaml:28 (MeshHTTPRoute items)",
    ]


@pytest.mark.parametrize(
    ("expect", "expected", "came", "decided"),
    [
        ("{timeout: 5s}", "a timeout of 5s", "a timeout of 3s", "MeshTimeout patience"),
        ("{retries: 2}", "2 retries", "0 retries", "no MeshRetry is about the route"),
        ("{path: /a}", "path /a", "path /new", "MeshHTTPRoute items"),
        ("{denied: true}", "the call to be denied", "200 from backend (version=v1)", "MeshHTTPRoute items"),
        ("{responseHeaders: {x-served: me}}", "response header x-served: me", "x-served: shop", "MeshHTTPRoute items"),
        (
            "{withoutResponseHeaders: [x-served]}",
            "no response header x-served",
            "x-served: shop",
            "MeshHTTPRoute items",
        ),
        ('{identity: ""}', "identity of nobody", "identity spiffe://shop/frontend", "MeshHTTPRoute items"),
        ("{status: 500}", "status 500", "200 from backend (version=v1)", "MeshHTTPRoute items"),
        ("{service: ledger}", "service ledger", "200 from backend (version=v1)", "MeshHTTPRoute items"),
        ("{location: /x}", "location /x", "200 from backend (version=v1)", "MeshHTTPRoute items"),
        ("{split: [{tags: {version: v2}, weight: 1}]}", "100 % (version=v2)", "100 % 200 from backend", "items"),
    ],
)
def test_each_expectation_can_be_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expect: str, expected: str, came: str, decided: str
) -> None:
    lines = failure(tmp_path, capsys, one(expect)).splitlines()
    assert f"    expected: {expected}" in lines
    assert any(line.startswith(f"    came:     {came}") for line in lines)
    assert any(line.startswith("    decided:") and decided in line for line in lines)


def test_a_share_that_goes_astray_is_told_with_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = failure(tmp_path, capsys, one("{tags: {version: v1}}", "{to: backend, path: /items}"))
    assert "came:     200 from backend (version=v2) (10 % of such requests)" in out


def test_a_split_that_is_another_is_told_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = "{split: [{tags: {version: v1}, weight: 1}, {tags: {version: v2}, weight: 1}]}"
    out = failure(tmp_path, capsys, one(split, "{to: backend, path: /items}"))
    assert "    expected: 50 % (version=v1), 50 % (version=v2)\n" in out
    assert "    came:     90 % 200 from backend (version=v1), 10 % 200 from backend (version=v2)\n" in out


def test_a_denial_leads_to_the_permissions_of_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index, service in enumerate(("backend", "db")):
        folder = tmp_path / str(index)
        folder.mkdir()
        out = failure(folder, capsys, one("{denied: false}", f"{{to: {service}}}", "batch"))
        assert "came:     denied by" in out
        assert f"decided:  MeshTrafficPermission-{service}.yaml:" in out


def test_a_call_without_a_way_is_a_denial_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = failure(tmp_path, capsys, one("{status: 200}", "{to: ledger}", "batch"))
    assert "shop.batch has no outbound to ledger: nothing takes the call" in out


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        (one("{status: 200}", caller="frontent"), "tests/routes.yaml:3:9: error[test-of-nothing]: there is no service"),
        (one("{denied: true}", "{to: bakend}"), "mesh shop has no service 'bakend'"),
        (
            one("{denied: true}", "{to: backend, port: 81}"),
            "tests/routes.yaml:4:32: error[test-of-nothing]: service backend",
        ),
        (one("{denied: true}", "{to: 127.0.0.1:9}"), "no proxy of frontend takes calls at 127.0.0.1:9"),
        (one("{sttus: 200}"), "tests/routes.yaml:5:12: error[unknown-field]"),
        ("tests: [", "error[yaml-syntax]"),
    ],
)
def test_a_promise_that_means_nothing_cannot_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tests: str, words: str
) -> None:
    assert words in failure(tmp_path, capsys, tests, UNREADABLE)


def test_a_mesh_that_does_not_compile_keeps_no_promise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository(tmp_path) / "bad.yaml").write_text("type: MeshTimeout\nmesh: shop\nname: x\n")
    assert run(["test", str(tmp_path)]) == UNREADABLE
    assert "missing-field" in capsys.readouterr().out


def test_a_repository_without_promises_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", str(repository(tmp_path, None)), "--coverage"]) == FINE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no promises: there are no route tests under tests/, and no invariants under invariants/"
    assert lines[1].startswith("coverage: 0 of ")


def test_json_and_junit_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(repository(tmp_path, GOOD.replace("status: 404\n    denied", "status: 200\n    denied")))
    assert run(["test", folder, "--engine", "python", "-o", "json", "--coverage"]) == FOUND
    found = json.loads(capsys.readouterr().out)
    assert found["schemaVersion"] == 1
    assert found["engine"] == "python"
    assert found["summary"] == {"total": 5, "passed": 4, "failed": 1, "skipped": 0}
    broken = next(result for result in found["results"] if not result["passed"])
    assert (broken["file"], broken["line"], broken["kind"]) == ("tests/routes.yaml", 7, "route")
    assert found["coverage"]["touched"] == sum(route["touched"] for route in found["coverage"]["routes"])
    untouched = {route["service"]: route["written"] for route in found["coverage"]["routes"] if not route["touched"]}
    assert untouched["shop/mixed"] == []
    assert run(["test", folder, "--engine", "python", "-o", "junit"]) == FOUND
    root = ET.fromstring(capsys.readouterr().out)
    assert (root.get("tests"), root.get("failures")) == ("5", "1")


def test_a_commit_is_tested_without_a_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository(tmp_path)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "tests")):
        subprocess.run(("git", "-C", str(tmp_path), *author, *words), check=True)
    (tmp_path / "MeshHTTPRoute-items.yaml").unlink()
    assert run(["test", str(tmp_path), "--engine", "python"]) == FOUND
    assert run(["test", str(tmp_path), "--engine", "python", "--at", "main"]) == FINE
    capsys.readouterr()


@needs_envoy
def test_no_secret_shows_and_no_network_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret's content in a repository is refused, and the refusal does not quote it."""
    folder = repository(tmp_path)
    (folder / "secret.yaml").write_text(f"type: Secret\nmesh: shop\nname: s\ndata: {CANARY}\n")
    assert run(["test", str(folder), "-o", "json"]) == UNREADABLE
    (folder / "secret.yaml").write_text("type: Secret\nmesh: shop\nname: s\n")
    for form in ("text", "json", "junit"):
        assert run(["test", str(folder), "-o", form, "--coverage"]) == FINE
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
    assert "PRIVATE KEY" not in said.out + said.err


def test_what_a_check_prints_stays_out_of_the_report_and_an_exit_fails_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository(tmp_path)
    (folder / "invariants").mkdir()
    (folder / "invariants" / "own.py").write_text(
        "import sys\nprint('loaded')\ndef test_a(mesh):\n    print('running')\n    sys.exit(0)\n"
    )
    assert run(["test", str(folder), "--engine", "python", "-o", "json"]) == FOUND
    captured = capsys.readouterr()
    assert json.loads(captured.out)["summary"] == {"total": 6, "passed": 5, "failed": 1, "skipped": 0}
    assert captured.err.splitlines() == ["loaded", "running"]


def test_a_counter_example_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path, None)
    (folder / "invariants").mkdir()
    (folder / "invariants" / "all.yaml").write_text("invariants:\n- never: {from: nobody, to: backend}\n")
    assert run(["test", str(folder)]) == FOUND
    assert capsys.readouterr().out.count("no service is called 'nobody'") == 1
