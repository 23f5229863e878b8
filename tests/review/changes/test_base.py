"""What a change is compared with where nobody says."""

from pathlib import Path

import pytest

from compiler.review.changes.base import Upstream, find_merge_base, find_upstream
from compiler.source.git import open_repository
from tests.review.repositories import Repository


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "repository")
    repository.commit({"a.yaml": "a: 1\n"})
    return repository


def _upstream(repository: Repository) -> Upstream | None:
    return find_upstream(open_repository(repository.folder))


def test_the_branch_that_is_tracked_comes_first(made: Repository) -> None:
    made.git("branch", "release")
    made.git("checkout", "-q", "-b", "feature", "--track", "release")
    assert _upstream(made) == Upstream("release", made.git("rev-parse", "release"))


def test_a_branch_of_the_remote_that_is_called_the_same_is_not_where_it_goes(made: Repository) -> None:
    commit = made.git("rev-parse", "HEAD")
    made.git("checkout", "-q", "-b", "feature")
    for name in ("main", "feature"):
        made.git("update-ref", f"refs/remotes/origin/{name}", commit)
    made.git("config", "branch.feature.remote", "origin")
    made.git("config", "branch.feature.merge", "refs/heads/feature")
    assert _upstream(made) == Upstream("origin/main", commit)


def test_what_the_remote_calls_its_own_comes_before_main(made: Repository) -> None:
    commit = made.git("rev-parse", "HEAD")
    made.git("update-ref", "refs/remotes/origin/trunk", commit)
    made.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert _upstream(made) == Upstream("origin", commit)


def test_without_any_known_branch_there_is_none(made: Repository) -> None:
    made.git("branch", "-m", "main", "elsewhere")
    assert _upstream(made) is None


def test_the_merge_base_is_where_two_branches_parted(made: Repository) -> None:
    parted = made.git("rev-parse", "HEAD")
    made.git("checkout", "-q", "-b", "feature")
    mine = [made.commit({"b.yaml": f"b: {number}\n"}) for number in range(5)][-1]
    made.git("checkout", "-q", "main")
    theirs = made.commit({"c.yaml": "c: 1\n"})
    opened = open_repository(made.folder)
    assert find_merge_base(opened, mine, theirs) == parted
    assert find_merge_base(opened, theirs, mine) == parted
    assert find_merge_base(opened, mine, mine) == mine


def test_a_branch_that_was_merged_into_has_its_merge_as_base(made: Repository) -> None:
    made.git("checkout", "-q", "-b", "feature")
    made.commit({"b.yaml": "b: 1\n"})
    made.git("checkout", "-q", "main")
    theirs = made.commit({"c.yaml": "c: 1\n"})
    made.git("checkout", "-q", "feature")
    made.git("merge", "-q", "--no-edit", "main")
    assert find_merge_base(open_repository(made.folder), made.git("rev-parse", "HEAD"), theirs) == theirs


def test_the_best_of_several_common_commits_counts(made: Repository) -> None:
    """An old side branch is a shorter way to an older common commit than the last merge of main."""
    first = made.git("rev-parse", "HEAD")
    best = [made.commit({"c.yaml": f"c: {number}\n"}) for number in range(3)][-1]
    made.git("checkout", "-q", "-b", "feature")
    for number in range(6):
        made.commit({"b.yaml": f"b: {number}\n"})
    made.git("checkout", "-q", "-b", "old", first)
    made.commit({"d.yaml": "d: 1\n"})
    made.git("checkout", "-q", "feature")
    made.git("merge", "-q", "--no-edit", "old")
    opened, mine = open_repository(made.folder), made.git("rev-parse", "HEAD")
    made.git("checkout", "-q", "main")
    theirs = made.commit({"e.yaml": "e: 1\n"})
    assert made.git("merge-base", mine, theirs) == best
    assert find_merge_base(opened, mine, theirs) == best
    assert find_merge_base(opened, theirs, mine) == best


def test_strangers_have_no_merge_base(made: Repository) -> None:
    first = made.git("rev-parse", "HEAD")
    made.git("checkout", "-q", "--orphan", "stranger")
    other = made.commit({"d.yaml": "d: 1\n"})
    assert find_merge_base(open_repository(made.folder), first, other) is None
