"""`meshwright plan`, as somebody types it."""

import json
from pathlib import Path

import pytest

from compiler.cli.exits import FINE, FOUND, UNREACHABLE, UNREADABLE, USAGE
from compiler.cli.main import run
from compiler.cli.plan_command import CHANGED, FORMS, NOTHING
from compiler.review.kept.folder import FEWEST
from tests.cli.command import meshwright
from tests.review.repositories import Repository
from tests.review.shop_edits import FASTER, SHOP, edited, service, validator

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "shop")
    repository.commit(SHOP, "the shop")
    repository.git("checkout", "-q", "-b", "feature")
    return repository


def _plan(made: Repository, *words: str) -> int:
    return run(["plan", str(made.folder), *words])


def test_a_working_tree_is_compared_with_where_its_branch_left_main(made: Repository, capsys: Captured) -> None:
    made.commit(edited(FASTER), "faster", author="Bob")
    made.git("checkout", "-q", "main")
    made.commit({"retry.yaml": None}, "not of this change")
    made.git("checkout", "-q", "feature")
    assert _plan(made, "-o", "json") == FINE
    found = json.loads(capsys.readouterr().out)
    validator().validate(found)
    assert found["base"]["commit"] == made.git("rev-parse", "feature~1")
    assert found["head"]["commit"] == made.git("rev-parse", "feature")
    (group,) = found["groups"]
    (cause,) = group["causes"]
    assert (cause["file"], cause["line"], cause["author"]) == ("defaults.yaml", 10, "Bob")
    assert cause["commit"] == found["head"]["commit"]


def test_edits_that_are_not_committed_are_nobodys_yet(made: Repository, capsys: Captured) -> None:
    made.write(edited(FASTER))
    assert _plan(made, "-o", "json") == FINE
    found = json.loads(capsys.readouterr().out)
    assert (found["head"]["name"], found["head"]["commit"]) == ("working tree", None)
    (cause,) = found["groups"][0]["causes"]
    assert (cause["commit"], cause["author"]) == (None, None)


def test_whoever_removed_a_document_is_named_and_not_who_wrote_it(made: Repository, capsys: Captured) -> None:
    commit = made.commit({"permissions.yaml": None}, "closed", author="Eve")
    assert _plan(made, "-o", "json") == FINE
    (cause,) = json.loads(capsys.readouterr().out)["groups"][0]["causes"]
    assert (cause["kind"], cause["side"], cause["author"], cause["commit"]) == ("removed", "base", "Eve", commit)


def test_two_commits_are_compared_in_a_folder_of_a_repository(tmp_path: Path, capsys: Captured) -> None:
    repository = Repository(tmp_path / "monorepo")
    repository.commit({f"mesh/{path}": text for path, text in SHOP.items()} | {"readme.yaml": "a: 1\n"})
    repository.commit({f"mesh/{path}": text for path, text in edited(FASTER).items()}, author="Bob")
    assert run(["plan", str(repository.folder / "mesh"), "--base", "HEAD~1", "--head", "HEAD", "-o", "json"]) == FINE
    (cause,) = json.loads(capsys.readouterr().out)["groups"][0]["causes"]
    assert (cause["file"], cause["author"]) == ("defaults.yaml", "Bob")


@pytest.mark.parametrize("base", ["0" * 40, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"])
def test_what_stands_for_no_commit_makes_everything_new(made: Repository, capsys: Captured, base: str) -> None:
    assert _plan(made, "--base", base, "-o", "json") == FINE
    found = json.loads(capsys.readouterr().out)
    assert (found["base"]["digest"], found["summary"]["proxiesAdded"]) == ("", 8)
    assert {group["kind"] for group in found["groups"]} == {"added"}


def test_before_the_first_commit_everything_is_new(tmp_path: Path, capsys: Captured) -> None:
    repository = Repository(tmp_path / "new")
    repository.write(SHOP)
    assert run(["plan", str(repository.folder), "-o", "json"]) == FINE
    assert json.loads(capsys.readouterr().out)["summary"]["proxiesAdded"] == 8


def test_exit_codes_tell_changes_risks_and_errors_apart(made: Repository, capsys: Captured) -> None:
    assert _plan(made, "--detailed-exitcode") == FINE
    made.write(edited(FASTER))
    assert _plan(made) == FINE
    assert _plan(made, "--detailed-exitcode") == CHANGED
    assert _plan(made, "--detailed-exitcode", "--fail-on", "changes-default,weakens-tls") == FOUND
    assert _plan(made, "--fail-on", "medium") == FOUND
    assert _plan(made, "--fail-on", "high") == FINE
    made.write(edited(("defaults.yaml", "requestTimeout", "requestTimout")))
    assert _plan(made, "--detailed-exitcode") == FOUND
    capsys.readouterr()


def test_the_branch_that_a_change_goes_to_is_named(made: Repository, capsys: Captured) -> None:
    base = made.git("rev-parse", "main")
    made.commit(edited(FASTER))
    assert _plan(made) == FINE
    assert f"main ({base[:10]}) → working tree (" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("base", sorted(NOTHING))
def test_what_stands_for_no_commit_is_called_nothing(made: Repository, capsys: Captured, base: str) -> None:
    assert _plan(made, "--base", base) == FINE
    assert "nothing → working tree" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("option", ["--base", "--head"])
def test_an_empty_revision_is_refused_and_not_taken_for_the_default(
    made: Repository, capsys: Captured, option: str
) -> None:
    assert _plan(made, option, "") == USAGE
    assert f"{option} is empty" in capsys.readouterr().err


def test_of_a_bare_repository_the_head_is_its_commit(made: Repository, tmp_path: Path, capsys: Captured) -> None:
    made.commit(edited(FASTER))
    made.git("clone", "-q", "--bare", str(made.folder), str(tmp_path / "shop.git"))
    assert run(["plan", str(tmp_path / "shop.git"), "-o", "json"]) == FINE
    found = json.loads(capsys.readouterr().out)
    assert (found["head"]["name"], found["head"]["commit"]) == ("HEAD", made.git("rev-parse", "HEAD"))
    assert [group["title"] for group in found["groups"]] == ["request timeout of service backend: 10s → 5s"]


@pytest.mark.parametrize("words", [["access"], ["validate"], ["test"], ["compile"], ["explain", "web-1", "x"]])
def test_a_bare_repository_has_no_files_to_look_at(
    made: Repository, tmp_path: Path, capsys: Captured, words: list[str]
) -> None:
    made.git("clone", "-q", "--bare", str(made.folder), str(tmp_path / "shop.git"))
    assert run([*words, str(tmp_path / "shop.git")]) == UNREADABLE
    assert "a bare repository has commits and no files; name a commit with --at" in capsys.readouterr().err
    assert run([*words, str(tmp_path / "shop.git"), "--at", "main"]) in (FINE, FOUND)
    assert "bare" not in capsys.readouterr().err


def test_a_folder_that_the_base_lacks_is_all_new(tmp_path: Path, capsys: Captured) -> None:
    repository = Repository(tmp_path / "monorepo")
    repository.commit({"readme.yaml": "a: 1\n"})
    repository.write({f"mesh/{path}": text for path, text in SHOP.items()})
    folder = str(repository.folder / "mesh")
    assert run(["plan", folder, "--base", "main", "-o", "json"]) == FINE
    found = json.loads(capsys.readouterr().out)
    assert (found["summary"]["proxiesAdded"], found["prefix"], found["base"]["digest"]) == (8, "mesh", "")
    assert run(["access", folder, "--base", "main", "-o", "json"]) == FINE
    diff = json.loads(capsys.readouterr().out)["diff"]
    assert diff["added"]
    assert not diff["removed"]
    assert run(["plan", folder, "--base", "main", "--head", "main"]) == UNREACHABLE
    assert "has no directory 'mesh'" in capsys.readouterr().err


def test_a_folder_without_a_mesh_is_not_taken_for_one_that_stays_as_it_is(tmp_path: Path, capsys: Captured) -> None:
    repository = Repository(tmp_path / "monorepo")
    repository.commit({"mesh/mesh.yaml": SHOP["mesh.yaml"], "docs/readme.yaml": "a: 1\n"})
    assert run(["plan", str(repository.folder / "docs")]) == UNREADABLE
    assert "there is no Mesh in it" in capsys.readouterr().err
    assert run(["plan", str(repository.folder / "mesh")]) == FINE
    assert "no proxy changes" in capsys.readouterr().out


@pytest.mark.parametrize("revision", [(), ("--head", "HEAD")])
def test_forges_are_told_paths_from_the_root_of_the_repository(
    tmp_path: Path, capsys: Captured, revision: tuple[str, ...]
) -> None:
    repository = Repository(tmp_path / "monorepo")
    repository.commit({f"a/mesh/{path}": text for path, text in SHOP.items()})
    repository.commit({f"a/mesh/{path}": text for path, text in edited(FASTER).items()})
    asked = ["plan", str(repository.folder / "a/mesh"), "--base", "HEAD~1", *revision]
    assert run([*asked, "-o", "github"]) == FINE
    assert "file=a/mesh/defaults.yaml,line=10" in capsys.readouterr().out
    assert run([*asked, "-o", "sarif"]) == FINE
    assert '"uri": "a/mesh/defaults.yaml"' in capsys.readouterr().out


def test_the_change_that_mends_a_broken_base_is_fine(made: Repository, capsys: Captured) -> None:
    made.git("checkout", "-q", "main")
    made.commit(edited(("defaults.yaml", "requestTimeout", "requestTimout")), "broken")
    made.git("checkout", "-q", "-b", "mend")
    made.commit(SHOP, "mended")
    assert _plan(made) == FINE
    text = capsys.readouterr().out
    assert text.startswith("the base does not compile; the head does: what changes is not known")
    assert "in the base: defaults.yaml:10:" in text
    assert _plan(made, "--detailed-exitcode") == CHANGED
    assert _plan(made, "--base", "mend", "--head", "main") == FOUND
    capsys.readouterr()


def test_an_unknown_risk_is_refused_with_a_guess(made: Repository, capsys: Captured) -> None:
    assert _plan(made, "--fail-on", "opens-acess") == USAGE
    assert "there is no risk 'opens-acess'; did you mean opens-access?" in capsys.readouterr().err


def test_a_working_tree_with_a_link_that_no_commit_has_is_not_named_by_its_commit(
    made: Repository, capsys: Captured
) -> None:
    (made.folder / "link.html").symlink_to("defaults.yaml")
    assert _plan(made, "-o", "json") == FINE
    assert json.loads(capsys.readouterr().out)["head"]["commit"] is None
    made.commit({}, "the link")
    assert _plan(made, "-o", "json") == FINE
    assert json.loads(capsys.readouterr().out)["head"]["commit"] == made.git("rev-parse", "HEAD")


def test_sets_in_files_that_the_settings_leave_out_are_removed(made: Repository, capsys: Captured) -> None:
    made.write({"meshwright.yaml": "paths: [nope]\n"})
    assert _plan(made, "-o", "json") == FINE
    found = json.loads(capsys.readouterr().out)
    assert {one["kind"] for one in found["documents"]} == {"removed"}


def test_where_nothing_can_be_compared_with_a_sentence_says_so(
    made: Repository, tmp_path: Path, capsys: Captured
) -> None:
    made.git("branch", "-D", "main")
    made.git("branch", "-m", "elsewhere")
    assert _plan(made) == UNREADABLE
    assert "name a commit with --base" in capsys.readouterr().err
    (tmp_path / "plain").mkdir()
    assert run(["plan", str(tmp_path / "plain")]) == UNREACHABLE
    assert "lies in no Git repository" in capsys.readouterr().err
    assert _plan(made, "--base", "nonsense") == UNREACHABLE
    assert "no revision 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_printed(made: Repository, capsys: Captured, form: str) -> None:
    made.write(edited(FASTER))
    assert _plan(made, "-o", form) == FINE
    assert "defaults" in capsys.readouterr().out


def test_the_command_needs_no_network_and_nothing_of_whoever_runs_it(made: Repository) -> None:
    made.write(edited(FASTER))
    done = meshwright("plan", made.folder, variables={"HOME": "/nonexistent", "PAGER": "false"})
    assert (done.returncode, done.stderr) == (FINE, "")
    assert "request timeout of service backend: 10s → 5s" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.fixture
def large(tmp_path: Path) -> Repository:
    """As many proxies as it takes for a base to be kept."""
    repository = Repository(tmp_path / "large")
    repository.commit({**SHOP, "teams/web.yaml": service("web", FEWEST, "backend", place=2)}, "the shop")
    repository.commit({"defaults.yaml": edited(FASTER)["defaults.yaml"]}, "faster")
    return repository


def _images(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(("zone", "fewest"), [((), FEWEST), (("--zone", "west"), FEWEST // 2)], ids=["all", "a zone"])
def test_the_next_plan_begins_with_the_base_that_this_one_kept(
    large: Repository, tmp_path: Path, zone: tuple[str, ...], fewest: int
) -> None:
    said = []
    for words in (["--no-cache"], ["--cache", tmp_path / "kept"], ["--cache", tmp_path / "kept"]):
        done = meshwright("plan", large.folder, "--base", "main~1", "-o", "json", *zone, *words)
        assert (done.returncode, done.stderr) == (FINE, "")
        said.append((done.stdout, _images(tmp_path / "kept")))
    (without, none), (first, one), (second, same) = said
    assert first == second == without
    assert json.loads(without)["summary"]["proxies"]["touched"] >= fewest
    assert (none, len(one), same) == ([], 1, one)


def test_a_base_is_kept_where_programs_keep_such_things(large: Repository, tmp_path: Path) -> None:
    homes = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path / "home")}
    done = meshwright("plan", large.folder, "--base", "main~1", variables=homes)
    assert (done.returncode, done.stderr) == (FINE, "")
    assert (len(_images(tmp_path / "xdg" / "meshwright")), (tmp_path / "home").exists()) == (1, False)


def test_a_home_that_cannot_be_used_is_no_matter(large: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = meshwright("plan", large.folder, "--base", "main~1", variables={"XDG_CACHE_HOME": str(tmp_path / "file")})
    assert (done.returncode, done.stderr) == (FINE, "")
    assert "proxies change" in done.stdout


def test_whoever_named_a_folder_that_cannot_be_used_is_warned(made: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = meshwright("plan", made.folder, variables={"MESHWRIGHT_PLAN_CACHE": str(tmp_path / "file")})
    assert done.returncode == FINE
    assert done.stderr.startswith("meshwright: warning: nothing is kept for the next plan: ")
    assert done.stderr.count("\n") == 1
    assert "no proxy changes" in done.stdout
