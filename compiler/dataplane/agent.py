"""An Open Policy Agent beside Envoy, for as long as a MeshOPA wants one (docs/dataplane-run.md)."""

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from compiler.dataplane.bootstrap import UnixSocket
from compiler.dataplane.children import die_with_parent
from compiler.dataplane.http_client import Question, ask

SOCKET: Final = "opa.sock"
DOCUMENT: Final = "/opa"
SCHEMA_VERSION: Final = 1

_EVERY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
_OK, _NOT_MODIFIED = 200, 304
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,90}\.rego")

log = structlog.get_logger("dataplane")


class Module(msgspec.Struct, frozen=True):
    """A file of rego."""

    name: str
    rego: str


class Wanted(msgspec.Struct, frozen=True, rename="camel"):
    """All that a MeshOPA says for this proxy."""

    schema_version: int
    config: Mapping[str, Any] = {}
    modules: tuple[Module, ...] = ()


def read_document(body: bytes) -> Wanted:
    """Raises ValueError with a sentence for a document that this program cannot follow."""
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the document about the agent cannot be read: {error}") from error
    if wanted.schema_version != SCHEMA_VERSION:
        version = wanted.schema_version
        raise ValueError(f"the document about the agent has version {version}, and we know {SCHEMA_VERSION}")
    wrong = next((one.name for one in wanted.modules if not _NAME.fullmatch(one.name)), None)
    if wrong is not None:
        raise ValueError(f"a module of the document about the agent has no name of a file: {json.dumps(wrong)}")
    return wanted


@dataclass(frozen=True, slots=True)
class Binary:
    """OPA with its Envoy plugin, and further arguments for it, such as `--v0-compatible`."""

    path: Path
    arguments: Sequence[str] = ()


@dataclass
class Agent:
    """The process, and what it was last given: it watches files of modules; a new configuration restarts it."""

    binary: Binary
    work_dir: Path
    wanted: Wanted | None = None
    _tag: str = ""
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def follow(self) -> None:
        """The snapshot's document, for as long as it is not cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await self._stop()

    async def _look(self) -> None:
        """Without the socket no agent is wanted; an answer that cannot be followed leaves all as it is."""
        headers = {"if-none-match": self._tag} if self._tag else {}
        try:
            answer = await ask(UnixSocket(self.work_dir / SOCKET), Question(DOCUMENT, headers))
        except (FileNotFoundError, ConnectionRefusedError):
            self._tag, self.wanted = "", None
            await self._stop()
            return
        except OSError as error:
            log.warning("what to decide by is not known", reason=str(error) or type(error).__name__)
            return
        if answer.status == _OK:
            await self._read(answer.body, answer.headers.get("etag", ""))
        elif answer.status != _NOT_MODIFIED:
            log.warning("what to decide by is not known", status=answer.status)
        if self.wanted is not None and (self._process is None or self._process.returncode is not None):
            await self._start(self.wanted)

    async def _read(self, body: bytes, tag: str) -> None:
        self._tag = tag
        try:
            wanted = read_document(body)
        except ValueError as error:
            log.warning("what to decide by is not followed", reason=str(error))
            return
        if self.wanted is None or wanted.config != self.wanted.config:
            await self._stop()
        self.wanted = wanted
        write_modules(self._folder, wanted.modules)
        log.info("modules", count=len(wanted.modules))

    @property
    def _folder(self) -> Path:
        return self.work_dir / "opa" / "modules"

    async def _start(self, wanted: Wanted) -> None:
        """One that ended by itself is started again at the next look."""
        if self._process is not None:
            log.error("the agent ended by itself", code=self._process.returncode)
            self._process = None
        config, api = self.work_dir / "opa" / "config.json", self.work_dir / "opa-api.sock"
        api.unlink(missing_ok=True)
        _write_private(config, json.dumps(wanted.config, indent=2, sort_keys=True))
        command = agent_command(self.binary, config, api, self._folder)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.work_dir,
                stdin=asyncio.subprocess.DEVNULL,
                process_group=0,
                preexec_fn=die_with_parent(),
            )
        except OSError as error:
            log.warning("the agent cannot be started", binary=str(self.binary.path), reason=error.strerror)
            return
        log.info("agent started", pid=self._process.pid)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        log.info("agent stopped")


def agent_command(binary: Binary, config: Path, api: Path, modules: Path) -> tuple[str, ...]:
    """Its own API is on a socket of ours alone: who can write to it decides what passes."""
    return (
        str(binary.path),
        *("run", "--server", "--watch", "--skip-version-check", "--log-level", "error"),
        *("--config-file", str(config), "--addr", f"unix://{api}"),
        *binary.arguments,
        str(modules),
    )


def write_modules(folder: Path, modules: Sequence[Module]) -> None:
    """Each is there whole or not at all; the one that decides comes last, and what is not wanted any more goes then."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for module in modules:
        place = folder / module.name
        if not place.exists() or place.read_text(encoding="utf-8") != module.rego:
            fresh = folder.parent / module.name
            _write_private(fresh, module.rego)
            fresh.rename(place)
    for place in folder.iterdir():
        if place.name not in {module.name for module in modules}:
            place.unlink()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
