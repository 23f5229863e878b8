"""`/debug/profile` of the admin socket: where the server's or the worker's time goes, as a file for Speedscope."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
import structlog
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compiler.profiling import Watch, period_for
from compiler.reconcile.questions import NoAnswer, Questions
from compiler.reconcile.worker_profile import BEGIN, END

SHORTEST: Final = 1.0
LONGEST: Final = 300.0
USUAL: Final = "30"
_PATIENCE: Final = 10.0
"""Seconds beyond those asked for that the worker has to write its profile down."""

_OFF: Final = "profiling is off: start `meshwright serve` with --debug to switch it on"
_TAKEN: Final = "a profile is being taken already: try again when it is done"
_log = structlog.get_logger()


class Process(StrEnum):
    """Which of the daemon's processes; the supervisor does nothing worth looking at."""

    SERVER = "server"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; `seconds` are of wall time."""

    process: Process
    seconds: float


class ProfilePage:
    """One profile at a time; a client that goes away ends its own."""

    def __init__(self, questions: Questions, stopped: asyncio.Event, *, debug: bool) -> None:
        self._questions = questions
        self._stopped = stopped
        self._debug = debug
        self._watch = Watch()
        self._taking = False

    def route(self) -> Route:
        return Route("/debug/profile", self._answer)

    async def _answer(self, request: Request) -> Response:
        if not self._debug:
            return _refuse(404, _OFF)
        try:
            wanted = read_wanted(request.query_params)
        except ValueError as error:
            return _refuse(400, str(error))
        if self._taking:
            return _refuse(409, _TAKEN)
        self._taking = True
        try:
            return _file(wanted, await self._while_wanted(request, wanted))
        except NoAnswer as error:
            return _refuse(503, str(error))
        finally:
            self._taking = False

    async def _while_wanted(self, request: Request, wanted: Wanted) -> bytes:
        """Raises NoAnswer, also where the client has gone or the server stops: either ends the profile."""
        taking = asyncio.ensure_future(self._take(wanted))
        ends = (asyncio.ensure_future(_until_disconnected(request)), asyncio.ensure_future(self._stopped.wait()))
        try:
            await asyncio.wait({taking, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                return taking.result()
        finally:
            for task in (taking, *ends):
                task.cancel()
            await asyncio.gather(taking, *ends, return_exceptions=True)
        _log.info("profile-given-up", of=wanted.process)
        raise NoAnswer("given up: the client has gone, or the server stops")

    async def _take(self, wanted: Wanted) -> bytes:
        """Raises NoAnswer."""
        match wanted.process:
            case Process.SERVER:
                return await self._watch_loop(wanted.seconds)
            case Process.WORKER:
                return await self._ask_worker(wanted.seconds)

    async def _watch_loop(self, seconds: float) -> bytes:
        """Of the main thread, which runs the event loop; written down by another one, so that pushes go on."""
        with self._watch.profile("meshwright server", period_for(seconds)) as profile:
            _log.info("profiling", seconds=seconds)
            await asyncio.sleep(seconds)
        return await asyncio.to_thread(profile.to_json)

    async def _ask_worker(self, seconds: float) -> bytes:
        try:
            taken = await self._questions.ask(BEGIN, {"seconds": seconds}, seconds + _PATIENCE)
        except asyncio.CancelledError:
            self._questions.tell(END)
            raise
        return str(taken).encode()


async def _until_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def read_wanted(parameters: QueryParams) -> Wanted:
    """Raises ValueError, whose text is a sentence."""
    if unknown := sorted(set(parameters) - {"seconds", "process"}):
        raise ValueError(f"there is no parameter {unknown[0]!r}; there are seconds and process")
    if twice := sorted(name for name in set(parameters) if len(parameters.getlist(name)) > 1):
        raise ValueError(f"{twice[0]} is given twice")
    process, seconds = parameters.get("process", Process.SERVER.value), parameters.get("seconds", USUAL)
    if process not in tuple(Process):
        raise ValueError(f"process={process} is neither server nor worker")
    return Wanted(Process(process), _read_seconds(seconds))


def _read_seconds(text: str) -> float:
    bounds = f"seconds={text} is not a number from {SHORTEST:.0f} to {LONGEST:.0f}"
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(bounds) from None
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(bounds)
    return seconds


def _file(wanted: Wanted, content: bytes) -> Response:
    name = f"meshwright-{wanted.process}.speedscope.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content + b"\n", media_type="application/json", headers=headers)


def _refuse(code: int, sentence: str) -> Response:
    return Response(orjson.dumps({"title": sentence, "status": code}) + b"\n", code, media_type="application/json")
