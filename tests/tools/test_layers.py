"""The walls inside the package stand: a forbidden import is refused, and the supervisor stays small."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

checkers = pytest.mark.skipif(not (BIN / "lint-imports").exists(), reason="`make check` installs the checkers")

FORBIDDEN = {
    "Imports flow one way": ("mesh/services.py", "import compiler.envoy.translate"),
    "A review is drawn from values, and access from versions alone": (
        "review/access/views.py",
        "import compiler.review.outputs.text",
    ),
    "Policies do not know each other": ("policies/mesh_retry.py", "import compiler.policies.mesh_timeout"),
    "The core does no I/O, reads no clock, starts nothing and logs nothing": ("mesh/graph.py", "import time"),
    "Sources, resources and the mesh know no Envoy": ("mesh/rules.py", "from google.protobuf import any_pb2"),
    "PyYAML has one gate in, and two out": ("cli/main.py", "import yaml"),
    "Git is read and written in two places": ("xds/delta.py", "import pygit2"),
    "gRPC is the xDS server's": ("reconcile/supervisor.py", "import grpc"),
    "The server knows nothing of documents, of policies or of Git": (
        "xds/delta.py",
        "import compiler.resources.model",
    ),
    "JSON Schema is the resources'": ("source/parse.py", "import jsonschema"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the package whose modules may be spoilt."""
    shutil.copytree(ROOT / "compiler", tmp_path / "compiler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint(project: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_each_contract_has_an_import_that_breaks_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == set(FORBIDDEN)


@checkers
def test_imports_against_the_contracts_are_refused(project: Path) -> None:
    for module, line in FORBIDDEN.values():
        with (project / "compiler" / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    linted = _lint(project)
    assert linted.returncode == 1
    broken = {line.partition(" BROKEN")[0] for line in linted.stdout.splitlines() if " BROKEN" in line}
    assert broken == set(FORBIDDEN), linted.stdout


@checkers
def test_a_package_that_stands_in_no_layer_is_refused(project: Path) -> None:
    (project / "compiler" / "elsewhere.py").touch()
    linted = _lint(project)
    assert linted.returncode == 1
    assert "compiler.elsewhere" in linted.stdout + linted.stderr


@checkers
def test_public_names_out_of_order_are_refused() -> None:
    command = [str(BIN / "ruff"), "check", "--stdin-filename", "compiler/one.py", "-"]
    source = '"""One."""\n\nfrom compiler.memo import Memo, Query\n\n__all__ = ["Query", "Memo"]\n'
    refused = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    assert "RUF022" in refused.stdout


def test_what_supervises_has_loaded_neither_grpc_nor_git_nor_yaml() -> None:
    program = "import sys, compiler.cli.main, compiler.cli.serve; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"grpc", "pygit2", "yaml", "jsonschema", "google.protobuf"} & set(run.stdout.split())
