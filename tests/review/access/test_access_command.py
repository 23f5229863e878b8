"""`meshwright access` as somebody types it."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest

from compiler.cli.exits import FOUND, UNREACHABLE, UNREADABLE, USAGE
from compiler.cli.main import run
from compiler.resources.schema import find_schemas
from tests.cli.command import ROOT, commit, repository, write
from tests.review.meshes import PERMISSIVE, SHOP, STRICT, allow

CANARY = "canary-5f3a9c"
FILES = {
    "mesh.yaml": STRICT,
    "proxies.yaml": "---\n".join(SHOP),
    "permissions.yaml": allow("p", "api", "web"),
    "secret.yaml": f"type: Secret\nmesh: shop\nname: s\ndata: {CANARY}\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The working tree lets a guest in whom the commit does not know."""
    folder = repository(tmp_path / "shop", {name: text for name, text in FILES.items() if name != "secret.yaml"})
    write(folder, {"permissions.yaml": allow("p", "api", "web", "guest")})
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = run(["access", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_all_edges_stand_in_a_table(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, shop, "--at", "main") == (
        0,
        "1 edge between 2 services\n  CALLER    SERVICE   PORT  PROTOCOL\n  shop/web  shop/api  8080  http\n",
    )


def test_a_base_shows_what_differs(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, shop, "--base", "main")
    assert code == 0
    assert text.splitlines()[0] == "access: 1 added, 1 as before"
    assert text.splitlines()[2].split() == ["+", "shop/guest", "shop/api", "8080", "http"]

    commit(shop)
    assert said(capsys, shop, "--base", "main")[1] == "access: nothing changed, 2 edges as before\n"
    assert "- shop/guest" in said(capsys, shop, "--base", "main", "--at", "main~1")[1]


def test_a_question_is_answered_by_the_exit_code_and_with_lines(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, shop, "--from", "guest", "--to", "api")
    assert code == 0
    assert text.startswith("yes: shop/guest may call shop/api on :8080 http (MeshTrafficPermission p admits")
    assert "permissions.yaml:8 MeshTrafficPermission p: admits spiffe://shop/guest" in text

    code, text = said(capsys, shop, "--from", "guest", "--to", "api", "--at", "main")
    assert code == FOUND
    assert text.startswith("no: shop/guest may not call shop/api: ")


def test_one_party_narrows_the_table(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "shop/web" not in said(capsys, shop, "--from", "guest")[1]
    assert said(capsys, shop, "--to", "web")[1] == "0 edges between 0 services\n"


def test_plaintext_is_said_in_the_table(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop, {"mesh.yaml": PERMISSIVE})
    text = said(capsys, shop)[1]
    assert "in plaintext, by anyone" in text
    assert "only past its proxy" not in text

    text = said(capsys, shop, "--base", "main")[1]
    assert text.splitlines()[0] == "access: 1 added, 1 changed, 0 as before"
    assert text.splitlines()[-1] == "~ shop/web → shop/api:8080: also without a certificate"


def test_what_only_lies_open_past_the_proxy_is_no_yes(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop, {"mesh.yaml": PERMISSIVE, "permissions.yaml": FILES["permissions.yaml"]})
    code, text = said(capsys, shop, "--from", "guest", "--to", "api")
    assert code == FOUND
    assert text.splitlines()[1].startswith("warning: only past its own proxy does it get in: :8080 http is open")
    assert said(capsys, shop)[1].startswith("2 edges between 3 services, 1 of them only past the caller's proxy\n")


@pytest.mark.parametrize(
    "more", [(), ("--base", "main"), ("--from", "guest", "--to", "api"), ("--from", "api", "--to", "web")]
)
def test_json_is_what_its_schema_says(shop: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]) -> None:
    schema = json.loads((find_schemas() / "access.json").read_bytes())
    found = json.loads(said(capsys, shop, "-o", "json", *more)[1])
    jsonschema_rs.Draft7Validator(schema, offline=True).validate(found)
    assert found["schemaVersion"] == 1
    assert (found["diff"] is not None) == ("--base" in more)
    assert (found["answer"] is not None) == ("--to" in more)
    if not more:
        assert [edge["caller"] for edge in found["edges"]] == ["shop/guest", "shop/web"]


def test_pictures_are_drawn(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    svg = said(capsys, shop, "--base", "main", "-o", "svg")[1]
    assert ET.fromstring(svg).find("{http://www.w3.org/2000/svg}title") is not None
    assert "1 added, 1 as before" in svg
    chart = said(capsys, shop, "--base", "main", "-o", "mermaid")[1]
    assert chart.startswith("flowchart LR\n")
    assert re.search(r'==>\|"\+ :8080 http"\|', chart)


def test_an_unknown_name_gets_the_nearest(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["access", str(shop), "--from", "gest", "--to", "api"]) == USAGE
    assert capsys.readouterr().err == "meshwright: there is no 'gest'; did you mean guest?\n"
    assert run(["access", str(shop), "--from", "web", "--to", "external/nowhere"]) == USAGE
    assert "there is no 'external/nowhere'" in capsys.readouterr().err


def test_a_name_of_several_meshes_asks_for_the_mesh(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop, {"other.yaml": f"{STRICT}---\n{SHOP[0]}".replace("shop", "other").replace("10.0.0", "10.0.1")})
    assert run(["access", str(shop), "--from", "web", "--to", "api"]) == USAGE
    assert "say other/web or shop/web" in capsys.readouterr().err


def test_errors_are_shown_instead(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop, {"permissions.yaml": FILES["permissions.yaml"].replace("spec:", "spek:")})
    assert run(["access", str(shop)]) == UNREADABLE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "permissions.yaml:4:1: error[unknown-field]" in shown.err
    assert run(["access", str(shop), "--at", "nobranch"]) == UNREACHABLE


def test_no_secret_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its content is refused; nothing repeats it."""
    write(tmp_path, FILES)
    for form in ("text", "json", "svg", "mermaid"):
        run(["access", str(tmp_path), "-o", form])
        run(["access", str(tmp_path), "-o", form, "--from", "web", "--to", "api"])
        shown = capsys.readouterr()
        assert CANARY not in shown.out + shown.err


def test_the_example_is_as_its_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, ROOT / "examples" / "repo", "--from", "frontend", "--to", "backend")[0] == 0
    assert said(capsys, ROOT / "examples" / "repo", "--from", "newsletter", "--to", "backend")[0] == FOUND
