"""Commits, directories and revisions of real repositories, hostile ones among them."""

import os
import socket
import time
from pathlib import Path

import pytest

from compiler.diagnostics import Severity
from compiler.source import tree as limits
from compiler.source.git import (
    DamagedObject,
    EmptyRepository,
    GitUnavailable,
    NotARepository,
    UnknownRevision,
    open_repository,
    read_commit,
    resolve,
)
from compiler.source.mirror import Mirror
from compiler.source.parse import parse
from compiler.source.refs import discover
from compiler.source.tree import FileChanged, differing_files, read_directory
from tests.source.clone import FILES, READ, Clone, paths

# Git's own name for the content tells whether it is whole: the end mark and checksum of the compression may be missing.
ZLIB_END_BYTES = 5


# --- reading a commit


def test_a_commit_gives_its_configuration_files_by_path(clone: Clone) -> None:
    commit = clone.commit(FILES)
    checked = read_commit(clone.path, "main")
    tree = checked.value
    assert not checked.diagnostics
    assert paths(tree) == READ
    assert tree.commit == commit
    assert tree.tree == clone.git("rev-parse", "HEAD^{tree}")
    mesh = tree.files[1]
    assert (mesh.blob, mesh.size) == (clone.git("rev-parse", "HEAD:mesh.yaml"), 25)
    assert tree.read(mesh) == b"type: Mesh\nname: default\n"


def test_a_subdirectory_is_a_tree_of_its_own(clone: Clone) -> None:
    clone.commit({"a/b/x.yaml": "x: 1", "a/y.yaml": "y: 1", "z.yaml": "z: 1"})
    tree = read_commit(clone.path, "HEAD", "/a/b/").value
    assert (paths(tree), tree.prefix) == (["x.yaml"], "a/b")
    assert tree.tree == clone.git("rev-parse", "HEAD:a/b")
    with pytest.raises(UnknownRevision, match="no directory 'a/c'"):
        read_commit(clone.path, "HEAD", "a/c")
    with pytest.raises(UnknownRevision):
        read_commit(clone.path, "HEAD", "a/../a")


def test_packed_and_loose_repositories_read_alike(clone: Clone) -> None:
    clone.commit(FILES)
    loose = read_commit(clone.path, "main")
    clone.git("gc", "-q")
    assert read_commit(clone.path, "main") == loose
    assert parse(loose.value).value[1].value == {"type": "Mesh", "name": "default"}


def test_the_same_content_in_a_directory_has_the_same_ids(clone: Clone) -> None:
    clone.commit({"b.yaml": "b: 1", "b/c.yaml": "c: 1", "b-d/e.json": "{}", "run.yaml": "r: 1"})
    (clone.path / "run.yaml").chmod(0o755)
    clone.commit({})
    committed, on_disk = read_commit(clone.path, "HEAD").value, read_directory(clone.path).value
    assert on_disk.files == committed.files
    assert on_disk.tree == committed.tree
    assert on_disk.commit is None
    assert [on_disk.read(file) for file in on_disk.files] == [committed.read(file) for file in committed.files]


def test_sizes_known_from_the_previous_tree_are_not_asked_for_again(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    before = read_commit(clone.path, "HEAD").value
    clone.commit({"b.yaml": "b: 1"})
    blob = before.files[0].blob
    (clone.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert paths(read_commit(clone.path, "HEAD", previous=before).value) == ["a.yaml", "b.yaml"]
    with pytest.raises(DamagedObject):
        read_commit(clone.path, "HEAD")


def test_reading_after_another_commit_gives_the_same_as_reading_alone(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1", "b/x.yaml": "x: 1", "c/d/y.yaml": "y: 1", "big/z.yaml": b"#" * 2_000_000})
    (clone.path / "b/link").symlink_to("x.yaml")
    clone.commit({})
    previous = read_commit(clone.path, "HEAD").value
    changes: list[dict[str, str | bytes]] = [{"a.yaml": "a: 2"}, {"c/d/y.yaml": "y: 2", "c/e": ""}, {"n/e/w.yml": ""}]
    for change in changes:
        clone.commit(change)
        alone, after = read_commit(clone.path, "HEAD"), read_commit(clone.path, "HEAD", previous=previous)
        assert after == alone
        assert [found.code.word for found in after.diagnostics].count("symlink") == 1
        assert after.value.root == alone.value.root
        assert read_commit(clone.path, "HEAD", previous=previous, max_bytes=3).value.files != alone.value.files
        previous = after.value


def test_two_commits_differ_in_the_directories_that_they_do_not_share(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1", "b/x.yaml": "x: 1", "b/c/y.yaml": "y: 1", "d/z.yaml": "z: 1"})
    before = read_commit(clone.path, "HEAD").value
    clone.git("mv", "d", "b/d")
    clone.commit({"b/x.yaml": "x: 2"})
    after = read_commit(clone.path, "HEAD", previous=before).value
    gone, come = differing_files(before, after)
    assert sorted(file.path for file in gone) == ["a.yaml", "b/x.yaml", "d/z.yaml"]
    assert sorted(file.path for file in come) == ["a.yaml", "b/d/z.yaml", "b/x.yaml"]
    assert differing_files(after, read_commit(clone.path, "HEAD").value) == ([], [])
    assert differing_files(before, read_directory(clone.path).value)[0] == before.files


def test_the_files_of_a_commit_are_sorted_by_path(clone: Clone) -> None:
    names = ["a/b.yaml", "a.yaml", "a-b/c.yaml", "a/b/c.yaml", "a/b-c.yaml", "a/é.yaml", "a0/x.yaml", "b.yaml"]
    clone.commit(dict.fromkeys(names, "a: 1"))
    assert paths(read_commit(clone.path, "HEAD").value) == sorted(names)


def test_a_directory_that_did_not_change_is_not_listed_again(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1", "b/x.yaml": "x: 1"})
    previous = read_commit(clone.path, "HEAD").value
    tree = clone.git("rev-parse", "HEAD:b")
    clone.commit({"a.yaml": "a: 2"})
    (clone.path / ".git/objects" / tree[:2] / tree[2:]).unlink()
    assert paths(read_commit(clone.path, "HEAD", previous=previous).value) == ["a.yaml", "b/x.yaml"]
    with pytest.raises(DamagedObject, match=tree):
        read_commit(clone.path, "HEAD")


def test_a_name_that_stands_twice_is_refused(clone: Clone) -> None:
    line = b"100644 a.yaml\0" + clone.blob("a: 1")
    checked = read_commit(clone.path, clone.commit_tree(line + line))
    assert (paths(checked.value), [found.code.word for found in checked.diagnostics]) == (["a.yaml"], ["unsafe-name"])


def test_a_large_file_is_refused_by_its_size_alone(clone: Clone) -> None:
    clone.commit({"big.yaml": b"# " + b"\0" * 50_000_000, "small.yaml": "a: 1"})
    started = time.process_time()
    checked = read_commit(clone.path, "HEAD")
    assert time.process_time() - started < 1
    assert paths(checked.value) == ["small.yaml"]
    (found,) = checked.diagnostics
    assert (found.position.file, found.code.word) == ("big.yaml", "file-too-large")
    assert "50,000,002" in found.message
    assert read_directory(clone.path).diagnostics == checked.diagnostics


def test_links_and_submodules_are_refused_by_name(clone: Clone, tmp_path: Path) -> None:
    other = Clone(tmp_path / "other")
    other.commit({"x.yaml": "x: 1"})
    clone.path.joinpath("passwd.yaml").symlink_to("/etc/passwd")
    clone.path.joinpath("shared").symlink_to("../other")
    clone.path.joinpath("CLAUDE.md").symlink_to("README.md")
    clone.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "vendor")
    clone.commit({"a.yaml": "a: 1"})
    checked = read_commit(clone.path, "HEAD")
    assert paths(checked.value) == ["a.yaml"]
    assert sorted((found.position.file, found.code.word, found.level) for found in checked.diagnostics) == [
        ("CLAUDE.md", "symlink", Severity.WARNING),
        ("passwd.yaml", "symlink", Severity.ERROR),
        ("shared", "symlink", Severity.ERROR),
        ("vendor", "submodule", Severity.ERROR),
    ]
    on_disk = read_directory(clone.path)
    assert set(on_disk.diagnostics) == set(checked.diagnostics)
    assert on_disk.value.files == checked.value.files


def test_a_git_lfs_pointer_is_refused(clone: Clone) -> None:
    clone.commit({"a.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"})
    checked = read_commit(clone.path, "HEAD").then(parse)
    assert [str(found.code) for found in checked.diagnostics] == ["git-lfs-pointer"]


@pytest.mark.parametrize(
    "name",
    [b"..", b".", b".git", b".GIT", b"a\\b.yaml", b"a/b.yaml", b"a\nb.yaml", b"\x1b[2J.yaml", b"a\xff.yaml", b"",
     "a\u202elmay".encode(), "ad\u200bmin.yaml".encode(), b"a\tb"],
)  # fmt: skip
def test_deceptive_names_are_refused(clone: Clone, name: bytes) -> None:
    blob = clone.blob("a: 1")
    commit = clone.commit_tree(b"100644 %s\0%s" % (name, blob) + b"100644 z.yaml\0" + blob)
    checked = read_commit(clone.path, commit)
    assert paths(checked.value) == ["z.yaml"]
    (found,) = checked.diagnostics
    assert found.code.word == "unsafe-name"
    assert found.position.file.isprintable()


def test_a_directory_of_a_deceptive_name_is_not_entered(clone: Clone) -> None:
    inner = bytes.fromhex(clone.git("mktree", stdin=b"100644 blob %s\ta.yaml" % clone.blob("a: 1").hex().encode()))
    checked = read_commit(clone.path, clone.commit_tree(b"40000 ..\0" + inner))
    assert (paths(checked.value), [found.code.word for found in checked.diagnostics]) == ([], ["unsafe-name"])


def test_unknown_modes_are_refused(clone: Clone) -> None:
    checked = read_commit(clone.path, clone.commit_tree(b"100600 a.yaml\0" + clone.blob("a: 1")))
    assert [found.code.word for found in checked.diagnostics] == ["special-file"]


def test_trees_that_name_one_another_end_at_a_bound(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = b"100644 a.yaml\0" + clone.blob("a: 1")
    for _ in range(12):
        inner = bytes.fromhex(clone.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=tree))
        tree = b"".join(b"40000 %c\0%s" % (letter, inner) for letter in b"abcdefghij")
    monkeypatch.setattr("compiler.source.git.MAX_FILES", 1000)
    checked = read_commit(clone.path, clone.commit_tree(tree))
    assert [found.code.word for found in checked.diagnostics] == ["too-many-files"]


def test_a_very_deep_tree_is_refused(clone: Clone) -> None:
    tree = b"100644 a.yaml\0" + clone.blob("a: 1")
    for _ in range(limits.MAX_DIRECTORIES_DEEP + 5):
        inner = bytes.fromhex(clone.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=tree))
        tree = b"40000 d\0" + inner
    checked = read_commit(clone.path, clone.commit_tree(tree))
    assert [found.code.word for found in checked.diagnostics] == ["too-many-files"]


# --- reading a directory


def test_a_directory_needs_no_repository(tmp_path: Path) -> None:
    (tmp_path / "sub/.venv").mkdir(parents=True)
    (tmp_path / "sub/a.yaml").write_text("a: 1")
    (tmp_path / "sub/.venv/b.yaml").write_text("b: 1")
    (tmp_path / ".hidden.yaml").write_text("c: 1")
    checked = read_directory(tmp_path)
    assert paths(checked.value) == [".hidden.yaml", "sub/a.yaml"]
    assert parse(checked.value).value[1].value == {"a": 1}


def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.yaml"))
        checked = read_directory(tmp_path)
    assert [found.code.word for found in checked.diagnostics] == ["special-file", "special-file"]


def test_a_file_that_changes_after_the_listing_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")
    tree = read_directory(tmp_path).value
    (tmp_path / "a.yaml").write_text("a: 2")
    with pytest.raises(FileChanged, match=r"a\.yaml changed"):
        tree.read(tree.files[0])


def test_names_that_are_not_utf8_are_refused_on_disk_too(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/a\xff.yaml")).write_text("a: 1")
    (found,) = read_directory(tmp_path).diagnostics
    assert (found.code.word, found.position.file) == ("unsafe-name", "a\\xff.yaml")


def test_a_name_is_escaped_once_and_a_backslash_in_it_stays_apart(clone: Clone) -> None:
    blob = clone.blob("a: 1")
    names = (b"a\\xe9", b"a\xe9", "b\u202e".encode())
    commit = clone.commit_tree(b"".join(b"100644 %s.yaml\0%s" % (name, blob) for name in names))
    shown = [found.position.file for found in read_commit(clone.path, commit).diagnostics]
    assert shown == ["a\\\\xe9.yaml", "a\\xe9.yaml", "b\\u202e.yaml"]


def test_a_folder_that_nobody_may_read_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is made here."""
    (tmp_path / "mesh").mkdir()
    exists, scandir = Path.exists, os.scandir

    def refuse(path: Path) -> None:
        if tmp_path / "mesh" in (path, *path.parents):
            raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda path: refuse(path) or exists(path))
        patched.setattr(os, "scandir", lambda path: refuse(Path(path)) or scandir(path))
        with pytest.raises(PermissionError) as found:
            read_directory(tmp_path)
    assert found.value.filename == str(tmp_path / "mesh")


# --- revisions


def test_revisions_mean_what_git_says(clone: Clone) -> None:
    for number in range(3):
        clone.commit({"a.yaml": f"a: {number}"})
    clone.git("checkout", "-q", "-b", "feature/x", "HEAD~1")
    clone.commit({"b.yaml": "b: 1"})
    clone.git("checkout", "-q", "main")
    clone.git("merge", "-q", "--no-ff", "-m", "merge", "feature/x")
    clone.git("tag", "-a", "v1", "-m", "annotated")
    clone.git("tag", "-a", "v1-again", "-m", "tag of a tag", "v1")
    clone.git("tag", "plain", "HEAD~1")
    names = ["HEAD", "@", "main", "v1", "v1-again", "plain", "feature/x", "refs/heads/main", "heads/main", "HEAD~1",
             "HEAD^2", "HEAD^^", "main~2", "v1^0", "v1^{}", "v1^{commit}", "HEAD^2~1"]  # fmt: skip
    for pack in (False, True):
        for name in [*names, clone.git("rev-parse", "main"), clone.git("rev-parse", "--short", "main")]:
            assert resolve(clone.path, name) == clone.git("rev-parse", name + "^{commit}"), (pack, name)
        clone.git("pack-refs", "--all")
        clone.git("repack", "-adq")
    main = clone.git("rev-parse", "main")
    assert resolve(clone.path, f"main@sha1:{main}") == main


@pytest.mark.parametrize(
    "revision",
    ["absent", "", "0" * 40, "HEAD~99", "HEAD^3", "HEAD:a.yaml", "../../x", "HEAD@{1}", "--all", "a\0b", "HEAD^{tree}",
     "refs/../HEAD", "deadbeef", "~1", "config", "main^{"],
)  # fmt: skip
def test_an_unknown_revision_is_named(clone: Clone, revision: str) -> None:
    clone.commit({"a.yaml": "a: 1"})
    with pytest.raises(UnknownRevision) as refused:
        resolve(clone.path, revision)
    assert "\n" not in str(refused.value)


def test_a_tree_or_blob_is_no_revision(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    with pytest.raises(UnknownRevision, match="is no commit"):
        resolve(clone.path, clone.git("rev-parse", "HEAD:a.yaml"))


def test_an_empty_repository_says_so(clone: Clone) -> None:
    with pytest.raises(EmptyRepository, match="commit something first"):
        resolve(clone.path, "HEAD")


def test_what_is_no_repository_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(NotARepository, match="git init"):
            open_repository(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_repository_is_unavailable(clone: Clone) -> None:
    clone.commit({"a.yaml": "a: 1"})
    clone.path.chmod(0)
    try:
        with pytest.raises(GitUnavailable, match="permissions"):
            open_repository(clone.path)
    finally:
        clone.path.chmod(0o755)


def test_bare_repositories_and_linked_worktrees_are_read(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"a.yaml": "a: 1"})
    clone.git("clone", "-q", "--bare", str(clone.path), str(tmp_path / "bare.git"))
    clone.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    clone.commit({"b.yaml": "b: 1"})
    assert resolve(tmp_path / "bare.git", "main") == commit
    assert resolve(tmp_path / "linked", "HEAD") == commit
    assert resolve(tmp_path / "linked", "main") == clone.git("rev-parse", "main")


def test_a_repository_is_found_from_inside(clone: Clone) -> None:
    clone.commit({"a/b/x.yaml": "x: 1"})
    assert discover(clone.path / "a/b") == (clone.path, "a/b")
    assert discover(clone.path) == (clone.path, "")


def test_nothing_that_the_repository_configures_is_read_or_run(clone: Clone, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    marker = tmp_path / "ran"
    commit = clone.commit({"a.yaml": "a: 1", ".gitattributes": "* filter=evil\n"})
    with (clone.path / ".git/config").open("a") as configuration:
        configuration.write(f"[include]\n\tpath = {tmp_path}/pipe\n[core]\n\tfsmonitor = touch {marker}\n")
        configuration.write(f'[filter "evil"]\n\tsmudge = touch {marker}\n\tclean = touch {marker}\n')
    tree = read_commit(clone.path, "main").value
    assert (tree.commit, tree.read(tree.files[0])) == (commit, b"a: 1")
    assert not marker.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_another_user_is_read(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"a.yaml": "a: 1"})
    for path in (clone.path, *clone.path.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert read_commit(clone.path, "main").value.commit == commit
    assert Mirror(tmp_path / "mirror.git").open_source(clone.path).tip("main") == commit


def test_a_sha256_repository_is_refused_with_its_reason(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "new", "--object-format=sha256")
    clone.commit({"a.yaml": "a: 1"})
    with pytest.raises(NotARepository, match="SHA-256"):
        resolve(clone.path, "main")


def test_a_shallow_clone_is_read_and_says_where_it_ends(clone: Clone, tmp_path: Path) -> None:
    clone.commit({"a.yaml": "a: 1"})
    commit = clone.commit({"a.yaml": "a: 2"})
    clone.git("clone", "-q", "--depth=1", f"file://{clone.path}", str(tmp_path / "shallow"))
    assert paths(read_commit(tmp_path / "shallow", commit).value) == ["a.yaml"]
    with pytest.raises(UnknownRevision, match="unshallow"):
        resolve(tmp_path / "shallow", "HEAD~1")
