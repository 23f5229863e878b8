"""What runs beside Envoy for as long as it does, told of by its snapshot (docs/dataplane-run.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from compiler.dataplane.access_logs import make_pipe, stream_access_logs
from compiler.dataplane.agent import Agent, Binary
from compiler.dataplane.bootstrap import DataplaneError, SocketAddress
from compiler.dataplane.http_server import Answering, serve
from compiler.dataplane.metrics.collecting import Places
from compiler.dataplane.metrics.serving import Certificate, Metrics
from compiler.dataplane.readiness import Readiness

NAMES_SECONDS = 15.0
"""A proxy that has no names yet is not ready for so long; one without a table of names is ready then (kuma-core §8)."""

log = structlog.get_logger("dataplane")


@dataclass(frozen=True, slots=True)
class BesideOptions:
    """None is "not at all": no readiness is told, no names are served, no scraper is answered over TLS.

    Probes of the application are taken at every address of the machine. Without an agent somebody else may run one.
    """

    readiness: SocketAddress | None = None
    dns_port: int | None = None
    resolvers: Sequence[SocketAddress] = ()
    certificate: Certificate | None = None
    agent: Binary | None = None
    probes_port: int | None = None


_Work = Callable[[], Coroutine[object, object, None]]

ALONE = BesideOptions()


@asynccontextmanager
async def neighbours(places: Places, options: BesideOptions) -> AsyncIterator[Readiness]:
    """All of them listen before Envoy starts; DataplaneError where one cannot."""
    readiness = Readiness(places.admin)
    async with AsyncExitStack() as stack:
        pipe = make_pipe(places.work_dir)
        metrics = Metrics(places, options.certificate)
        await stack.enter_async_context(await metrics.listening())
        work: dict[str, _Work] = {"access logs": partial(stream_access_logs, pipe), "metrics": metrics.follow}
        if options.dns_port is not None:
            work["names"] = await _serve_names(stack, readiness, places, options)
        if options.agent is not None:
            work["agent"] = Agent(options.agent, places.work_dir).follow
        if options.readiness is not None:
            place = options.readiness
            await stack.enter_async_context(await _listen(place.host, place.port, readiness.answer, "Readiness"))
        if options.probes_port is not None:
            from compiler.dataplane.probes import answer_probe

            await stack.enter_async_context(await _listen(None, options.probes_port, answer_probe, "Probes"))
        tasks = [_start(name, begin()) for name, begin in work.items()]
        try:
            yield readiness
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_names(stack: AsyncExitStack, readiness: Readiness, places: Places, options: BesideOptions) -> _Work:
    """The library is loaded only where names are served."""
    from compiler.dataplane.dns.server import name_server

    server = name_server(options.dns_port or 0, places.work_dir, options.resolvers)
    await stack.enter_async_context(server.listening())
    loop = asyncio.get_running_loop()
    patience = loop.time() + NAMES_SECONDS
    readiness.waiting_for.append(lambda: server.received or loop.time() > patience)
    return server.follow


async def _listen(host: str | None, port: int, answering: Answering, what: str) -> asyncio.Server:
    """At every address where no host is given."""
    try:
        return await asyncio.start_server(serve(answering), host, port)
    except OSError as error:
        place = SocketAddress(host, port) if host else f"port {port}"
        raise DataplaneError(f"{what} cannot be answered at {place}: {error.strerror}.") from error


def _start(name: str, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
    """One that ends by a mistake of ours is told of, and Envoy goes on: it carries the traffic."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what runs beside envoy has stopped", part=task.get_name(), exc_info=error)
