"""`explain` and `blame` as somebody types them, over a repository of two authors."""

import json
from pathlib import Path

import pytest

from compiler.cli.main import run
from tests.review.explaining.test_explain import FILES
from tests.review.test_authors import as_grace
from tests.source.clone import Clone

API = "routes/backend/virtualHosts/0/routes/0/route/timeout"
CANARY = "canary-b4a1f1"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("explained") / "clone")
    made.commit({**FILES, "service.yaml": ""}, "the mesh")
    as_grace(made, {"service.yaml": FILES["service.yaml"]}, "service: wait less")
    return made


def typed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_first_lines_say_what_holds_and_who_said_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "explain", "web", API, clone.path)
    assert code == 0
    assert out.splitlines()[:2] == [
        "default.web: routes/kri_msvc_default___backend_8080/virtualHosts/0/routes/0/route/timeout",
        "  7s, set by MeshTimeout of-route at route.yaml:18:38",
    ]
    told = ("initial policy", "everywhere.yaml:11", "service.yaml:11", "route.yaml:18:38  ")
    places = [out.index(name) for name in told]
    assert places == sorted(places)
    assert "Grace Hopper, 2023-11-15: service: wait less" in out


def test_another_commit_has_another_chain(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = typed(capsys, "explain", "web", API, clone.path, "--at", "HEAD~1", "-o", "json")
    told = json.loads(out)
    assert told["schemaVersion"] == 1
    assert [(step["name"], step["author"]) for step in told["chain"]] == [
        ("everywhere", "Ada Lovelace"),
        ("of-route", "Ada Lovelace"),
    ]
    assert told["chain"][0]["without"] == {"state": "set", "value": "15s"}
    assert told["default"]["owner"] == "Kuma"


def test_a_line_that_is_not_committed_has_no_author(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    service = clone.path / "service.yaml"
    service.write_text(FILES["service.yaml"].replace("requestTimeout: 7s", "requestTimeout: 6s"))
    try:
        _, out, _ = typed(capsys, "explain", "web", API, clone.path, "-o", "json")
        _, text, _ = typed(capsys, "explain", "web", API, clone.path)
    finally:
        service.write_text(FILES["service.yaml"])
    authors = {step["name"]: step["author"] for step in json.loads(out)["chain"]}
    assert authors == {"everywhere": "Ada Lovelace", "service": None, "of-route": "Ada Lovelace"}
    assert text.count("      not committed yet") == 1


def test_what_may_mean_several_fields_is_answered_with_all_their_values(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = typed(capsys, "explain", "web", "connectTimeout", clone.path)
    assert code == 1
    assert "clusters/self_inbound_dp_80/connectTimeout  10s" in out
    code, out, _ = typed(capsys, "explain", "web", "connectTimeout", clone.path, "-o", "json")
    assert (code, len(json.loads(out)["candidates"])) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (("explain", "web", "conectTimeout"), 1, "did you mean connectTimeout?"),
        (("explain", "wbe", "connectTimeout"), 1, "did you mean web?"),
        (("inspect", "dataplane", "wbe"), 1, "the repository has no dataplane 'wbe'; did you mean web?"),
        (("inspect", "dataplane", "web", "-m", "elsewhere"), 1, "mesh 'elsewhere' has no dataplane 'web'"),
        (("blame", "servce.yaml:1"), 65, "did you mean service.yaml?"),
        (("blame", "service.yaml:0"), 64, "lines are counted from 1"),
        (("blame", "service.yaml:3-2"), 64, "the first before the last"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(
    clone: Clone, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, phrase: str
) -> None:
    found, out, err = typed(capsys, *arguments, clone.path)
    assert (found, out) == (code, "")
    assert phrase in err


def test_errors_of_the_repository_are_shown_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mesh.yaml").write_text("type: Mesh\nname: default\nmtsl: {}\n")
    for arguments in (("explain", "web", "connectTimeout"), ("blame", "mesh.yaml")):
        code, out, _ = typed(capsys, *arguments, tmp_path)
        assert (code, "unknown-field" in out) == (1, True)


def test_a_line_is_blamed_by_file_and_number(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "blame", "service.yaml:8-11", clone.path, "-o", "json")
    told = json.loads(out)
    assert (code, told["schemaVersion"], told["total"]) == (0, 1, 2)
    assert [(part["pointer"], part["author"]) for part in told["parts"]] == [("/spec/to/0/default", "Grace Hopper")]
    code, out, _ = typed(capsys, "blame", "route.yaml:18", clone.path)
    assert out.startswith("route.yaml:18: ")
    assert "Ada Lovelace, 2023-11-14: the mesh" in out


def test_the_path_of_the_file_may_be_where_the_command_runs(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone.path.parent)
    assert typed(capsys, "blame", "clone/route.yaml:18", "clone")[0] == 0


def test_a_secret_in_the_repository_is_refused_before_anything_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "secret.yaml").write_text(f"type: Secret\nmesh: default\nname: token\ndata: {CANARY}\n")
    for arguments in (("explain", "web", "backend.connectTimeout"), ("blame", "secret.yaml"), ("blame", "mesh.yaml")):
        code, out, err = typed(capsys, *arguments, tmp_path, "-o", "json")
        assert [finding["code"] for finding in json.loads(out)["diagnostics"]] == ["secret-in-git"]
        assert (code, CANARY in out + err) == (1, False)


def test_inspect_takes_the_same_option_for_a_commit(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("inspect", "dataplane", "web", clone.path)
    outputs = [typed(capsys, *asked, option, "HEAD~1") for option in ("--at", "--ref")]
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == 0


def test_a_whole_document_is_whoever_wrote_its_newest_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Clone(tmp_path / "clone")
    made.commit({**FILES}, "the mesh")
    as_grace(made, {"route.yaml": FILES["route.yaml"].replace("7s", "6s")}, "route: wait less")
    _, out, _ = typed(capsys, "blame", "route.yaml", made.path, "-o", "json")
    authors = {part["name"]: part["author"] for part in json.loads(out)["parts"]}
    assert authors == {"api": "Ada Lovelace", "of-route": "Grace Hopper"}


def test_a_file_that_is_no_yaml_is_said_to_be_none(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    readme = clone.path / "README.md"
    readme.write_text("ours\n")
    try:
        code, _, err = typed(capsys, "blame", str(readme), clone.path)
    finally:
        readme.unlink()
    assert (code, "is no YAML of the mesh" in err) == (1, True)


def test_the_mesh_of_a_proxy_need_not_be_told_where_one_alone_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("default", "shop") if name in ("mesh.yaml", "proxies.yaml") else "")
    assert typed(capsys, "inspect", "dataplane", "web", tmp_path)[0] == 0
    twice = (tmp_path / "mesh.yaml").read_text().replace("shop", "other")
    (tmp_path / "other.yaml").write_text(twice + "---\n" + FILES["proxies.yaml"].replace("default", "other"))
    code, _, err = typed(capsys, "inspect", "dataplane", "web", tmp_path)
    assert (code, "use --mesh" in err) == (1, True)
