"""The server's two websites: what may be read, on its port, and all that there is, on the admin socket."""

import asyncio
import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from compiler.reconcile.address import Address, Refusal, bound_address, listen, parse_address
from compiler.reconcile.admin_socket import open_admin_socket
from compiler.reconcile.options import ServeOptions
from compiler.reconcile.questions import Questions

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from compiler.reconcile.web import Answers, WebServer

_GRACE: Final = 2.0


class Websites:
    """Bound before proxies are served, so that a taken port is told at once; answered on a moment later."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._http: socket.socket | None = None
        self._admin: tuple[Path, socket.socket] | None = None
        self._open: list[tuple[WebServer, asyncio.Task[None]]] = []
        self.trouble: str | None = None

    def bind(self) -> Address:
        """Of the HTTP port. Who connects from here on waits for `answer`. Raises Refusal."""
        self._http = listen("--http", parse_address("--http", self._options.http))
        self._bind_admin()
        return bound_address(self._http)

    async def answer(self, answers: "Answers", questions: Questions, stopped: asyncio.Event) -> None:
        """A thread reads in what serves people: that takes a tenth of a second, in which proxies are served."""
        for module in ("compiler.reconcile.web", "compiler.reconcile.profile_page"):
            await asyncio.to_thread(import_module, module)
        from compiler.reconcile.profile_page import ProfilePage
        from compiler.reconcile.web import admin_api, read_api

        if self._http is not None:
            self._serve(read_api(answers), self._http)
        if self._admin is not None:
            profiles = ProfilePage(questions, stopped, debug=self._options.debug)
            self._serve(admin_api(answers, profiles.route()), self._admin[1])

    async def close(self) -> None:
        for website, _ in self._open:
            website.end()
        tasks = [task for _, task in self._open]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_GRACE)
            for task in late:
                task.cancel()
        if self._admin is not None:
            self._admin[0].unlink(missing_ok=True)

    def _bind_admin(self) -> None:
        """A path that was asked for must do; the usual one may be taken, by the instance that holds the data."""
        path = Path(self._options.admin or Path(self._options.data) / "admin.sock")
        try:
            self._admin = path, open_admin_socket(path)
        except Refusal as refusal:
            if self._options.admin is not None:
                raise
            self.trouble = str(refusal)

    def _serve(self, application: "Starlette", bound: socket.socket) -> None:
        from compiler.reconcile.web import WebServer

        website = WebServer(application)
        task = asyncio.get_running_loop().create_task(website.serve(sockets=[bound]))
        self._open.append((website, task))
