"""Which lines `validate` quotes: all but those of a file that may hold what is secret."""

from pathlib import Path

import pytest

from compiler.cli.exits import FOUND
from compiler.cli.main import run
from compiler.cli.secrecy import may_hold_secret
from tests.cli.command import write

Captured = pytest.CaptureFixture[str]

MESH = "type: Mesh\nname: shop\n"
BOTH = "sources: [{match: {kuma.io/service: '*'}}]\ndestinations: [{match: {kuma.io/service: '*'}}]"
TIMEOUT = f"type: Timeout\nmesh: shop\nname: t\n{BOTH}\nconf: {{connectTimeout: 5s}}\n"
WRONG = "cnof: {connectTimeout: 5s}"
OF_KUBERNETES = """\
apiVersion: kuma.io/v1alpha1
kind: CircuitBreaker
mesh: shop
metadata: {name: c}
spec:
  sources: [{match: {kuma.io/service: '*'}}]
  destinations: [{match: {kuma.io/service: '*'}}]
  conf: {detectors: {total_errors: 5}}
"""
GATEWAY = """\
type: MeshGateway
mesh: shop
name: edge
selectors: [{match: {kuma.io/service: edge}}]
conf:
  listeners:
  - port: 8080
    protocol: HTTPS
    tls:
      mode: TERMINATE
      certificates:
      - secret: edge-cert
  - {port: 8081, protcol: HTTP}
"""
LISTED = "certificates:\n      - secret: edge-cert"
GATEWAY_ROUTE = """\
type: MeshGatewayRoute
mesh: shop
name: edge
selectors: [{match: {kuma.io/service: edge}}]
conf: {htp: {}}
"""
LOGGING = """\
type: Mesh
name: logged
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
logging:
  backends:
  - {name: file, type: file, format: '%KUMA_SOURCE_SERVICE%', conf: {paht: /dev/stdout}}
"""
AUTHORITY = """\
type: Mesh
name: other
netwrk: open
mtls:
  enabledBackend: mine
  backends:
  - {name: mine, type: provided, conf: {cert: {inlineString: S3cret-pem}, key: {inline: S3cret-key}}}
"""


def _text(capsys: Captured, folder: Path, **files: str) -> str:
    write(folder, {"mesh.yaml": MESH, **{f"{name}.yaml": text for name, text in files.items()}})
    capsys.readouterr()
    assert run(["validate", str(folder)]) == FOUND
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{TIMEOUT}{WRONG}\n", f"    7 | {WRONG}"),
        (OF_KUBERNETES, "    8 |   conf: {detectors: {total_errors: 5}}"),
        (GATEWAY, "   13 |   - {port: 8081, protcol: HTTP}"),
        (GATEWAY.replace(LISTED, "certificates: [{secret: edge-cert}]"), "   12 |   - {port: 8081, protcol: HTTP}"),
        (GATEWAY_ROUTE, "    5 | conf: {htp: {}}"),
        (LOGGING, "conf: {paht: /dev/stdout}}"),
        (f"{LOGGING}---\n{TIMEOUT}{WRONG}\n", WRONG),
    ],
    ids=["Timeout", "on Kubernetes", "MeshGateway", "on one line", "MeshGatewayRoute", "access logs", "beside a Mesh"],
)
def test_a_line_of_what_speaks_of_a_conf_and_of_no_secret_is_shown(
    text: str, shown: str, tmp_path: Path, capsys: Captured
) -> None:
    assert shown in _text(capsys, tmp_path, bad=text)


def test_a_legacy_policy_that_is_no_yaml_is_shown(tmp_path: Path, capsys: Captured) -> None:
    assert "    7 | bad: ]" in _text(capsys, tmp_path, bad=f"{TIMEOUT}bad: ]\n")


@pytest.mark.parametrize("field", ["inlineString", "inlin", "value"])
@pytest.mark.parametrize("more", ["", f"---\n{TIMEOUT}{WRONG}\n", f"---\n{LOGGING}", "bad: ]\n"])
@pytest.mark.parametrize("mtls", ["mtls", "mtsl"])
@pytest.mark.parametrize("conf", ["conf", "cnof"])
def test_a_file_with_an_authoritys_own_key_may_hold_a_secret(conf: str, mtls: str, more: str, field: str) -> None:
    """However its words and the Mesh's are misspelt, and whatever stands beside it."""
    text = (
        AUTHORITY.replace("inlineString", field)
        .replace("inline:", f"{field}:")
        .replace("mtls", mtls)
        .replace("conf", conf)
    )
    assert may_hold_secret(tuple(f"{text}{more}".splitlines()))


@pytest.mark.parametrize(
    "text", [AUTHORITY, AUTHORITY.replace("inline", "value"), f"{AUTHORITY}bad: ]\n", f"{AUTHORITY}---\n{LOGGING}"]
)
def test_no_line_of_a_file_with_an_authoritys_own_key_is_shown(text: str, tmp_path: Path, capsys: Captured) -> None:
    found = _text(capsys, tmp_path, bad=text)
    assert "bad.yaml:" in found
    assert " | " not in found
    assert "S3cret" not in found


@pytest.mark.parametrize("more", ["", "bad: ]\n"])
@pytest.mark.parametrize(
    "secret", ["type: Secret\nmesh: shop\nname: s\ndata: S3cret\n", "{type: Secret, data: S3cret}\n"]
)
def test_no_line_of_a_file_with_a_secret_beside_a_legacy_policy_is_shown(
    secret: str, more: str, tmp_path: Path, capsys: Captured
) -> None:
    found = _text(capsys, tmp_path, bad=f"{TIMEOUT}{WRONG}\n---\n{secret}{more}")
    assert "bad.yaml:7:1" in found
    assert " | " not in found
    assert "S3cret" not in found


NAMED = """\
tls:
  certificates:
  - secret: edge-cert
  - secret: edge-cert-ecdsa
"""


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (NAMED, False),
        (f"{NAMED}  mode: TERMINATE\n", False),
        (f"{NAMED}more: {{certificates: [{{secret: edge-cert}}]}}\n", False),
        (f"{NAMED}  - inlin: S3cret\n", True),
        (f"{NAMED}    inlin: S3cret\n", True),
        (f"{NAMED}\n    inlin: S3cret\n", True),
        (f"{NAMED}# and\n    inlin: S3cret\n", True),
        (f"{NAMED}  key: {{inline: S3cret}}\n", True),
        (NAMED.replace("edge-cert-ecdsa", "S3cret"), True),
        ("certificates: [{secret: a}, {inlin: S3cret}]\n", True),
        ("certificates: S3cret\n", True),
    ],
)
def test_of_a_gateways_certificates_the_names_alone_are_no_secret(text: str, *, may: bool) -> None:
    assert may_hold_secret(tuple(text.splitlines())) is may
