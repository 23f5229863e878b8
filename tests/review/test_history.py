"""A branch's past: which commits changed a proxy, and which one changed an answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from compiler.cli.bisect_command import _REVISIONS
from compiler.cli.main import app, run
from compiler.review.history import History, Verdict, bisect, find_nodes, first_parents, proxy_log
from compiler.review.plan import Kind
from compiler.review.versions import Version
from compiler.source.git import open_repository
from tests.review.repositories import BACKEND, MESH, WEB, Repository, timeout

Past = tuple[Repository, dict[str, str]]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Past:
    made = Repository(tmp_path_factory.mktemp("history") / "mesh")
    commits = {
        "mesh": made.commit({"mesh.yaml": MESH, "backend.yaml": BACKEND}, "a mesh"),
        "web": made.commit({"web.yaml": WEB}, "the web", author="Ben"),
        "comment": made.commit({"web.yaml": f"# ours\n{WEB}"}, "a remark"),
        "slow": made.commit({"timeout.yaml": timeout(20)}, "be patient"),
        "broken": made.commit({"timeout.yaml": timeout(20).replace("to:", "too:")}, "oops"),
        "fast": made.commit({"timeout.yaml": timeout(2)}, "be quick", author="Ben"),
        "other": made.commit({"mesh.yaml": f"# ours\n{MESH}"}, "another remark"),
    }
    return made, commits


def _history(repository: Repository) -> History:
    return History(open_repository(repository.folder))


def test_the_log_of_a_proxy_is_what_changed_it(repository: Past) -> None:
    made, commits = repository
    history = _history(made)
    entries = list(proxy_log(history, "shop.web-1", first_parents(history.repository, commits["other"])))
    assert [(one.summary.commit, one.kind) for one in entries] == [
        (commits["fast"], Kind.CHANGED),
        (commits["slow"], Kind.CHANGED),
        (commits["web"], Kind.ADDED),
    ]
    assert entries[0].title == "request timeout of service backend: 20s → 2s"
    assert entries[0].summary.author == "Ben"
    [change] = entries[0].changes
    assert [field.after for field in change.fields] == ["2s"]


def test_another_proxy_has_another_log(repository: Past) -> None:
    made, commits = repository
    history = _history(made)
    entries = list(proxy_log(history, "shop.backend-1", first_parents(history.repository, commits["other"])))
    assert [(one.summary.commit, one.kind) for one in entries] == [(commits["mesh"], Kind.ADDED)]


def test_bisect_finds_the_commit_that_changed_the_answer(repository: Past) -> None:
    made, commits = repository

    def ask(commit: str, version: Version) -> Verdict:
        assert version.generation is not None
        routes = [str(one.json) for one in _resources(version)]
        return Verdict.BAD if any('"2s"' in text for text in routes) else Verdict.GOOD

    found = bisect(_history(made), commits["mesh"], commits["other"], ask)
    assert set(found.suspects) <= {commits["broken"], commits["fast"]}
    assert found.suspects[-1] == commits["fast"]
    assert (commits["broken"], Verdict.SKIPPED) in found.asked


def _resources(version: Version) -> list[object]:
    return [
        one for snapshot in version.snapshots.values() for held in snapshot.resources.values() for one in held.values()
    ]


def test_equal_snapshots_are_not_asked_about_twice(repository: Past) -> None:
    made, commits = repository
    asked: list[str] = []

    def ask(commit: str, version: Version) -> Verdict:
        asked.append(commit)
        return Verdict.BAD if "shop.web-1" in version.snapshots else Verdict.GOOD

    found = bisect(_history(made), commits["mesh"], commits["comment"], ask)
    assert found.suspects == (commits["web"],)
    assert asked == [commits["mesh"], commits["comment"]]
    assert found.equal == 1


def test_ends_that_contradict_the_command_are_said(repository: Past) -> None:
    made, commits = repository
    with pytest.raises(ValueError, match=r"says good of .*, which was given as bad"):
        bisect(_history(made), commits["mesh"], commits["web"], lambda *_: Verdict.GOOD)
    with pytest.raises(ValueError, match="not among the first parents"):
        bisect(_history(made), commits["fast"], commits["web"], lambda *_: Verdict.GOOD)


def test_a_shallow_history_ends_where_the_clone_does(repository: Past, tmp_path: Path) -> None:
    made, _ = repository
    made.git("clone", "-q", "--depth", "2", made.folder.as_uri(), str(tmp_path / "shallow"))
    opened = open_repository(tmp_path / "shallow")
    assert len(list(first_parents(opened, made.git("rev-parse", "HEAD")))) == 2


# --- The commands ---------------------------------------------------------------------------------------------------


def test_log_prints_a_proxys_past(repository: Past, capsys: pytest.CaptureFixture[str]) -> None:
    made, commits = repository
    assert run(["log", "web-1", str(made.folder), "-p"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(commits["fast"][:10])
    assert lines[0].endswith("Ben  ~ request timeout of service backend: 20s → 2s")
    assert lines[1].strip() == "be quick"
    assert any(line.endswith("timeout: 20s → 2s") for line in lines[2:])
    assert run(["log", "web-1", str(made.folder), "-o", "json", "-n", "1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["commit"] for one in shown["changes"]] == [commits["fast"]]


def test_log_of_nobody_says_so(repository: Past, capsys: pytest.CaptureFixture[str]) -> None:
    made, _ = repository
    assert run(["log", "wev-1", str(made.folder)]) == 1
    assert "no commit up to HEAD has a proxy 'wev-1'" in capsys.readouterr().err


def test_bisect_runs_a_command_with_the_snapshots_and_the_commit(
    repository: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    made, commits = repository
    script = '! grep -q \'"timeout": "20s"\' -r "$MESHWRIGHT_SNAPSHOTS" && test -n "$MESHWRIGHT_COMMIT"'
    asked = ["bisect", "--good", commits["mesh"], "--bad", commits["slow"], "--path", str(made.folder)]
    assert run([*asked, "--", "sh", "-c", script]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{commits['slow']} Ann: be patient\n"
    assert "had snapshots that were known" in captured.err


def test_every_option_that_reads_a_commit_is_that_of_bisect() -> None:
    """An option that is forgotten would read the files as they are, and every commit would get one answer."""
    found = set(_variables_of_revisions(typer.main.get_command(app), ()))
    assert found == set(_REVISIONS) | {"PLAN_BASE", "ACCESS_BASE", "SERVE_REF"}


def _variables_of_revisions(command: Any, names: tuple[str, ...]) -> Iterator[str]:
    for option in command.params:
        if {"--ref", "--at", "--head", "--base"} & set(option.opts):
            yield "_".join((*names, option.name)).upper()
    for name, one in getattr(command, "commands", {}).items():
        if not one.hidden:
            yield from _variables_of_revisions(one, (*names, name))


def test_bisect_with_a_command_that_cannot_run_says_so(repository: Past, capsys: pytest.CaptureFixture[str]) -> None:
    made, commits = repository
    asked = ["bisect", "--good", commits["mesh"], "--path", str(made.folder), "--", "/no/such/program"]
    assert run(asked) == 64
    assert "/no/such/program cannot be run" in capsys.readouterr().err


def test_bisect_by_the_shells_test_says_how_ours_is_called(
    repository: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 1 where it is given nothing, so every commit is bad."""
    made, commits = repository
    asked = ["bisect", "--good", commits["mesh"], "--bad", commits["slow"], "--path", str(made.folder)]
    assert run([*asked, "--", "test"]) == 64
    assert capsys.readouterr().err.endswith("to ask meshwright, write `-- meshwright test`\n")
    assert run([*asked, "--", "false"]) == 64
    assert "to ask meshwright" not in capsys.readouterr().err


def test_a_commit_that_is_not_there_is_said_of_both_ends(
    repository: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, _ = repository
    for end in ("--good", "--bad"):
        other = () if end == "--good" else ("--good", "HEAD~1")
        assert run(["bisect", end, "nowhere", *other, "--path", str(made.folder), "--", "true"]) == 69
        assert "no revision 'nowhere'" in capsys.readouterr().err
    made.git("clone", "-q", "--depth", "1", made.folder.as_uri(), str(tmp_path / "shallow"))
    assert run(["bisect", "--good", "HEAD~1", "--path", str(tmp_path / "shallow"), "--", "true"]) == 69
    assert "lies before the history of this shallow clone" in capsys.readouterr().err


def test_before_its_folder_was_there_a_mesh_had_no_proxy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Repository(tmp_path / "monorepo")
    made.commit({"readme.md": "ours\n"}, "no mesh yet")
    come = made.commit({"sub/mesh.yaml": MESH, "sub/web.yaml": WEB, "sub/backend.yaml": BACKEND}, "a mesh")
    assert run(["log", "web-1", str(made.folder / "sub")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [lines[0], "           a mesh"]
    assert lines[0].startswith(come[:10])
    assert lines[0].endswith("+ proxy web-1 of service web comes")


def test_a_proxy_that_is_gone_is_found_by_its_name_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Repository(tmp_path / "mesh")
    made.commit({"mesh.yaml": MESH, "web.yaml": WEB, "backend.yaml": BACKEND}, "a mesh")
    gone = made.commit({"web.yaml": None}, "no web any more")
    made.commit({"mesh.yaml": f"{MESH}mtsl: {{}}\n"}, "oops")
    assert run(["log", "web-1", str(made.folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(gone[:10])
    assert "- proxy web-1 of service web goes" in captured.out
    assert f"HEAD ({made.git('rev-parse', 'HEAD')[:10]}) does not compile" in captured.err
    history = _history(made)
    commits = list(first_parents(history.repository, made.git("rev-parse", "HEAD")))
    assert find_nodes(history, commits, "web-1", "shop") == ("shop.web-1",)
    assert find_nodes(history, commits, "web-1", "elsewhere") == ()


def test_at_the_end_of_a_shallow_clone_it_may_have_been_earlier(
    repository: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, _ = repository
    made.git("clone", "-q", "--depth", "2", made.folder.as_uri(), str(tmp_path / "shallow"))
    assert run(["log", "web-1", str(tmp_path / "shallow")]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("comes, here or earlier: the clone is shallow")
    assert run(["log", "web-1", str(tmp_path / "shallow"), "-o", "json"]) == 0
    assert [one["orEarlier"] for one in json.loads(capsys.readouterr().out)["changes"]] == [True]
    assert run(["log", "web-1", str(made.folder), "-o", "json"]) == 0
    assert not any(one["orEarlier"] for one in json.loads(capsys.readouterr().out)["changes"])
