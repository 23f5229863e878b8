"""h2spec plays clients of every kind, good and bad; every one of its tests passes."""

import asyncio
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hpack import Decoder

from compiler.http2.status import Status
from tests.http2.conversation import PATH, Told
from tests.http2.test_clients import served

ROOT = Path(__file__).parents[2]
H2SPEC = shutil.which("h2spec") or shutil.which("h2spec", path=ROOT / ".tools")

DECODE = Decoder.decode

EXCEPTIONS: dict[str, str] = {}
"""Tests that do not pass, by their sentences, with the reason why."""


class Page(Told):
    """Answers as a web server would: some bytes once the request has ended."""

    def half_close(self) -> None:
        self.say(b"hello")

    def pull(self) -> bytes | None:
        message = super().pull()
        if message is None and self.pulled > 1:
            self.call.finish(Status.OK, "")
        return message


def decode_as_a_call(self: Decoder, block: bytes, *, raw: bool) -> Iterable[tuple[bytes, bytes]]:
    """h2spec asks with GET and without a content-type, which we refuse before most of what it looks for."""
    fields: list[tuple[bytes, bytes]] = list(DECODE(self, block, raw=raw))
    if all(name != b":method" for name, _ in fields):
        return fields
    asked = [(name, b"POST" if (name, value) == (b":method", b"GET") else value) for name, value in fields]
    return [*asked, (b"content-type", b"application/grpc")]


async def run_h2spec() -> str:
    async with served(application=Page) as here:
        port = here.address.rpartition(":")[2]
        asked = ["--host", "127.0.0.1", "--port", port, "--path", PATH, "--timeout", "2"]
        process = await asyncio.create_subprocess_exec(str(H2SPEC), *asked, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
    return said.decode()


@pytest.mark.skipif(H2SPEC is None, reason="no h2spec on PATH or in .tools: .ci/run installs it where Go is")
def test_h2spec_is_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "decode", decode_as_a_call)
    said = asyncio.run(run_h2spec())
    counted = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", said)
    assert counted, said
    failed = set(re.findall(r"× \d+: (.+)", said))
    assert failed == EXCEPTIONS.keys(), said
    tests, passed, skipped, _ = map(int, counted.groups())
    assert (passed, skipped) == (tests - len(EXCEPTIONS), 0), said
    assert tests > 140
