"""What a MeshMetric asks for is done as long as it asks: scrapes are answered, and metrics are pushed."""

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import structlog

from compiler.dataplane.http_client import Answer, Question, ask
from compiler.dataplane.http_server import Answering, serve
from compiler.dataplane.metrics.collecting import Places, collect
from compiler.dataplane.metrics.document import Backend, Wanted, read_document
from compiler.dataplane.metrics.exposition import CONTENT_TYPE, write_families
from compiler.dataplane.metrics.selection import matching

SOCKET = "metrics.sock"
DOCUMENT = "/meshmetric"

_EVERY_SECONDS = 1.0
_OK, _NOT_MODIFIED = 200, 304
_PROVIDED = "ProvidedTLS"
_PRIVATE = 0o600

log = structlog.get_logger("dataplane")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a scraper is shown that asks over TLS."""

    chain: Path
    key: Path

    @property
    def age(self) -> tuple[int, int] | None:
        """When both were written; None where they cannot be read."""
        try:
            return self.chain.stat().st_mtime_ns, self.key.stat().st_mtime_ns
        except OSError:
            return None


@dataclass
class Metrics:
    """The last document, and what is done because of it; one at a time follows it."""

    places: Places
    certificate: Certificate | None = None
    wanted: Wanted | None = None
    _tag: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def listening(self) -> asyncio.Server:
        """Before Envoy starts, which connects to it at a scrape."""
        return await listen(self.places.work_dir / SOCKET, partial(self.answer, DOCUMENT))

    async def follow(self) -> None:
        """The snapshot's document, for as long as it is not cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await self._stop()

    async def answer(self, path: str, question: Question) -> Answer:
        """All metrics at one path; 404 where no MeshMetric asks for any."""
        asked, _, query = question.path.partition("?")
        if self.wanted is None or asked != path:
            return Answer(404, {"content-type": "text/plain"}, b"no MeshMetric asks for this\n")
        families = await collect(self.wanted, self.places)
        pattern = parse_qs(query).get("filter", [""])[-1]
        try:
            chosen = matching(families, pattern) if pattern else families
        except ValueError:
            return Answer(400, {"content-type": "text/plain"}, b"filter is no regular expression\n")
        return Answer(_OK, {"content-type": CONTENT_TYPE}, write_families(chosen).encode())

    async def _look(self) -> None:
        """Without the socket nothing is asked for; an answer that cannot be followed leaves all as it is."""
        headers = {"if-none-match": self._tag} if self._tag else {}
        try:
            answer = await ask(self.places.applications, Question(DOCUMENT, headers))
        except (FileNotFoundError, ConnectionRefusedError):
            await self._follow(None, "")
            return
        except OSError as error:
            log.warning("what to collect is not known", reason=str(error) or type(error).__name__)
            return
        if answer.status == _OK:
            await self._read(answer)
        elif answer.status != _NOT_MODIFIED:
            log.warning("what to collect is not known", status=answer.status)

    async def _read(self, answer: Answer) -> None:
        try:
            wanted = read_document(answer.body)
        except ValueError as error:
            log.warning("what to collect is not followed", reason=str(error))
            self._tag = answer.headers.get("etag", "")
            return
        await self._follow(wanted, answer.headers.get("etag", ""))

    async def _follow(self, wanted: Wanted | None, tag: str) -> None:
        self._tag = tag
        if wanted == self.wanted:
            return
        await self._stop()
        self.wanted = wanted
        if wanted is not None:
            self._tasks = [asyncio.create_task(self._work(backend, wanted)) for backend in wanted.backends]
        log.info("metrics", backends=[one.name for one in wanted.backends] if wanted else [])

    async def _work(self, backend: Backend, wanted: Wanted) -> None:
        if backend.type == "OpenTelemetry":
            from compiler.dataplane.metrics.pushing import push

            await push(backend, wanted, self.places)
        elif backend.tls == _PROVIDED:
            await self._serve_encrypted(backend)

    async def _serve_encrypted(self, backend: Backend) -> None:
        """There is no way back to plaintext: without a certificate nobody is answered."""
        if self.certificate is None:
            log.error("metrics are not served: no certificate is given", backend=backend.name)
            return
        answer = partial(self.answer, backend.path)
        while True:
            try:
                age, context = self.certificate.age, _server_context(self.certificate)
            except (OSError, ssl.SSLError) as error:
                log.warning("metrics are not served: the certificate cannot be read", reason=str(error))
                await asyncio.sleep(_EVERY_SECONDS)
                continue
            async with await listen(self.places.work_dir / backend.socket, answer, context):
                while self.certificate.age == age:  # noqa: ASYNC110  # files tell nobody that they change
                    await asyncio.sleep(_EVERY_SECONDS)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def listen(path: Path, answer: Answering, context: ssl.SSLContext | None = None) -> asyncio.Server:
    """A socket of ours alone; one that a killed run left is made anew."""
    _remove(path)
    server = await asyncio.start_unix_server(serve(answer), path, ssl=context)
    _restrict(path)
    return server


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _restrict(path: Path) -> None:
    path.chmod(_PRIVATE)


def _server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.chain, certificate.key)
    return context
