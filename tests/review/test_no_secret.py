"""No secret shows in any output, wherever a user may have put it: canaries, and every command over them.

Three histories of two commits: nothing is wrong in either; a secret's content is in the base only; in the head only.
"""

import base64
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from compiler.cli.main import run
from tests.cli.command import environment, write
from tests.review.repositories import BACKEND, MESH, WEB, timeout

STRICT = MESH + "mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]} # CANARY-comment-inline\n"
SHOWN = "route-header-that-is-configuration"
"""What a route sets is the proxy's configuration, and a reviewer must see it: a token does not belong there."""
PEM = "-----BEGIN PRIVATE KEY-----\n# MIICANARYCOMMENTEDKEY\n# -----END PRIVATE KEY-----"
ENCODED = base64.b64encode(b"CANARY-content-of-a-secret").decode()
CANARY = re.compile("CANARY|Q0FOQVJZ")
"""Plain, and the beginning of it in base64."""

ROUTE = f"""\
# CANARY-comment-line: the old token was CANARY-comment-token
apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata:
  name: tagged
  labels: {{kuma.io/mesh: shop}}
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"token": "CANARY-annotation"}}'
spec:
  to:
  - targetRef: {{kind: MeshService, name: backend}}
    rules:
    - matches: [{{path: {{type: PathPrefix, value: /}}}}] # CANARY-comment-within
      default:
        filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: {{set: [{{name: x-tag, value: {SHOWN}}}]}}
"""
PERMISSION = """\
type: MeshTrafficPermission # CANARY-comment-permission
mesh: shop
name: web-calls-backend
spec:
  targetRef: {kind: MeshService, name: backend} # CANARY-comment-target
  from: [{targetRef: {kind: MeshService, name: web}, default: {action: Allow}}] # CANARY-comment-rule
"""
FOREIGN = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: of-kubernetes, labels: {{kuma.io/mesh: shop}}}}
type: Opaque
data: {{value: {ENCODED}}}
stringData: {{plain: CANARY-string-data}}
"""
GOOD: Mapping[str, str] = {
    "mesh.yaml": f"# {PEM}\n{STRICT}",
    "proxies.yaml": f"{BACKEND}---\n{WEB}",
    "timeout.yaml": timeout(5) + "# CANARY-comment-last\n",
    "route.yaml": ROUTE,
    "permission.yaml": PERMISSION,
    "foreign.yaml": FOREIGN,
    "secret.yaml": "type: Secret\nmesh: shop\nname: api-key # CANARY-comment-secret\n",
    "notes.txt": "CANARY-other-file\n",
    ".env": "TOKEN=CANARY-environment\n",
    "invariants/calls.yaml": """\
invariants:
- {never: {from: web, to: backend}} # CANARY-comment-invariant
- {budget: 1 B a proxy} # CANARY-comment-budget
""",
    "tests/routes.yaml": f"""\
tests: # CANARY-comment-tests
- name: the backend gets a tag
  from: web
  request: {{to: backend}} # CANARY-comment-request
  expect: {{service: backend, requestHeaders: {{x-tag: {SHOWN}}}}}
- name: and nothing else
  from: web
  request: {{to: backend}}
  expect: {{service: nobody}} # CANARY-comment-expected
""",
}
LEAKS: Mapping[str, str] = {
    "in base64": f"type: Secret\nmesh: shop\nname: leak\ndata: {ENCODED}\n",
    "on one line": f"{{type: Secret, mesh: shop, name: leak, data: {ENCODED}}}\n",
    "in a spec": "apiVersion: kuma.io/v1alpha1\nkind: Secret\nmetadata: {name: leak}\nspec: {data: CANARY-spec}\n",
    "as a block": "type: Secret\nmesh: shop\nname: leak\ndata: |\n  CANARY-block\n  CANARY-block-next\n",
    "as a number of the wrong type": "type: Secret\nmesh: shop\nname: leak\ndata: [CANARY-listed]\n",
    "under an unknown name": "type: Secret\nmesh: shop\nname: leak\nvalue: CANARY-value\n",
    "twice": "type: Secret\nmesh: shop\nname: leak\ndata: CANARY-first\ndata: CANARY-second\n",
    "in what is no YAML": "type: Secret\nmesh: shop\nname: leak\ndata: CANARY-open ]: [\n",
    "behind a tab": "type: Secret\nmesh: shop\nname: leak\ndata:\t{a: CANARY-tab\n",
    "behind an alias": "type: Secret\nmesh: shop\nname: leak\ndata: &CANARY-anchor x\nmore: *CANARY-alias\n",
    "with a tag": "type: Secret\nmesh: shop\nname: leak\ndata: !CANARY-tag x\n",
    "in the configuration of an agent": (
        "type: MeshOPA\nmesh: shop\nname: leak\nspec:\n  default:\n    agentConfig:\n      inlineString: |\n"
        "        services:\n          control:\n            url: https://opa.example\n"
        "            credentials: {bearer: {token: CANARY-token}}\n"
    ),
    "in a Secret of Kubernetes": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: leak}\ntype: system.kuma.io/secret\n"
        f"data: {{value: {ENCODED}}}\nstringData: {{plain: CANARY-plain}}\n"
    ),
    "in what kubectl prints": (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: leak}, "
        "type: system.kuma.io/global-secret, stringData: {value: CANARY-printed}}\n"
    ),
    "in an authority": """\
type: Mesh
name: other
mtls:
  enabledBackend: mine
  backends:
  - name: mine
    type: provided
    conf:
      cert: {inline: CANARY-certificate}
      key: {inlineString: CANARY-key}
""",
    "in an authority, on one line": (
        "type: Mesh\nname: other\nmtls: {enabledBackend: mine, backends: "
        "[{name: mine, type: provided, conf: {cert: {inline: CANARY-certificate}, key: {inline: CANARY-key}}}]}\n"
    ),
    "in an authority that is built in": """\
type: Mesh
name: other
mtls:
  enabledBackend: mine
  backends:
  - {name: mine, type: builtin, conf: {key: {inline: CANARY-key}, secret: CANARY-secret}}
""",
    "in a comment beside a mistake": "type: MeshTimeout\nmesh: shop\nname: t\nspec: {too: []} # CANARY-comment\n",
}
"""Each is a mistake that is reported, and whose report must not repeat what was not to be there."""

PLANS = ("text", "json", "markdown", "github", "html", "sarif")
COMMANDS = (
    *(f"plan --base HEAD~1 --head HEAD -o {form}" for form in PLANS),
    *(f"plan --base HEAD~1 -o {form}" for form in ("text", "json")),
    *(f"validate --ref HEAD -o {form}" for form in ("text", "json", "github")),
    *(f"access -o {form}" for form in ("text", "json", "mermaid", "svg")),
    *(f"access --base HEAD~1 --at HEAD -o {form}" for form in ("text", "json", "mermaid", "svg")),
    *(f"access --from web --to backend -o {form}" for form in ("text", "json")),
    *(f"test --engine python --coverage -o {form}" for form in ("text", "json", "junit")),
    *(f"explain web-1 backend_/virtualHosts/0/routes/0/route/timeout -o {form}" for form in ("text", "json")),
    *(f"blame timeout.yaml -o {form}" for form in ("text", "json")),
    *(f"blame {file} -o text" for file in ("mesh.yaml", "route.yaml", "permission.yaml", "secret.yaml")),
    *(f"log web-1 -p -o {form}" for form in ("text", "json")),
    *(f"inspect dataplane web-1 -m shop --type {view} -o yaml" for view in ("config", "rules", "policies")),
    "inspect dataplane web-1 -m shop --type config -o json",
    "compile --ref HEAD",
)
"""As they are typed; the repository's folder is put behind the names that a command takes."""
PLACES = {"explain": 3, "blame": 2, "log": 2, "inspect": 3}


WHO = ("-c", "user.name=Ann", "-c", "user.email=CANARY-mail@example.org")


def commit(folder: Path, files: Mapping[str, str], subject: str) -> None:
    """Whoever commits has an address, and writes more than a subject."""
    for file in folder.rglob("*.yaml"):
        file.unlink()
    write(folder, files)
    _git(folder, "add", "--all")
    _git(folder, *WHO, "commit", "-q", "--allow-empty", "-m", f"{subject}\n\nCANARY-body of a message")


def history(folder: Path, base: Mapping[str, str], head: Mapping[str, str]) -> Path:
    """Two commits on `main`."""
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    commit(folder, base, "the mesh")
    commit(folder, head, "an edit")
    return folder


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, env=environment(), capture_output=True)


def said(capfd: pytest.CaptureFixture[str], folder: Path, typed: str) -> tuple[int, str]:
    """Exit code, and everything on stdout and stderr."""
    words = typed.split()
    place = PLACES.get(words[0], 1)
    capfd.readouterr()
    code = run([*words[:place], str(folder), *words[place:]])
    captured = capfd.readouterr()
    return code, captured.out + captured.err


def canaries(text: str) -> list[str]:
    """The lines that hold one."""
    return [line for line in text.splitlines() if CANARY.search(line)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timeout is changed, and the route with its header is new."""
    base = {path: text for path, text in GOOD.items() if path != "route.yaml"}
    return history(tmp_path_factory.mktemp("good") / "mesh", base, {**GOOD, "timeout.yaml": timeout(7)})


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The head holds every leak, each in a file of its own."""
    leaks = {f"leak-{number:02}.yaml": text for number, text in enumerate(LEAKS.values())}
    return history(tmp_path_factory.mktemp("leaky") / "mesh", GOOD, {**GOOD, **leaks})


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base holds every leak, and the head has taken them out."""
    leaks = {f"leak-{number:02}.yaml": text for number, text in enumerate(LEAKS.values())}
    return history(tmp_path_factory.mktemp("mended") / "mesh", {**GOOD, **leaks}, GOOD)


@pytest.mark.parametrize("typed", COMMANDS)
def test_nothing_of_a_good_commit_shows(typed: str, good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, text = said(capfd, good, typed)
    assert code in (0, 1), text
    assert text.strip()
    assert canaries(text) == []


@pytest.mark.parametrize("typed", COMMANDS)
def test_nothing_shows_of_a_head_that_leaks(typed: str, leaky: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, text = said(capfd, leaky, typed)
    assert code not in (64, 70), text
    assert canaries(text) == []


@pytest.mark.parametrize("typed", COMMANDS)
def test_nothing_shows_of_a_base_that_leaks(typed: str, mended: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, text = said(capfd, mended, typed)
    assert code not in (64, 70), text
    assert canaries(text) == []


@pytest.mark.parametrize("form", ["text", "json", "github"])
@pytest.mark.parametrize("leak", LEAKS)
def test_the_report_of_a_leak_does_not_repeat_it(
    leak: str, form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each by itself, so that no mistake hides behind another."""
    write(tmp_path, {"mesh.yaml": STRICT, "leak.yaml": LEAKS[leak]})
    code, text = said(capfd, tmp_path, f"validate -o {form}")
    assert code == 1, text
    assert "leak.yaml" in text
    assert canaries(text) == []


def test_no_file_of_a_compiled_mesh_holds_one(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, good, f"compile --out {tmp_path / 'out'}")
    texts = [file.read_text() for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert any(SHOWN in text for text in texts)
    assert [line for text in texts for line in canaries(text)] == []


def test_what_bisect_hands_to_a_command_holds_none(good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The command prints its environment and every snapshot, and finds the header bad."""
    show = f"env | grep MESHWRIGHT_; cd $MESHWRIGHT_SNAPSHOTS; cat $(find . -type f); ! grep -rq {SHOWN} ."
    code = run(["bisect", "--good", "HEAD~1", "--path", str(good), "--", "sh", "-c", show])
    captured = capfd.readouterr()
    assert code == 0, captured.err
    assert SHOWN in captured.out
    assert canaries(captured.out + captured.err) == []


@pytest.mark.parametrize(
    "typed",
    [
        *(f"plan --base HEAD~1 --head HEAD -o {form}" for form in ("json", "html")),
        "inspect dataplane web-1 -m shop --type config -o yaml",
        "inspect dataplane web-1 -m shop --type rules -o yaml",
        "log web-1 -p -o json",
    ],
)
def test_a_header_that_a_route_sets_is_shown(typed: str, good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The tests above would find a canary there: what is configuration is printed."""
    assert SHOWN in said(capfd, good, typed)[1]


@pytest.mark.parametrize(
    "typed",
    [
        "log web-1",
        "log web-1 -o json",
        "explain web-1 backend_/virtualHosts/0/routes/0/route/timeout",
        "blame timeout.yaml",
    ],
)
def test_of_a_commit_its_subject_and_its_authors_name_are_told(
    typed: str, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who reads the repository's plan knows both; an address and what follows the subject are left out."""
    _, text = said(capfd, good, typed)
    assert "Ann" in text
    assert "example.org" not in text
