"""HTTP of the server process: metrics, status and the read API; on the admin socket also what else there is."""

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compiler.reconcile.address import Refusal
from compiler.reconcile.exit_codes import UNAVAILABLE
from compiler.reconcile.questions import NoAnswer, NotThere


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
        page = int(limit) if limit.isdecimal() else None
        return _json(await answers.status(request.query_params.get("after", ""), page))

    return [
        Route("/metrics", metrics),
        Route("/status", status),
        Route("/meshes/{mesh}/dataplanes/{name}/_rules", _asked(answers, "rules")),
        Route("/meshes/{mesh}/dataplanes/{name}/_config", _asked(answers, "config")),
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_admin_socket(path: Path) -> socket.socket:
    """Mode 0600; a socket that nobody answers on is a leftover and is replaced. Raises Refusal."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _require_abandoned(path)
            path.unlink()
        before = os.umask(0o177)
        try:
            bound.bind(str(path))
            bound.listen(16)
        finally:
            os.umask(before)
    except OSError as error:
        bound.close()
        raise Refusal(f"cannot listen on --admin {path}: {error.strerror or error}", UNAVAILABLE) from error
    return bound


def _require_abandoned(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        with contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise Refusal(f"cannot listen on --admin {path}: another instance answers there", UNAVAILABLE)
