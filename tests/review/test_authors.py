"""Who wrote a line last, whatever happened around it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.review.authors import Authored, find_author
from compiler.source.authorship import find_unchanged, find_writer
from compiler.source.git import open_repository
from tests.source.clone import Clone

FIRST = "one\ntwo\nthree\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def as_grace(clone: Clone, files: dict[str, str | bytes], subject: str) -> str:
    clone.hour += 1
    clone.write(files)
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", subject, "--author", "Grace Hopper <grace@example.com>")
    return clone.git("rev-parse", "HEAD")


def writer(clone: Clone, line: int, file: str = "a.yaml", commit: str | None = "HEAD") -> str | None:
    found = find_author(clone.path, commit, file, line)
    return found.commit if found is not None else None


def test_each_line_has_the_author_of_the_commit_that_wrote_it(clone: Clone) -> None:
    ada = clone.commit({"a.yaml": FIRST}, "the beginning")
    grace = as_grace(clone, {"a.yaml": "zero\none\n2\nthree\n"}, "another two")
    assert find_author(clone.path, "HEAD", "a.yaml", 3) == Authored(
        grace, "Grace Hopper", 1_700_000_000 + 7200, "another two"
    )
    assert find_author(clone.path, grace, "a.yaml", 4) == Authored(
        ada, "Ada Lovelace", 1_700_000_000 + 3600, "the beginning"
    )
    assert [writer(clone, line) for line in (1, 2, 3, 4, 5)] == [grace, ada, grace, ada, None]


def test_commits_of_other_files_are_passed_over(clone: Clone) -> None:
    first = clone.commit({"a/b.yaml": FIRST})
    for number in range(5):
        clone.commit({"a/c.yaml": f"{number}", f"d{number}.yaml": "x"})
    assert writer(clone, 2, "a/b.yaml") == first


def test_a_line_that_a_merge_brought_is_its_branch_s(clone: Clone) -> None:
    clone.commit({"a.yaml": "1\n2\n3\n4\n5\n6\n"})
    clone.git("checkout", "-q", "-b", "side")
    side = as_grace(clone, {"a.yaml": "1\n2\n3\n4\n5\nsix\n"}, "six")
    clone.git("checkout", "-q", "main")
    main = clone.commit({"a.yaml": "one\n2\n3\n4\n5\n6\n"})
    clone.git("merge", "-q", "--no-edit", "side")
    assert (writer(clone, 1), writer(clone, 6)) == (main, side)


def test_of_a_working_tree_only_committed_lines_have_authors(clone: Clone) -> None:
    first = clone.commit({"a.yaml": FIRST})
    clone.write({"a.yaml": "new\none\ntwo\nTHREE\n", "b.yaml": "x\n"})
    assert [writer(clone, line, commit=None) for line in (1, 2, 3, 4, 5)] == ["", first, first, "", ""]
    assert writer(clone, 1, "b.yaml", commit=None) == ""


def test_of_several_lines_the_newest_counts(clone: Clone) -> None:
    first = clone.commit({"a.yaml": FIRST})
    second = clone.commit({"a.yaml": "one\ntwo\n3\n"})
    clone.commit({"a.yaml": "zero\none\ntwo\n3\n"})
    found = [find_author(clone.path, "HEAD", "a.yaml", *lines) for lines in ((2, 3), (2, 3, 4), (3, 9), ())]
    assert [one.commit if one is not None else None for one in found] == [first, second, None, None]


def test_the_last_commit_of_a_shallow_clone_may_not_have_written_it(clone: Clone, tmp_path: Path) -> None:
    clone.commit({"a.yaml": FIRST})
    last = clone.commit({"b.yaml": "x\n"})
    clone.git("clone", "-q", "--depth", "1", clone.path.as_uri(), str(tmp_path / "shallow"))
    found = find_author(tmp_path / "shallow", "HEAD", "a.yaml", 1)
    assert found is not None
    assert (found.commit, found.earlier) == (last, True)
    whole = find_author(clone.path, "HEAD", "a.yaml", 1)
    assert whole is not None
    assert not whole.earlier


def test_a_folder_of_a_repository_names_files_from_itself(clone: Clone) -> None:
    first = clone.commit({"mesh/a.yaml": FIRST})
    for commit in ("HEAD", None):
        found = find_author(clone.path / "mesh", commit, "a.yaml", 1)
        assert found is not None
        assert found.commit == first


def test_what_git_cannot_tell_has_no_author(tmp_path: Path, clone: Clone) -> None:
    (tmp_path / "a.yaml").write_text(FIRST)
    assert find_author(tmp_path, None, "a.yaml", 1) is None
    assert find_author(clone.path, None, "a.yaml", 1) is None
    clone.commit({"a.yaml": FIRST})
    assert find_author(clone.path, "nowhere", "a.yaml", 1) is None
    assert find_author(clone.path, "HEAD", "b.yaml", 1) is None
    assert find_author(clone.path, "HEAD", "a.yaml", 0) is None


def test_a_history_is_followed_no_further_than_its_bound(clone: Clone) -> None:
    first = clone.commit({"a.yaml": FIRST})
    for _ in range(4):
        clone.commit({})
    opened, tip = open_repository(clone.path), clone.git("rev-parse", "HEAD")
    assert find_writer(opened, tip, "a.yaml", 1, max_commits=4) is None
    assert find_writer(opened, tip, "a.yaml", 1, max_commits=5) == first


def test_git_itself_says_the_same(clone: Clone) -> None:
    texts = ["a\nb\nc\nd\n", "a\nx\nc\nd\n", "p\nq\na\nx\nc\n", "p\na\nx\nc\nnew\nlast\n", "a\nx\nc\nnew\n"]
    for text in texts:
        clone.commit({"a.yaml": text})
    told = subprocess.run(
        ["git", "blame", "-l", "--root", "a.yaml"], cwd=clone.path, capture_output=True, text=True, check=True
    )
    expected = [line.split()[0].removeprefix("^") for line in told.stdout.splitlines()]
    assert [writer(clone, line) for line in range(1, len(expected) + 1)] == expected


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=8)


@given(LINES, LINES)
def test_a_line_is_found_again_only_as_itself_and_in_order(before: list[bytes], after: list[bytes]) -> None:
    found = [(line, place) for line in range(len(after)) if (place := find_unchanged(before, after, line)) is not None]
    assert all(before[place] == after[line] for line, place in found)
    assert [place for _, place in found] == sorted({place for _, place in found})
