"""HTTP of the server process: metrics, status and the read API; on the admin socket also what else there is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, Protocol

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compiler.reconcile.questions import NoAnswer, NotThere

_DATE: Final = 1.0
"""Seconds; the resolution of an HTTP date."""


class Answers(Protocol):
    """What the pages show."""

    @property
    def registry(self) -> CollectorRegistry: ...

    async def status(self, after: str, limit: int | None) -> Mapping[str, object]: ...

    async def ask(self, question: str, arguments: Mapping[str, object]) -> object:
        """Raises NoAnswer and NotThere."""

    def reconcile(self, *, forgive: bool) -> None: ...


def read_api(answers: Answers) -> Starlette:
    """Everything that the HTTP port shows; nothing here changes anything."""
    return Starlette(routes=_read_routes(answers))


def admin_api(answers: Answers, *more: Route) -> Starlette:
    """The same, `reconcile`, and more; only for the socket that our own user alone may open."""

    async def reconcile(request: Request) -> Response:
        """`?forgive=true` lets quarantined trees be tried again."""
        answers.reconcile(forgive=request.query_params.get("forgive") == "true")
        return _json({"accepted": True}, 202)

    return Starlette(routes=[*_read_routes(answers), Route("/reconcile", reconcile, methods=["POST"]), *more])


def _read_routes(answers: Answers) -> list[Route]:
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(answers.registry), media_type=CONTENT_TYPE_LATEST)

    async def status(request: Request) -> Response:
        """`?after=NODE&limit=N` is a page of the proxies; `limit=0` leaves them out and still counts them."""
        limit = request.query_params.get("limit", "")
        page = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 10 else None
        return _json(await answers.status(request.query_params.get("after", ""), page))

    return [
        Route("/metrics", metrics),
        Route("/status", status),
        Route("/meshes/{mesh}/dataplanes/{name}/_rules", _asked(answers, "rules")),
        Route("/meshes/{mesh}/meshgateways/{name}/_rules", _asked(answers, "gateway_rules")),
        Route("/meshes/{mesh}/dataplanes/{name}/_config", _asked(answers, "config")),
        Route("/meshes/{mesh}/dataplanes/{name}/_layout", _asked(answers, "layout")),
        Route("/meshes/{mesh}/dataplanes/{name}/_policies", _asked(answers, "policies")),
        Route("/meshes/{mesh}/{collection}/{name}/_resources/dataplanes", _asked(answers, "chosen")),
        Route("/meshes/{mesh}/{collection}/{name}/_dataplanes", _asked(answers, "chosen")),
        Route("/meshes/{mesh}/{collection}/{name}/_hostnames", _asked(answers, "hostnames")),
    ]


def _asked(answers: Answers, question: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return _json(await answers.ask(question, dict(request.path_params)))
        except NotThere as error:
            return _json({"title": str(error), "status": 404}, 404)
        except NoAnswer as error:
            return _json({"title": str(error), "status": 503}, 503)

    return answer


def _json(content: object, code: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS) + b"\n", code, media_type="application/json")


class WebServer(uvicorn.Server):
    """Signals are the supervisor's business, and the log is ours."""

    def __init__(self, application: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                limit_concurrency=200,
                timeout_graceful_shutdown=1,
            )
        )
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Awake once a second, for the date of the answers; ten times, as is usual, was most of an idle server."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _DATE)

    def end(self) -> None:
        """`serve` returns once the answers that are being written are out."""
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
