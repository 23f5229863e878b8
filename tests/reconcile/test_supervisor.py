"""The supervisor by itself: what it loads, and what it answers about health."""

import asyncio
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from compiler.reconcile.address import Address, listen
from compiler.reconcile.child import Child
from compiler.reconcile.health import Health, serve_health
from compiler.reconcile.preflight import local_folder, place_of
from compiler.reconcile.vitals import Death


def test_the_supervisor_loads_nothing_that_parses_or_serves() -> None:
    program = (
        "import sys, compiler.cli.serve\n"
        "heavy = {'grpc', 'pygit2', 'yaml', 'google', 'msgspec', 'orjson', 'structlog', 'starlette', 'cryptography'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("request_line", "health", "status"),
    [
        (b"GET /livez HTTP/1.1", Health(live=True, ready=False), b"200"),
        (b"GET /livez HTTP/1.1", Health(live=False, ready=False), b"503"),
        (b"GET /readyz?verbose HTTP/1.1", Health(live=True, ready=True), b"200"),
        (b"GET /readyz HTTP/1.1", Health(live=True, ready=False), b"503"),
        (b"GET /metrics HTTP/1.1", Health(live=True, ready=True), b"404"),
        (b"POST /readyz HTTP/1.1", Health(live=True, ready=True), b"405"),
        (b"\x00\xff garbage", Health(live=True, ready=True), b"405"),
    ],
)
def test_health_is_told_as_it_is(request_line: bytes, health: Health, status: bytes) -> None:
    assert asyncio.run(_ask(request_line + b"\r\nHost: x\r\n\r\n", health)).split(b" ")[1] == status


def test_a_client_that_sends_without_end_is_dropped() -> None:
    assert asyncio.run(_ask(b"GET /livez" + b"x" * 100_000, Health(live=True, ready=True))) == b""


@pytest.mark.parametrize(
    ("repository", "local"),
    [
        ("/srv/mesh.git", True),
        ("mesh", True),
        ("./a:b", True),
        ("https://host/mesh", False),
        ("git@host:mesh.git", False),
        ("file:///srv/mesh", True),
    ],
)
def test_paths_are_told_from_addresses(repository: str, local: bool) -> None:
    assert (local_folder(repository) is not None) is local


def test_a_relative_path_is_named_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of(".") == str(tmp_path)
    assert place_of("file:///srv/mesh") == "file:///srv/mesh"
    assert place_of("https://host/mesh") == "https://host/mesh"


def test_a_child_is_killed_once_however_often_it_is_asked_for() -> None:
    """A second signal would ask for the exit code first, and asyncio would report 255 for an unknown process."""
    process = Mock(returncode=None)
    child = Child("worker", process)
    child.kill(Death.STALLED)
    child.kill(Death.TIME)
    assert child.killed_for is Death.STALLED
    process.kill.assert_called_once_with()


async def _ask(request: bytes, health: Health) -> bytes:
    bound = listen("--health", Address("127.0.0.1", 0))
    async with await serve_health(bound, lambda: health):
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
