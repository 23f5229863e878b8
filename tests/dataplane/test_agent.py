"""An agent runs beside Envoy for as long as the snapshot wants one, and is given what the snapshot says."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compiler.dataplane import agent as agent_module
from compiler.dataplane.agent import Agent, Binary, Module, agent_command, read_document, write_modules
from compiler.dataplane.http_client import Answer, Question
from compiler.dataplane.http_server import serve

_OPA = f"""#!{sys.executable}
import pathlib, sys, time
pathlib.Path("started").open("a").write(repr(sys.argv[1:]) + "\\n")
while not pathlib.Path("end").exists():
    time.sleep(0.01)
pathlib.Path("end").unlink()
"""


def document(*modules: tuple[str, str], **config: Any) -> bytes:
    files = [{"name": name, "rego": rego} for name, rego in modules]
    return json.dumps({"schemaVersion": 1, "config": config, "modules": files, "later": 1}).encode()


@dataclass
class Envoy:
    """What a snapshot says, by the socket that Envoy would have."""

    folder: Path
    body: bytes = b""
    asked: list[str] = field(default_factory=list)

    async def answer(self, question: Question) -> Answer:
        tag = str(hash(self.body))
        known = question.headers.get("if-none-match", "") == tag
        self.asked.append("known" if known else "new")
        return Answer(304 if known else 200, {"etag": tag}, b"" if known else self.body)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(serve(self.answer), self.folder / "opa.sock")
        async with server:
            yield
        (self.folder / "opa.sock").unlink(missing_ok=True)

    @property
    def starts(self) -> list[str]:
        file = self.folder / "started"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Envoy:
    monkeypatch.setattr(agent_module, "_EVERY_SECONDS", 0.01)
    opa = tmp_path / "opa-binary"
    opa.write_text(_OPA)
    opa.chmod(0o700)
    return Envoy(tmp_path)


@asynccontextmanager
async def following(envoy: Envoy) -> AsyncIterator[Agent]:
    agent = Agent(Binary(envoy.folder / "opa-binary", ("--v0-compatible",)), envoy.folder)
    task = asyncio.create_task(agent.follow())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_document_with_a_file_outside_of_its_folder_is_refused() -> None:
    assert read_document(document(("a.rego", "package a"))).modules == (Module("a.rego", "package a"),)
    with pytest.raises(ValueError, match="no name of a file"):
        read_document(document(("../a.rego", "package a")))
    with pytest.raises(ValueError, match="version 2"):
        read_document(b'{"schemaVersion": 2}')
    with pytest.raises(ValueError, match="cannot be read"):
        read_document(b"[]")


def test_modules_that_are_not_wanted_any_more_go(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    write_modules(folder, [Module("a.rego", "package a"), Module("b.rego", "package b")])
    written = (folder / "a.rego").stat().st_mtime_ns
    write_modules(folder, [Module("a.rego", "package a"), Module("c.rego", "package c")])
    assert {one.name: one.read_text() for one in folder.iterdir()} == {"a.rego": "package a", "c.rego": "package c"}
    assert (folder / "a.rego").stat().st_mtime_ns == written


def test_who_could_change_what_is_decided_is_nobody_else(tmp_path: Path) -> None:
    command = agent_command(Binary(Path("/opa"), ("-x",)), tmp_path / "c", tmp_path / "s", tmp_path / "m")
    assert command[:3] == ("/opa", "run", "--server")
    assert command[-2:] == ("-x", str(tmp_path / "m"))
    assert f"unix://{tmp_path / 's'}" in command
    assert "--watch" in command


def test_no_agent_runs_before_one_is_wanted_or_after(envoy: Envoy) -> None:
    async def scenario() -> None:
        async with following(envoy) as agent:
            await asyncio.sleep(0.05)
            assert envoy.starts == []
            envoy.body = document(("policy-0.rego", "package shop"), labels={"a": "b"})
            async with envoy.listening():
                await until(lambda: envoy.starts)
                assert "'--v0-compatible'" in envoy.starts[0]
                assert json.loads((envoy.folder / "opa" / "config.json").read_text()) == {"labels": {"a": "b"}}
                assert (envoy.folder / "opa" / "config.json").stat().st_mode & 0o077 == 0
                assert (envoy.folder / "opa" / "modules" / "policy-0.rego").read_text() == "package shop"
                process = agent._process
                await until(lambda: "known" in envoy.asked)
            assert process is not None
            await until(lambda: process.returncode is not None)
            assert len(envoy.starts) == 1

    asyncio.run(scenario())


def test_a_new_module_is_a_file_and_a_new_configuration_a_restart(envoy: Envoy) -> None:
    async def scenario() -> None:
        envoy.body = document(("policy-0.rego", "package shop"))
        place = envoy.folder / "opa" / "modules" / "policy-0.rego"
        async with following(envoy), envoy.listening():
            await until(lambda: len(envoy.starts) == 1)
            envoy.body = document(("policy-0.rego", "package other"))
            await until(lambda: place.read_text() == "package other")
            assert len(envoy.starts) == 1
            envoy.body = document(("policy-0.rego", "package other"), labels={"a": "b"})
            await until(lambda: len(envoy.starts) == 2)

    asyncio.run(scenario())


def test_an_agent_that_ends_is_started_again(envoy: Envoy) -> None:
    async def scenario() -> None:
        envoy.body = document(("policy-0.rego", "package shop"))
        async with following(envoy), envoy.listening():
            await until(lambda: len(envoy.starts) == 1)
            (envoy.folder / "end").touch()
            await until(lambda: len(envoy.starts) == 2)

    asyncio.run(scenario())


def test_what_cannot_be_followed_leaves_the_agent_as_it_is(envoy: Envoy) -> None:
    async def scenario() -> None:
        envoy.body = document(("policy-0.rego", "package shop"))
        async with following(envoy) as agent, envoy.listening():
            await until(lambda: len(envoy.starts) == 1)
            wanted = agent.wanted
            envoy.body = b"[]"
            await until(lambda: envoy.asked[-2:] == ["new", "known"])
            assert agent.wanted == wanted
            assert len(envoy.starts) == 1

    asyncio.run(scenario())
