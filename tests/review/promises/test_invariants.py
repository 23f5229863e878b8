"""Invariants hold of compiled snapshots, and what breaks one is named."""

import subprocess
from pathlib import Path

import pytest

from compiler.pipeline import compile_tree
from compiler.review.promises.checks import Result
from compiler.review.promises.invariants import Budget, read_invariants
from compiler.review.promises.judging import Counterexample, Mesh, judge
from compiler.review.promises.junit import as_junit
from compiler.review.promises.output import as_json, as_text
from compiler.review.promises.python_checks import run_checks
from compiler.review.promises.report import Report
from compiler.source.git import read_texts
from compiler.source.tree import read_directory
from tests.review.access.test_why import BOUND, SELECTED
from tests.review.meshes import PERMISSIVE, PLAIN, SHOP, allow, snapshots_of
from tests.trees import SCHEMAS, tree_of

NEVER = "  never: {from: a, to: b}\n"
EXAMPLE = Path(__file__).parents[3] / "examples" / "repo"


@pytest.fixture(scope="module")
def shop() -> Mesh:
    generation = compile_tree(read_directory(EXAMPLE).value, SCHEMAS).value.generation
    assert generation is not None
    return Mesh(generation.snapshots)


def _judge(mesh: Mesh, text: str) -> Result:
    read = read_invariants(tree_of({"invariants/all.yaml": f"invariants:\n- {text}\n"}), SCHEMAS)
    assert read.diagnostics == ()
    [result] = judge(read.value, mesh)
    return result


@pytest.mark.parametrize(
    "kept",
    [
        "never: {from: newsletter, to: db}",
        "never: {from: frontend, to: db}",
        "never: {from: [newsletter, frontend], to: shop/db, port: 5432}",
        "always: {from: frontend, to: backend}",
        "always: mtls strict in mesh shop",
        "always: {mtls: strict, mesh: shop}",
        "only: {from: backend, to: db}",
        "only: {from: [front*], to: backend}",
        "budget: 1 MB a proxy",
        "budget: {resources: 100, of: frontend}",
    ],
)
def test_a_promise_that_is_kept(shop: Mesh, kept: str) -> None:
    assert _judge(shop, kept) == Result(
        name=_judge(shop, kept).name, file="invariants/all.yaml", line=2, passed=True, kind=_judge(shop, kept).kind
    )


@pytest.mark.parametrize(
    ("broken", "because"),
    [
        ("never: {from: frontend, to: backend}", "shop/frontend → shop/backend:"),
        ("always: {from: newsletter, to: backend}", "shop/newsletter may not call shop/backend"),
        ("only: {from: newsletter, to: db}", "shop/backend is none of them"),
        ("budget: 1 KB a proxy", " KB in "),
        ("budget: {resources: 3, of: backend}", "shop.backend-"),
        ("never: {from: newsleter, to: db}", "no service is called 'newsleter', so nothing is promised"),
        ("never: {from: newsletter, to: payments}", "no service is called 'payments'"),
        ("always: mtls strict in mesh shopp", "there is no proxy in mesh 'shopp'"),
    ],
)
def test_a_promise_that_is_broken_names_what_breaks_it(shop: Mesh, broken: str, because: str) -> None:
    result = _judge(shop, broken)
    assert not result.passed
    assert because in result.message
    assert result.message == result.detail[0]


def test_plaintext_breaks_strict_mtls_even_where_nobody_calls(tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(EXAMPLE), str(tmp_path / "repo")], check=True)
    mesh = tmp_path / "repo" / "mesh" / "mesh.yaml"
    mesh.write_text(mesh.read_text().replace("mode: STRICT", "mode: PERMISSIVE"))
    if "PERMISSIVE" not in mesh.read_text():
        mesh.write_text(mesh.read_text().replace("type: builtin", "type: builtin\n      mode: PERMISSIVE"))
    generation = compile_tree(read_directory(tmp_path / "repo").value, SCHEMAS).value.generation
    assert generation is not None
    result = _judge(Mesh(generation.snapshots), "always: mtls strict in mesh shop")
    assert not result.passed
    assert "takes plaintext" in result.message


def test_what_is_open_only_past_a_proxy_breaks_never_and_keeps_no_always() -> None:
    mesh = Mesh(snapshots_of(PERMISSIVE, *SHOP, allow("p", "api", "web")))
    assert not _judge(mesh, "never: {from: guest, to: api}").passed
    assert "(only past its proxy, in plaintext) is open" in _judge(mesh, "never: {from: guest, to: api}").message
    assert not _judge(mesh, "always: {from: guest, to: api}").passed
    assert _judge(mesh, "always: {from: web, to: api}").passed


def test_a_mesh_service_is_the_workloads_that_it_leads_to() -> None:
    mesh = Mesh(snapshots_of(PLAIN, SELECTED, *BOUND))
    assert _judge(mesh, "always: {from: web, to: database}").passed
    assert _judge(mesh, "only: {from: web, to: shop/database}").passed
    assert "shop/web → shop/db:8080" in _judge(mesh, "never: {from: web, to: database}").message
    assert "no service is called 'databse'" in _judge(mesh, "never: {from: web, to: databse}").message


def test_the_lines_that_decide_stand_below_each_counterexample(shop: Mesh) -> None:
    read = read_invariants(tree_of({"invariants/a.yaml": "invariants: [{never: {from: '*', to: backend}}]"}), SCHEMAS)

    def locate(found: Counterexample) -> tuple[str, ...]:
        return (f"permissions.yaml:3 permits {found.caller}",)

    [result] = judge(read.value, shop, locate)
    assert result.detail[1] == "    permissions.yaml:3 permits shop/frontend"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("invariants:\n- nevr: {from: a, to: b}\n", (2, "unknown-field")),
        ("invariants:\n- never: {from: a}\n", (2, "missing-field")),
        ("invariants:\n- budget: 3 pounds\n", (2, "bad-value")),
        ("invariants:\n- always: tls in mesh x\n", (2, "bad-value")),
        (
            "invariants:\n- name: a\n  never: {from: a, to: b}\n- name: a\n  never: {from: b, to: a}\n",
            (4, "duplicate-name"),
        ),
    ],
)
def test_a_mistake_has_its_line(text: str, place: tuple[int, str]) -> None:
    found = read_invariants(tree_of({"invariants/a.yaml": text}), SCHEMAS).diagnostics
    assert found
    assert (found[0].position.line, found[0].code.word) == place


def test_documents_of_the_mesh_and_other_folders_are_not_invariants() -> None:
    files = {"invariants/mesh.yaml": "type: Mesh\nname: x\n", "other/a.yaml": "invariants: [{nevr: 1}]\n"}
    read = read_invariants(tree_of(files), SCHEMAS)
    assert (read.value, read.diagnostics) == ((), ())


@pytest.mark.parametrize(("text", "size"), [("200 KB", 200_000), ("1.5 MB", 1_500_000), ("12B", 12)])
def test_budgets_are_counted_in_thousands(text: str, size: int) -> None:
    [one] = read_invariants(tree_of({"invariants/a.yaml": f"invariants: [{{budget: {text} a proxy}}]"}), SCHEMAS).value
    assert one.promise == Budget(size)


# --- In Python --------------------------------------------------------------------------------------------------------

CHECK = """
from envoy_data_plane.envoy.config.cluster.v3 import Cluster

def helper():
    raise AssertionError("this is no check")

def test_every_cluster_has_a_connect_timeout(mesh):
    for proxy in mesh.proxies:
        for name, cluster in proxy.clusters.items():
            assert isinstance(cluster, Cluster)
            if cluster.load_assignment is None:
                assert cluster.connect_timeout is not None, f"{proxy.node}: {name}"

def test_nobody_calls_the_database(mesh):
    callers = [edge for edge in mesh.edges if edge.service == "shop/db"]
    assert not callers
"""


def test_a_check_is_handed_dataclasses_and_edges(shop: Mesh) -> None:
    good, bad = run_checks({"invariants/own.py": CHECK}, shop)
    assert good.passed, good
    assert (good.name, good.line) == ("every cluster has a connect timeout", 7)
    assert not bad.passed
    assert bad.detail == ("invariants/own.py:16: assert not callers",)


def test_what_a_check_raises_fails_it_and_no_other(shop: Mesh) -> None:
    text = "def test_a(mesh):\n    mesh.nothing\n\ndef test_b(mesh):\n    assert mesh.proxies\n"
    first, second = run_checks({"invariants/a.py": text}, shop)
    assert (first.passed, second.passed) == (False, True)
    assert first.message.startswith("AttributeError: ")


@pytest.mark.parametrize("ending", ["import sys; sys.exit(0)", "raise SystemExit", "import pytest; pytest.fail('no')"])
def test_a_check_that_wants_to_end_the_run_ends_itself(shop: Mesh, ending: str) -> None:
    text = f"def test_a(mesh):\n    {ending}\n\ndef test_b(mesh):\n    assert mesh.proxies\n"
    first, second = run_checks({"invariants/a.py": text}, shop)
    assert (first.failed, second.passed) == (True, True)
    [result] = run_checks({"invariants/a.py": f"{ending}\n"}, shop)
    assert result.failed


def test_a_check_that_is_skipped_is_neither_kept_nor_broken(shop: Mesh) -> None:
    text = "import pytest\n\ndef test_a(mesh):\n    pytest.skip('not here')\n"
    results = run_checks({"invariants/a.py": text}, shop)
    [one] = results
    assert (one.passed, one.failed, one.skipped, one.message) == (False, False, True, "not here")
    report = Report(results)
    assert as_text(report).splitlines() == [
        "ok: no promise was judged, 1 skipped",
        "",
        "invariants/a.py:3: a",
        "    skipped: not here",
    ]
    assert as_json(report)["summary"] == {"total": 1, "passed": 0, "failed": 0, "skipped": 1}
    assert 'failures="0" errors="0" skipped="1"' in as_junit(results)


def test_an_interrupt_is_for_the_whole_run(shop: Mesh) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_checks({"invariants/a.py": "def test_a(mesh):\n    raise KeyboardInterrupt\n"}, shop)


def test_a_file_that_is_not_python_is_said_at_its_line(shop: Mesh) -> None:
    [result] = run_checks({"invariants/a.py": "x = 1\ndef test_(:\n"}, shop)
    assert not result.passed
    assert result.detail[0].startswith("invariants/a.py:2:")


def test_checks_of_a_commit_are_those_that_were_committed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants" / "a.py").write_text("old = 1\n")
    (tmp_path / "invariants" / "a.yaml").write_text("invariants: []\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "invariants" / "a.py").write_text("new = 1\n")
    assert read_texts(tmp_path, "main", "invariants", ".py") == {"invariants/a.py": "old = 1\n"}
    assert read_texts(tmp_path, "main", "elsewhere", ".py") == {}


def test_a_check_that_nobody_awaits_fails(shop: Mesh) -> None:
    [result] = run_checks({"invariants/a.py": "async def test_a(mesh):\n    assert False\n"}, shop)
    assert not result.passed
    assert "nobody awaits" in result.message
