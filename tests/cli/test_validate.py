"""`meshwright validate`: the forms of its findings, and where it looks."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from compiler.cli.exits import FINE, FOUND
from compiler.cli.main import app, run
from tests.certificates import EXPIRED
from tests.cli.command import write
from tests.review.repositories import BACKEND, MESH, WEB, Repository

Captured = pytest.CaptureFixture[str]
GOOD = {"mesh.yaml": MESH, "proxies.yaml": f"{BACKEND}---\n{WEB}"}


def _validate(capsys: Captured, folder: Path, *words: str) -> tuple[int, str]:
    code = run(["validate", str(folder), *words])
    return code, capsys.readouterr().out


def test_a_form_may_be_called_a_format(tmp_path: Path, capsys: Captured) -> None:
    """As other tools call it; the same for every command that prints in several forms."""
    folder = write(tmp_path / "mesh", GOOD)
    assert _validate(capsys, folder, "--format", "json") == _validate(capsys, folder, "--output", "json")
    commands: list[Any] = [typer.main.get_command(app)]
    forms = 0
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        for option in command.params:
            assert ("--output" in option.opts) == ("--format" in option.opts), command.name
            forms += "--output" in option.opts
    assert forms > 10


def test_findings_for_code_scanning_are_named_from_the_root_of_the_repository(tmp_path: Path, capsys: Captured) -> None:
    repository = Repository(tmp_path / "monorepo")
    repository.commit({f"teams/shop/{path}": text for path, text in GOOD.items()} | {"teams/shop/bad.yaml": "a: [\n"})
    for words in ((), ("--ref", "HEAD")):
        code, text = _validate(capsys, repository.folder / "teams/shop", "-o", "sarif", *words)
        [result] = json.loads(text)["runs"][0]["results"]
        place = result["locations"][0]["physicalLocation"]
        assert (code, result["ruleId"]) == (FOUND, "yaml-syntax")
        assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("teams/shop/bad.yaml", 2)
        code, text = _validate(capsys, repository.folder / "teams/shop", "-o", "github", *words)
        assert text.startswith("::error file=teams/shop/bad.yaml,line=2,")


@pytest.mark.parametrize(
    ("settings", "complains"),
    [("", True), ("paths: [mesh/]", False), ("ignore: [docs/]", False), ("paths: [docs/latest/]", True)],
)
def test_of_what_the_settings_leave_out_nothing_is_wrong(
    settings: str, complains: bool, tmp_path: Path, capsys: Captured
) -> None:
    repository = Repository(tmp_path)
    repository.write({f"mesh/{path}": text for path, text in GOOD.items()})
    repository.write({"docs/v2/mesh.yaml": MESH.replace("shop", "docs"), "meshwright.yaml": f"{settings}\n"})
    (tmp_path / "docs/latest").symlink_to("v2")
    repository.commit({}, "linked")
    for words in ((), ("--ref", "HEAD")):
        code, shown = _validate(capsys, tmp_path, *words)
        assert ("docs/latest: error[symlink]" in shown) is complains
        assert complains or code == FINE


def test_nothing_found_is_a_log_without_results(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, GOOD)
    code, text = _validate(capsys, tmp_path, "-o", "sarif")
    assert (code, json.loads(text)["runs"][0]["results"]) == (FINE, [])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("invariants/calls.yaml", "invariants:\n- {nevr: {from: web, to: backend}}\n"),
        ("tests/routes.yaml", "tests:\n- {name: a, from: web, request: {to: backend}, expct: {}}\n"),
    ],
)
def test_a_promise_that_cannot_be_read_is_a_mistake(file: str, text: str, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {**GOOD, file: text})
    code, shown = _validate(capsys, tmp_path)
    assert code == FOUND
    assert f"{file}:2:" in shown
    assert "unknown-field" in shown


@pytest.mark.parametrize("shown", ["a", "'a # b'", '["a # \\" # b", c#d]', "it's", "{a: 'b # ''c'' # d'}"])
def test_a_line_is_shown_without_its_comment(shown: str, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {**GOOD, "bad.yaml": f"type: Mesh\nname: it\nnetwrk: {shown} # an older one\n"})
    _, text = _validate(capsys, tmp_path)
    assert f"    3 | netwrk: {shown}\n" in text
    assert "older" not in text


@pytest.mark.parametrize("word", ["Secret", "inlineString", "-----BEGIN PRIVATE KEY-----", "conf: {}"])
def test_no_line_of_a_file_that_speaks_of_secrets_is_shown(word: str, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {**GOOD, "bad.yaml": "type: Mesh\nname: b\nnetwrk: open\n"})
    assert "netwrk: open" in _validate(capsys, tmp_path)[1]
    write(tmp_path, {**GOOD, "bad.yaml": f"# {word}\ntype: Mesh\nname: b\nnetwrk: open\n"})
    code, text = _validate(capsys, tmp_path)
    assert (code, "netwrk: open" in text, "bad.yaml:4:1" in text) == (FOUND, False, True)


@pytest.mark.parametrize("value", ["!S3cret x", "!!S3cret x", "*S3cret", "!!int S3cret", "73616363" * 4])
def test_a_value_that_is_refused_is_not_repeated(value: str, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {**GOOD, "secret.yaml": f"type: Secret\nmesh: shop\nname: s\ndata: {value}\n"})
    for form in ("text", "json", "github", "sarif"):
        code, text = _validate(capsys, tmp_path, "-o", form)
        assert code == FOUND
        assert "S3cret" not in text
        assert "73616363" not in text


def test_an_authority_that_has_expired_is_a_warning_of_todays(tmp_path: Path, capsys: Captured) -> None:
    mtls = {"enabledBackend": "ca", "backends": [{"name": "ca", "type": "builtin"}]}
    trust = {"type": "MeshTrust", "mesh": "shop", "name": "t"}
    spec = {"trustDomain": "a.b", "caBundles": [{"type": "Pem", "pem": {"value": EXPIRED}}]}
    write(
        tmp_path,
        {
            **GOOD,
            "mesh.yaml": json.dumps({"type": "Mesh", "name": "shop", "mtls": mtls}),
            "trust.yaml": json.dumps(trust | {"spec": spec}),
        },
    )
    code, shown = _validate(capsys, tmp_path, "-o", "json")
    assert (code, [one["code"] for one in json.loads(shown)["diagnostics"]]) == (FINE, ["expired-certificate"])
    write(tmp_path, {"meshwright.yaml": "severity: {expired-certificate: error}\n"})
    assert _validate(capsys, tmp_path)[0] == FOUND
