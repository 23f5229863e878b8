"""What may die, vanish or be damaged without costing a request."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compiler.pipeline import Compiler
from compiler.source.tree import read_directory
from tests.e2e.conftest import Record, require_envoy
from tests.e2e.processes import Serve
from tests.e2e.repository import BRANCH, Repository
from tests.e2e.shop import Shop, base_files, create_authority, make_places, open_shop, permissions, to_api
from tests.e2e.traffic import get, loading

KILLS = 20


@pytest.fixture(scope="module")
def open_for_damage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of these tests' own: what they do to it would be a defect elsewhere."""
    binary = require_envoy("1.40")
    folder = tmp_path_factory.mktemp("damage")
    with open_shop(folder) as shop:
        shop.start_envoys(binary, folder)
        yield shop


@pytest.fixture
def damaged(open_for_damage: Shop) -> Iterator[Shop]:
    """Processes may die here, but nobody says anything that is not a line of the log."""
    open_for_damage.reset()
    yield open_for_damage
    assert not [line for line in open_for_damage.serve.log if line["event"] in {"text", "bug"}]


@contextmanager
def no_request_fails(shop: Shop) -> Iterator[None]:
    with loading(shop.places["client_api"]) as load:
        yield
    assert load.failures == []
    assert len(load.answers) > 10


@pytest.mark.xdist_group("damage")
def test_no_request_fails_while_the_worker_dies_and_the_next_commit_is_applied(damaged: Shop) -> None:
    with no_request_fails(damaged):
        for number in range(3):
            killed = damaged.serve.pid_of("worker")
            os.kill(killed, signal.SIGSEGV)
            damaged.applied(permissions=permissions("client", *(["guest"] if number % 2 == 0 else [])))
            assert damaged.serve.pid_of("worker") != killed
    assert damaged.serve.status()["server"]["restarts"] == 0
    assert "SIGSEGV" in damaged.serve.status()["worker"]["last_death"]["how"]


@pytest.mark.xdist_group("damage")
def test_no_request_fails_while_the_server_dies_and_it_is_back_with_the_same_digest(damaged: Shop) -> None:
    digest = damaged.serve.digest()
    with no_request_fails(damaged):
        os.kill(damaged.serve.pid_of("server"), signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not _answers(damaged.serve):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        damaged.accepted()
    assert damaged.serve.digest() == digest
    assert damaged.serve.pushes() == {}


@pytest.mark.xdist_group("damage")
def test_no_request_fails_while_the_repository_holds_a_torn_object(damaged: Shop, record: Record) -> None:
    """It is named; it may be mended, or another commit may come, as here."""
    good = damaged.repository.head()
    with no_request_fails(damaged):
        blob = _commit_torn(damaged.repository)
        status = damaged.serve.until(lambda found: found["candidate"]["state"] == "retrying")
        assert blob in status["candidate"]["reason"]
        assert blob in status["source"]["last_error"]
        assert status["serving"]["commit"] == good
        damaged.repository.git("reset", "--quiet", "--hard", good)
        commit = damaged.commit(permissions=permissions("client", "guest"))
        damaged.accepted()
        record("after a torn object, next good commit to the last ACK, ms", (time.time() - commit.moved) * 1000)
    assert get(damaged.places["guest_api"]).status == 200


def _commit_torn(repository: Repository) -> str:
    """The branch moves to it only once its file has lost its second half."""
    text = f"# torn {random.random()}\n{permissions('client', 'guest')}"
    (repository.path / "permissions.yaml").write_text(text)
    repository.git("add", "--all")
    blob = repository.git("hash-object", "permissions.yaml")
    commit = repository.git("commit-tree", "-m", "torn", "-p", "HEAD", repository.git("write-tree"))
    file = repository.path / ".git" / "objects" / blob[:2] / blob[2:]
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content[: len(content) // 2])
    repository.git("update-ref", f"refs/heads/{BRANCH}", commit)
    return blob


@pytest.mark.xdist_group("damage")
def test_a_reconciler_whose_repository_is_gone_starts_from_disk_and_says_so(damaged: Shop) -> None:
    damaged.applied(permissions=permissions("client", "guest"))
    digest, place = damaged.serve.digest(), damaged.repository.path
    away = place.with_name("elsewhere")
    with no_request_fails(damaged):
        place.rename(away)
        damaged.serve.stop()
        assert damaged.serve.start() == digest
        status = damaged.serve.until(lambda found: found["source"]["last_error"])
        assert str(place) in status["source"]["last_error"]
        damaged.serve.until(lambda found: sum(one["fully_acked"] for one in found["proxies"]) == len(damaged.envoys))
        assert damaged.serve.pushes() == {}
        assert get(damaged.places["guest_api"]).status == 200
        away.rename(place)
        damaged.applied(permissions=permissions("client"))
        assert get(damaged.places["guest_api"]).status == 403


@pytest.mark.xdist_group("kills")
def test_whenever_everything_is_killed_exactly_the_old_or_the_new_generation_is_served(
    tmp_path: Path, record: Record
) -> None:
    repository = Repository.create(tmp_path / "repository", base_files(make_places("127.99.2")))
    serve = Serve(repository.path, tmp_path, create_authority("shop", tmp_path))
    compiler, new, outcomes = Compiler(), 0, []
    try:
        old = serve.start()
        for number in range(KILLS):
            conf = f"default: {{http: {{requestTimeout: {number + 1}s}}}}"
            repository.commit("a change", {"timeouts.yaml": to_api("MeshTimeout", "timeouts", conf)})
            wanted = _digest(compiler, repository)
            time.sleep(random.uniform(0, 0.12))
            serve.kill()
            served = serve.start()
            assert served in {old, wanted}, f"after {number} kills"
            outcomes.append(served == wanted)
            serve.until(lambda found, wanted=wanted: found["serving"]["digest"] == wanted)
            old = wanted
        new = sum(outcomes)
    finally:
        serve.kill()
    record(f"of {KILLS} kills, the new generation was served after", new)
    repository_of_snapshots = Repository(serve.data / "snapshots.git")
    assert repository_of_snapshots.git("rev-parse", "published:meshes") == old.removeprefix("sha1:")
    assert "error" not in repository_of_snapshots.git("fsck", "--strict", "--no-dangling")


def _digest(compiler: Compiler, repository: Repository) -> str:
    """What the commit comes to, reckoned by ourselves."""
    generation = compiler.compile(read_directory(repository.path).value).value.generation
    assert generation is not None
    return generation.digest


def _answers(serve: Serve) -> bool:
    try:
        return bool(serve.status()["serving"])
    except OSError:
        return False
