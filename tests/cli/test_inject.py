"""`meshwright inject`, as somebody types it."""

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from compiler.cli.exits import FINE, FOUND, UNREADABLE, USAGE
from compiler.cli.main import run
from tests.cli.command import write
from tests.inject.manifests import NAMESPACE, SERVICE, deployment
from tests.inject.test_gateways import GATEWAY, instance

Captured = pytest.CaptureFixture[str]
MANIFESTS = {
    "ns.yaml": NAMESPACE,
    "apps/web.yaml": f"{SERVICE}---\n{deployment()}",
    "values.txt": "a",
    "list.yaml": "- a\n",
}
PLAINTEXT = (
    "meshwright: warning: without --ca-cert-file the sidecars do not start: "
    "none sends its token to meshwright.kuma-system in plaintext\n"
)
CONFIG = "dataplanes: {podCidrs: [10.0.0.0/8]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "manifests", MANIFESTS)


def test_all_manifests_are_one_stream(folder: Path, capsys: Captured) -> None:
    assert run(["inject", str(folder)]) == FINE
    printed = capsys.readouterr()
    documents = list(yaml.safe_load_all(printed.out))
    assert [each["kind"] for each in documents] == ["Service", "Deployment", "Namespace"]
    assert documents[1]["spec"]["template"]["spec"]["containers"][0]["name"] == "kuma-sidecar"
    assert printed.err == f"1 workload: 1 injected; 1 file without manifests ignored\n{PLAINTEXT}"


def test_a_sidecar_that_would_not_start_is_warned_of(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    """`dataplane run` refuses to send a token in plaintext to another machine."""
    write(tmp_path, {"ca.pem": "-----BEGIN CERTIFICATE-----\n"})
    for words in (["--ca-cert-file", str(tmp_path / "ca.pem")], ["--findings", "json"]):
        assert run(["inject", str(folder), *words]) == FINE
        assert "plaintext" not in capsys.readouterr().err
    for here in ("[::1]:5678", "::1:5678", "127.0.0.2:5678", "localhost:5678"):
        assert run(["inject", str(folder), "--server", here]) == FINE
        assert "plaintext" not in capsys.readouterr().err
    for elsewhere in ("127.0.0.1.example.org", "localhost.example.org"):
        assert run(["inject", str(folder), "--server", f"{elsewhere}:5678"]) == FINE
        assert f"sends its token to {elsewhere} in plaintext" in capsys.readouterr().err
    assert run(["inject", str(folder / "ns.yaml")]) == FINE
    assert "plaintext" not in capsys.readouterr().err


NO_TOKEN = "automountServiceAccountToken: false"
OWN_VOLUME = f"""{NO_TOKEN}
volumes: [{{name: own, projected: {{sources: [{{serviceAccountToken: {{path: token}}}}]}}}}]"""
OWN_TOKEN = {"kuma.io/service-account-token-volume": "own"}
OWN_CA = {"kuma.io/sidecar-env-vars": "MESHWRIGHT_DATAPLANE_RUN_CA_CERT=/ca.pem"}


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (deployment(spec=NO_TOKEN), False),
        (deployment(annotations=OWN_CA), False),
        (deployment(spec=OWN_VOLUME, annotations=OWN_TOKEN), True),
        (f"{deployment(spec=NO_TOKEN)}---\n{deployment('api')}", True),
    ],
)
@pytest.mark.parametrize("native", [[], ["--native-sidecars"]])
def test_only_a_sidecar_with_a_token_is_warned_of(
    tmp_path: Path, capsys: Captured, text: str, warned: bool, native: list[str]
) -> None:
    folder = write(tmp_path, {"ns.yaml": NAMESPACE, "web.yaml": text})
    assert run(["inject", str(folder), *native]) == FINE
    assert (PLAINTEXT in capsys.readouterr().err) is warned


def test_what_comes_from_stdin_goes_to_stdout(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{NAMESPACE}---\n{deployment()}".encode())))
    assert run(["inject", "-"]) == FINE
    assert "kuma-sidecar" in capsys.readouterr().out


def test_a_file_keeps_its_place_in_another_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["inject", str(folder), "-o", str(out)]) == FINE
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == ["apps/web.yaml", "ns.yaml"]
    assert (out / "ns.yaml").read_text() == NAMESPACE
    assert (folder / "apps/web.yaml").read_text() == MANIFESTS["apps/web.yaml"]
    assert run(["inject", str(folder), "-o", str(out)]) == UNREADABLE


def test_files_are_changed_in_their_place_once(folder: Path) -> None:
    (folder / "apps/web.yaml").chmod(0o640)
    assert run(["inject", str(folder), "--write"]) == FINE
    once = (folder / "apps/web.yaml").read_text()
    assert "kuma-sidecar" in once
    assert (folder / "apps/web.yaml").stat().st_mode & 0o777 == 0o640
    inode = (folder / "apps/web.yaml").stat().st_ino
    assert run(["inject", str(folder), "--write"]) == FINE
    assert ((folder / "apps/web.yaml").read_text(), (folder / "apps/web.yaml").stat().st_ino) == (once, inode)
    assert [path.name for path in (folder / "apps").iterdir()] == ["web.yaml"]


def test_where_anything_is_wrong_nothing_is_written(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write(folder, {"bad.yaml": "apiVersion: v1\nkind: [\n"})
    for words in ((), ("--write",), ("-o", str(tmp_path / "out"))):
        assert run(["inject", str(folder), *words]) == FOUND
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"{folder / 'bad.yaml'}:3:1: error[yaml-syntax]" in printed.err
        assert printed.err.endswith("failed, so nothing is written\n")
    assert (folder / "apps/web.yaml").read_text() == MANIFESTS["apps/web.yaml"]
    assert not (tmp_path / "out").exists()


def test_warnings_fail_where_that_is_asked_for(folder: Path) -> None:
    write(folder, {"job.yaml": deployment(annotations={"kuma.io/typo": "x"})})
    assert run(["inject", str(folder)]) == FINE
    assert run(["inject", str(folder), "--strict"]) == FOUND


def test_findings_may_be_read_by_machines(folder: Path, capsys: Captured) -> None:
    write(folder, {"job.yaml": deployment(annotations={"kuma.io/typo": "x"})})
    assert run(["inject", str(folder), "--findings", "json"]) == FINE
    [finding] = json.loads(capsys.readouterr().err)["diagnostics"]
    assert (finding["code"], finding["line"]) == ("unknown-annotation", 14)
    assert run(["inject", str(folder), "--findings", "github"]) == FINE
    assert "::warning file=" in capsys.readouterr().err


def test_what_is_typed_wins_over_the_file(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {"c.yaml": "server: a:1\nsidecar: {image: one}\ntraffic: {cni: true}\n", "ca.pem": "PEM\n"})
    config = ["--config", str(tmp_path / "c.yaml")]
    words = ["--image", "two", "--no-cni", "--native-sidecars", "--ca-cert-file", str(tmp_path / "ca.pem")]
    assert run(["inject", str(folder), *config, *words]) == FINE
    pod = list(yaml.safe_load_all(capsys.readouterr().out))[1]["spec"]["template"]["spec"]
    assert [each["image"] for each in pod["initContainers"]] == ["docker.io/kumahq/kuma-init:2.14.3", "two"]
    env = {each["name"]: each.get("value") for each in pod["initContainers"][1]["env"]}
    assert env["MESHWRIGHT_DATAPLANE_RUN_SERVER"] == "a:1"
    assert env["MESHWRIGHT_DATAPLANE_RUN_CA_CERT"] == "PEM\n"


def test_globs_leave_files_out(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write(folder, {"charts/x.yaml": "apiVersion: v1\nkind: {{ .x }}\n"})
    (folder / "charts" / "latest").symlink_to("x.yaml")
    write(tmp_path, {"c.yaml": "selection: {ignore: [charts]}\n"})
    assert run(["inject", str(folder)]) == FOUND
    assert "helm-template" in capsys.readouterr().err
    assert run(["inject", str(folder), "--config", str(tmp_path / "c.yaml")]) == FINE


def test_the_meshs_documents_are_written_anew_and_nobody_elses(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path, {"c.yaml": CONFIG})
    mesh = tmp_path / "mesh"
    words = ["inject", str(folder), "--config", str(tmp_path / "c.yaml"), "--dataplanes", str(mesh)]
    assert run(words) == FINE
    file = mesh / "shop/web.yaml"
    before = file.stat().st_mtime_ns
    assert run(words) == FINE
    assert file.stat().st_mtime_ns == before
    file.rename(mesh / "shop/old.yaml")
    capsys.readouterr()
    assert run(words) == FINE
    assert f"{mesh / 'shop/old.yaml'}: no workload or Service stands behind it" in capsys.readouterr().err
    file.write_text("# mine\n")
    assert run(words) == UNREADABLE
    assert file.read_text() == "# mine\n"


def test_services_are_documents_of_the_mesh_too_and_all_are_counted(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    write(tmp_path, {"c.yaml": CONFIG})
    write(folder, {"other.yaml": SERVICE.replace("shop", "elsewhere")})
    mesh = tmp_path / "mesh"
    words = ["inject", str(folder), "--config", str(tmp_path / "c.yaml"), "--dataplanes", str(mesh)]
    assert run(words) == FINE
    assert "; 2 Services: 1 in the mesh, 1 outside of a mesh; " in capsys.readouterr().err
    file = mesh / "shop/services/web.yaml"
    assert yaml.safe_load(file.read_text())["kind"] == "MeshService"
    before = file.stat().st_mtime_ns
    assert run(words) == FINE
    assert file.stat().st_mtime_ns == before
    (folder / "apps/web.yaml").write_text(deployment())
    capsys.readouterr()
    assert run(words) == FINE
    assert f"{file}: no workload or Service stands behind it" in capsys.readouterr().err


def test_gateways_are_made_into_a_folder_of_their_own(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    write(folder, {"gateway.yaml": f"{GATEWAY}---\n{instance()}"})
    words = ["inject", str(folder), "-o", str(tmp_path / "out"), "--gateways", str(tmp_path / "made")]
    assert run(words) == FINE
    assert "; 1 gateway made; " in capsys.readouterr().err
    file = tmp_path / "made/shop/edge.yaml"
    assert [one["kind"] for one in yaml.safe_load_all(file.read_text())] == ["Deployment", "Service"]
    (folder / "gateway.yaml").unlink()
    assert run(["inject", str(folder), "--gateways", str(tmp_path / "made")]) == FINE
    assert f"{file}: no MeshGatewayInstance stands behind it any more" in capsys.readouterr().err


def test_a_gateway_that_would_not_start_is_warned_of(tmp_path: Path, capsys: Captured) -> None:
    write(tmp_path / "in", {"gateway.yaml": f"{GATEWAY}---\n{instance()}"})
    assert run(["inject", str(tmp_path / "in"), "--gateways", str(tmp_path / "made")]) == FINE
    assert PLAINTEXT in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere"], UNREADABLE),
        ([".", "--write", "-o", "x"], USAGE),
        (["-", "--write"], USAGE),
        ([".", "--dataplanes", "x"], USAGE),
        ([".", "--server", "x"], USAGE),
        ([".", "--server", "x:²"], USAGE),
        ([".", "--concurrency", "0"], USAGE),
        ([".", "--config", "nowhere.yaml"], UNREADABLE),
        ([".", "--config", "bad.yaml"], UNREADABLE),
        (["a/x.yaml", "b/x.yaml", "-o", "out"], USAGE),
    ],
)
def test_a_wrong_use_has_its_code(words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"bad.yaml": "sidecr: {}\n", "a/x.yaml": NAMESPACE, "b/x.yaml": NAMESPACE})
    assert run(["inject", *words]) == code
