"""The package is compiled once for each state of its sources; `make test-compiled` shows that it does the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import native

NUMBER = "compiler/xds/number.py"
TOLD = "import compiler.xds.number as n; print(n.read(), n.__file__.endswith('.so'))"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("compiler/__init__.py", "compiler/http2/__init__.py", "compiler/xds/__init__.py", "schemas/Mesh.json"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("")
    (tmp_path / "root" / NUMBER).write_text("def read() -> int:\n    return 1\n")
    return tmp_path / "root"


def ask(folder: Path) -> str:
    said = subprocess.run([sys.executable, "-c", TOLD], cwd=folder, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_it_is_compiled_again_only_where_it_has_changed(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "native"
    assert native.build(target, root)
    assert ask(target) == "1 True"
    assert not native.build(target, root)
    (root / NUMBER).write_text("def read() -> int:\n    return 2\n")
    assert native.build(target, root)
    assert ask(target) == "2 True"


def test_what_is_not_compiled_follows_its_source(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "native"
    native.build(target, root)
    (root / "compiler/cli.py").write_text("VALUE = 1\n")
    (root / "schemas/Mesh.json").unlink()
    assert not native.build(target, root)
    assert (target / "compiler/cli.py").read_text() == "VALUE = 1\n"
    assert not (target / "schemas/Mesh.json").exists()
    assert ask(target) == "1 True"


def test_what_cannot_be_compiled_says_why_and_is_tried_again(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "native"
    (root / NUMBER).write_text("def read() -> int:\n    return 'one'\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"number\.py:2: error: Incompatible return value type"):
            native.build(target, root)


def test_a_folder_of_something_else_is_left_alone(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="holds something else"):
        native.build(tmp_path / "mine", root)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_what_every_push_goes_through_is_compiled() -> None:
    assert {"compiler/xds/subscription.py", "compiler/http2/wire.py"} <= set(native.list_modules())
