"""Hints that a ref has moved, and what the watched repository says of itself."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest

from compiler.reconcile.ports import SourceError
from compiler.reconcile.watch import watch_refs
from compiler.reconcile.watched import WatchedRepository
from tests.reconcile.daemon import Repository

DEADLINE = 20.0
"""Seconds; a hint takes milliseconds, or a second where the folder was not there a moment ago."""

QUIET = {"inotify": 0.3, "watchfiles": 0.3, "watchfiles that polls": 1.7}
"""Seconds without a hint after which none is due; where refs are polled, a last one comes after 1.1."""


class Hints:
    """What a watch says of one repository."""

    def __init__(self, repository: Path, quiet: float) -> None:
        self.times: list[float] = []
        self._repository, self._quiet = repository, quiet
        watch_refs(repository, lambda: self.times.append(time.monotonic()))

    def settle(self, seconds: float = 0.0) -> None:
        """Until what happened before is told."""
        end = time.monotonic() + max(seconds, self._quiet)
        while (left := max(end, *(at + self._quiet for at in [0.0, *self.times[-1:]])) - time.monotonic()) > 0:
            time.sleep(left)
        self.times.clear()

    def wait(self, since: float = 0.0) -> None:
        end = time.monotonic() + DEADLINE
        while not any(at >= since for at in self.times):
            assert time.monotonic() < end, "no hint"
            time.sleep(0.005)

    def close(self) -> None:
        """A thread that has nothing to watch costs the other tests nothing."""
        shutil.rmtree(self._repository)


@pytest.fixture(params=["inotify", "watchfiles"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the test's refs are watched; the last, for tests that ask for it, where `max_user_instances` are in use."""
    match request.param:
        case "inotify":
            pytest.importorskip("inotify_simple")
        case "watchfiles":
            monkeypatch.setattr("compiler.reconcile.watch._IS_LINUX", False)
        case "watchfiles that polls":
            pytest.importorskip("inotify_simple")
            refusal = Mock(side_effect=OSError(errno.EMFILE, "Too many open files"))
            monkeypatch.setattr("inotify_simple.INotify.__init__", refusal)
    return str(request.param)


@pytest.fixture
def watch(way: str) -> Iterator[Callable[[Path], Hints]]:
    with ExitStack() as stack:

        def begin(repository: Path) -> Hints:
            hints = Hints(repository, QUIET[way])
            stack.callback(hints.close)
            hints.settle()
            return hints

        yield begin


@pytest.fixture
def bare(repository: Repository, tmp_path: Path) -> Path:
    """Where `push` pushes to."""
    repository.commit("one\n")
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    repository.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


def push(repository: Repository, branch: str) -> None:
    repository.commit("more\n")
    repository.git("push", "-q", "origin", f"main:{branch}")


@pytest.mark.parametrize("way", list(QUIET), indirect=True)
def test_a_push_is_hinted(repository: Repository, bare: Path, watch: Callable[[Path], Hints]) -> None:
    hints = watch(bare)
    push(repository, "main")
    hints.wait()


def test_a_branch_in_a_folder_is_hinted_when_it_is_made_when_it_moves_and_when_it_goes(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints]
) -> None:
    hints = watch(bare)
    for name in ("refs/heads/team/web/feature", "refs/heads/team/web/feature", "refs/heads/team/api/feature"):
        push(repository, name)
        hints.wait()
        hints.settle()
    repository.git("push", "-q", "origin", ":refs/heads/team/web/feature")
    hints.wait()


def test_a_branch_that_was_packed_is_hinted_when_it_goes(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints]
) -> None:
    push(repository, "refs/heads/feature")
    repository.git("-C", str(bare), "pack-refs", "--all")
    hints = watch(bare)
    repository.git("push", "-q", "origin", ":feature")
    hints.wait()


def test_a_folder_of_branches_that_is_moved_is_hinted_and_watched_where_it_is(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints]
) -> None:
    hints = watch(bare)
    push(repository, "refs/heads/team/feature")
    hints.settle()
    (bare / "refs" / "heads" / "team").rename(bare / "refs" / "heads" / "crew")
    hints.wait()
    for _ in range(2):
        hints.settle()
        push(repository, "refs/heads/crew/web/feature")
        hints.wait()


def test_a_ref_that_is_written_without_a_lock_is_hinted(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints]
) -> None:
    push(repository, "main")
    hints = watch(bare)
    (bare / "refs" / "heads" / "main").write_text(repository.git("rev-parse", "HEAD~1"))
    hints.wait()


def test_a_repository_that_appears_later_is_watched_then(tmp_path: Path, watch: Callable[[Path], Hints]) -> None:
    hints = watch(tmp_path / "later")
    repository = Repository(tmp_path / "later")
    hints.wait()
    hints.settle()
    repository.commit("one\n")
    hints.wait()


@pytest.mark.parametrize("is_kept", [False, True], ids=["deleted, its number in use again", "moved away"])
def test_a_repository_that_is_cloned_anew_is_watched_anew(
    repository: Repository,
    bare: Path,
    watch: Callable[[Path], Hints],
    monkeypatch: pytest.MonkeyPatch,
    is_kept: bool,
) -> None:
    monkeypatch.setattr("compiler.reconcile.watch._LOOK_MILLISECONDS", 500)
    if not is_kept:
        monkeypatch.setattr("compiler.reconcile.watch._identify", lambda _: (0, 0))
    hints = watch(bare)
    if is_kept:
        bare.rename(bare.with_name("old.git"))
    else:
        shutil.rmtree(bare)
    repository.git("clone", "-q", "--bare", ".", str(bare))
    hints.settle(3.0)
    push(repository, "main")
    hints.wait()


@pytest.mark.parametrize("way", list(QUIET), indirect=True)
def test_the_last_of_a_burst_is_hinted(repository: Repository, watch: Callable[[Path], Hints]) -> None:
    tips = repository.commit("one\n"), repository.commit("two\n")
    hints = watch(repository.path)
    for move in range(100):
        begun = time.monotonic()
        repository.git("update-ref", "refs/heads/main", tips[move % 2])
    hints.wait(since=begun)


@pytest.mark.parametrize("way", ["watchfiles that polls"], indirect=True)
def test_a_ref_that_moves_again_within_a_second_is_hinted_again_though_it_is_polled(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints]
) -> None:
    push(repository, "main")
    hints = watch(bare)
    time.sleep(-time.time() % 1)
    push(repository, "main")
    hints.wait()
    push(repository, "main")
    hints.wait(since=time.monotonic())


@pytest.mark.parametrize("way", list(QUIET), indirect=True)
def test_nothing_is_hinted_while_nothing_moves(
    way: str, repository: Repository, watch: Callable[[Path], Hints]
) -> None:
    repository.commit("one\n")
    hints = watch(repository.path)
    (repository.path / "mesh.yaml").write_text("two\n")
    repository.git("add", "-A")
    if way == "inotify":
        lock = repository.path / ".git" / "refs" / "heads" / "main.lock"
        lock.write_text("0" * 40)
        lock.unlink()
    time.sleep(2.0)
    assert not hints.times


@pytest.mark.parametrize("way", ["inotify"], indirect=True)
def test_a_move_is_hinted_once_by_inotify(repository: Repository, bare: Path, watch: Callable[[Path], Hints]) -> None:
    push(repository, "main")
    hints = watch(bare)
    push(repository, "main")
    hints.wait()
    time.sleep(1.0)
    assert len(hints.times) == 1


@pytest.mark.parametrize("way", ["inotify"], indirect=True)
def test_watchfiles_takes_over_when_a_new_folder_is_one_too_many(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints], monkeypatch: pytest.MonkeyPatch
) -> None:
    hints = watch(bare)
    refusal = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr("inotify_simple.INotify.add_watch", refusal)
    for _ in range(2):
        push(repository, "refs/heads/team/feature")
        hints.wait()
        hints.settle(QUIET["watchfiles that polls"])
    assert refusal.call_count == 1


@pytest.mark.parametrize("way", ["inotify"], indirect=True)
def test_events_that_were_lost_are_a_hint_and_a_folder_that_was_among_them_is_watched(
    repository: Repository, bare: Path, watch: Callable[[Path], Hints], monkeypatch: pytest.MonkeyPatch
) -> None:
    inotify_simple = pytest.importorskip("inotify_simple")
    read, left = inotify_simple.INotify.read, [inotify_simple.Event(-1, inotify_simple.flags.Q_OVERFLOW, 0, "")]

    def overflow(*arguments: object) -> object:
        return [left.pop() for _ in read(*arguments) if left] if left else read(*arguments)

    monkeypatch.setattr("inotify_simple.INotify.read", overflow)
    hints = watch(bare)
    for _ in range(2):
        push(repository, "refs/heads/team/feature")
        hints.wait()
        hints.settle(2.0)
    assert not left


def test_a_tip_is_described_with_its_tree_its_message_and_the_time_of_its_ref(
    repository: Repository, tmp_path: Path
) -> None:
    begun = time.time()
    commit = repository.commit("web\n", "subject\n\nAllow-Removal: proxy/3")
    source = WatchedRepository(str(repository.path), "main", "", tmp_path / "mirror.git")
    assert source.tip() == commit
    tip = source.describe(commit)
    assert tip.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert "Allow-Removal: proxy/3" in tip.message
    assert tip.moved is not None
    assert begun - 1 <= tip.moved <= time.time() + 1
    assert [file.path for file in source.read(tip).value.files] == ["mesh.yaml"]


def test_a_link_that_the_settings_leave_out_is_no_finding(repository: Repository, tmp_path: Path) -> None:
    (repository.path / "docs").symlink_to("elsewhere")
    source = WatchedRepository(str(repository.path), "main", "", tmp_path / "mirror.git")
    for settings, refused in (("ignore: [old/]\n", True), ("paths: [mesh/]\n", False)):
        commit = repository.commit(settings, file="meshwright.yaml")
        assert source.read(source.describe(commit)).failed is refused


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    source = WatchedRepository("https://user:hunter2@host.test/mesh", "main", "", tmp_path / "mirror.git")
    with pytest.raises(SourceError) as caught:
        source.tip()
    assert "hunter2" not in str(caught.value)
    assert "host.test/mesh" in str(caught.value)


def test_a_full_disk_is_said_with_its_place_and_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "mirror.git/objects")

    monkeypatch.setattr("compiler.source.mirror.Mirror.open_source", fail)
    with pytest.raises(SourceError, match=r"mirror\.git/objects: No space left on device; free some space there"):
        WatchedRepository(str(tmp_path), "main", "", tmp_path / "mirror.git").tip()
