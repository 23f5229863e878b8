"""Each rule of the house can fail, and what keeps it passes."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.house import (
    Breach,
    Module,
    check_excuses,
    check_functions,
    check_length,
    check_machine_paths,
    check_opening,
    check_policies,
    check_public_names,
    check_words,
    judge,
    main,
    read_files,
    word_of,
)

Rule = Callable[[Module], Iterator[Breach]]
OPENING = '"""What it is for."""\n'


def _function(lines: int) -> str:
    return "\n".join(["def count():", *["    pass"] * (lines - 1)]) + "\n"


def _folder(*parts: str) -> str:
    return "/".join(("", *parts, ""))


def _public(count: int) -> str:
    return f"{OPENING}__all__ = {[f'name{number}' for number in range(count)]}\n"


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        (check_length, "a = 1\n" * 500, "a = 1\n" * 501),
        (check_functions, _function(60), _function(61)),
        (check_functions, "@cached\n" + _function(59), "@cached\n@again\n" + _function(59)),
        (check_functions, _function(60).replace("def", "async def"), _function(61).replace("def", "async def")),
        (check_opening, OPENING, "import ast\n"),
        (check_opening, "", "a = 1\n"),
        (check_words, "def set_timeout(data, resource): ...\n", "def set_timeout(data, res): ...\n"),
        (check_words, "class DpCert: ...\n", "class Dp: ...\n"),
        (check_words, "def read_config(): ...\n", "def read_cfg(): ...\n"),
        (check_excuses, "a = b  # noqa: S104  # Envoy's word\n", "a = b  # noqa: S104\n"),
        (check_excuses, "a = b  # type: ignore[x]  # a message\n", "a = b  # type: ignore[x]\n"),
        (check_excuses, "a = b  # plain\n", "a = b  # noqa  # no code\n"),
        (check_excuses, "a = b\n", "a = b  # noqa: S104  #\n"),
    ],
)
def test_a_rule_is_kept_or_broken(rule: Rule, kept: str, broken: str) -> None:
    assert not list(rule(Module("compiler/one.py", kept)))
    assert len(list(rule(Module("compiler/one.py", broken)))) == 1


def test_a_breach_names_its_line() -> None:
    [found] = check_functions(Module("tools/one.py", "\n\n" + _function(61)))
    assert str(found) == "tools/one.py:3: count has 61 lines; a function has at most 60"


def test_a_module_is_not_called_after_what_says_nothing() -> None:
    assert not list(check_words(Module("compiler/xds/metrics.py", "")))
    assert [found.line for found in check_words(Module("compiler/xds/stream_helpers.py", ""))] == [0]


def test_a_test_needs_no_opening_and_may_silence_without_a_reason() -> None:
    module = Module("tests/test_one.py", "a = b  # noqa: S104\n")
    assert not [*check_opening(module), *check_excuses(module)]


def test_the_front_door_has_at_most_eight_names() -> None:
    assert not list(check_public_names(Module("compiler/__init__.py", _public(8))))
    assert list(check_public_names(Module("compiler/__init__.py", _public(9))))
    assert list(check_public_names(Module("compiler/__init__.py", OPENING)))
    assert not list(check_public_names(Module("compiler/xds/__init__.py", _public(9))))


@pytest.mark.parametrize("folder", [_folder("root"), _folder("work"), _folder("home", "ann")])
def test_no_folder_of_a_machine_stands_anywhere(folder: str) -> None:
    assert not list(check_machine_paths("docs/a.md", f"https://example.com{folder}x and ./a{folder}"))
    [found] = check_machine_paths("docs/a.md", f"first\nsee {folder}main\n")
    assert found.line == 2
    assert folder in found.sentence


POLICY = {
    "compiler/policies/mesh_timeout.py": OPENING,
    "schemas/MeshTimeout.json": "{}",
    "tests/policies/cases/mesh_timeout.yaml": "a case:\n",
}


def test_a_policy_is_a_module_a_schema_and_cases() -> None:
    assert not list(check_policies(POLICY, ["MeshTimeout"]))
    assert not list(check_policies({"compiler/policies/__init__.py": "", **POLICY}, ["MeshTimeout"]))


@pytest.mark.parametrize("missing", POLICY)
def test_a_policy_without_one_of_its_files_is_named(missing: str) -> None:
    without = {path: text for path, text in POLICY.items() if path != missing}
    assert [found.file for found in check_policies(without, ["MeshTimeout"])] == [missing]
    assert [found.file for found in check_policies({**without, missing: "\n"}, ["MeshTimeout"])] == [missing]


def test_a_module_or_cases_of_no_policy_are_named() -> None:
    found = [breach.file for breach in check_policies(POLICY, [])]
    assert found == ["compiler/policies/mesh_timeout.py", "tests/policies/cases/mesh_timeout.yaml"]


def test_a_policy_that_outgrew_its_module_is_a_folder() -> None:
    folder = {"compiler/policies/mesh_timeout/__init__.py": OPENING, "compiler/policies/mesh_timeout/http.py": OPENING}
    files = {**folder, **{path: text for path, text in POLICY.items() if not path.startswith("compiler/")}}
    assert not list(check_policies(files, ["MeshTimeout"]))


@pytest.mark.parametrize(
    ("type_", "word"),
    [("MeshTimeout", "mesh_timeout"), ("MeshHTTPRoute", "mesh_http_route"), ("MeshTLS", "mesh_tls")],
)
def test_a_type_has_its_word(type_: str, word: str) -> None:
    assert word_of(type_) == word


def test_all_rules_are_asked_of_all_files() -> None:
    files = {"compiler/a.py": f"{OPENING}def cfg(): ...\n" + "#\n" * 500, "docs/b.md": _folder("root")}
    found = {(breach.file, breach.line) for breach in judge(files, [])}
    assert found == {("compiler/a.py", 0), ("compiler/a.py", 2), ("docs/b.md", 1)}


def test_files_are_those_that_git_would_keep(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "kept.md").write_text("text")
    (tmp_path / "ignored").write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    assert read_files(tmp_path) == {".gitignore": "ignored\n", "kept.md": "text"}


def test_the_command_says_what_is_broken_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "utils.py").write_text("")
    assert main(str(tmp_path)) == 1
    assert "utils.py: 'utils' says nothing" in capsys.readouterr().out
