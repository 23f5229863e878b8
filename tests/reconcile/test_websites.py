"""The pages of a server: their sockets are there before what answers on them, and they end at once."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from compiler.reconcile.address import Address, Refusal
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.questions import Questions
from compiler.reconcile.websites import Websites


class Answers:
    """A server that has nothing to tell."""

    registry = CollectorRegistry()

    def __init__(self) -> None:
        self.limits: list[int | None] = []

    async def status(self, _after: str, limit: int | None) -> Mapping[str, object]:
        self.limits.append(limit)
        return {"told": True}

    async def ask(self, _question: str, _arguments: Mapping[str, object]) -> object:
        raise AssertionError

    def reconcile(self, *, forgive: bool) -> None:
        raise AssertionError(forgive)


def test_who_asks_before_the_pages_are_ready_is_answered_once_they_are_and_the_end_is_prompt(tmp_path: Path) -> None:
    async def visit() -> tuple[bytes, float]:
        websites = Websites(_options(tmp_path))
        address = websites.bind()
        asking = asyncio.create_task(_get(address))
        await asyncio.sleep(0.02)
        assert not asking.done()
        await websites.answer(Answers(), Questions(lambda *_: None), asyncio.Event())
        answer = await asking
        assert (tmp_path / "admin.sock").is_socket()
        begun = time.monotonic()
        await websites.close()
        return answer, time.monotonic() - begun

    answer, took = asyncio.run(visit())
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\ndate: " in answer.lower()
    assert answer.endswith(b'{"told":true}\n')
    assert took < 0.5
    assert not (tmp_path / "admin.sock").exists()


def test_a_limit_that_is_no_number_is_none(tmp_path: Path) -> None:
    answers = Answers()

    async def visit() -> None:
        websites = Websites(_options(tmp_path))
        address = websites.bind()
        await websites.answer(answers, Questions(lambda *_: None), asyncio.Event())
        for written in ("7", "1" * 5000, "%C2%B2", "-1", "x"):
            assert (await _get(address, f"/status?limit={written}")).startswith(b"HTTP/1.1 200")
        await websites.close()

    asyncio.run(visit())
    assert answers.limits == [7, None, None, None, None]


def test_an_admin_socket_that_was_asked_for_is_refused_and_the_usual_one_only_missed(tmp_path: Path) -> None:
    (tmp_path / "admin.sock").write_text("no socket")
    usual = Websites(_options(tmp_path))
    usual.bind()
    assert "admin.sock" in (usual.trouble or "")
    with pytest.raises(Refusal, match=r"admin\.sock"):
        Websites(_options(tmp_path, admin=str(tmp_path / "admin.sock"))).bind()


def _options(folder: Path, admin: str | None = None) -> ServeOptions:
    return ServeOptions(repo="", data=str(folder), http="127.0.0.1:0", admin=admin)


async def _get(address: Address, page: str = "/status") -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(f"GET {page} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer
