"""The steps that change nothing: who gets through the mesh, and who does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.demo.failure import require
from compiler.demo.page import Page
from compiler.demo.shop import Workload
from compiler.demo.traffic import ask_plainly, ask_store, calling

_CALLS = 20


@dataclass
class Calls:
    """Requests as the applications of the shop would make them."""

    page: Page
    shop: Mapping[str, Workload]
    _asked: dict[str, int] = field(default_factory=dict)

    def succeed(self, caller: Workload) -> None:
        self.page.step(f"The {caller.service} calls the backend, and the backend the database")
        proxy = caller.outbounds["backend"]
        with calling(proxy) as connection:
            answers = [connection.get("/prices") for _ in range(_CALLS)]
        require(all(answer.status == 200 for answer in answers), f"a request failed: {answers[-1].text}")
        versions = sorted({answer.version for answer in answers})
        require(versions == ["v1"], f"versions {versions} answered, and not v1 alone")
        self.page.note(f"GET http://{proxy}/prices: 200 from backend v1, {_CALLS} of {_CALLS}")
        self._show_certificate(caller, str(answers[-1].body["caller"]))
        said = ask_store(self.shop["backend-v2-1"].outbounds["database"], "PING")
        require(said == "PONG", f"the database answered backend v2 with {said!r}")
        self.page.note("PING from backend v2 to the database, over TCP: PONG")

    def _show_certificate(self, caller: Workload, forwarded: str) -> None:
        """As the callee's proxy tells its application; `By` is the callee itself."""
        identity = f"spiffe://{caller.mesh}/{caller.service}"
        parts = forwarded.split(";")
        require(f"URI={identity}" in parts, f"the callee saw another certificate: {forwarded}")
        self.page.note("the caller's certificate, as the backend saw it:")
        self.page.quote(f"  {part}" for part in parts if not part.startswith("By="))

    def are_refused(self, caller: Workload) -> None:
        """By the callee's proxy: the application behind it never hears of the request."""
        self.page.step(f"The {caller.service}, which nobody permitted to call, is refused")
        before, proxy = self._reached(), caller.outbounds["backend"]
        with calling(proxy) as connection:
            answers = [connection.get() for _ in range(_CALLS)]
        said = {(answer.status, answer.text) for answer in answers}
        require(said == {(403, "RBAC: access denied")}, f"the {caller.service} was answered {said}")
        reached = self._reached() - before
        require(reached == 0, f"{reached} requests of the {caller.service} reached the backend")
        self.page.note(f"GET http://{proxy}/: 403 RBAC: access denied, {_CALLS} of {_CALLS}")
        self._try_other_ways(caller)

    def _try_other_ways(self, caller: Workload) -> None:
        said = ask_store(caller.outbounds["database"], "PING")
        require(said == "", f"the database answered the {caller.service}: {said}")
        self.page.note("PING to the database: the connection is closed")
        inbound = self.shop["backend-v1-1"].inbound
        said = ask_plainly(inbound)
        require(not said.startswith("HTTP/"), f"plain HTTP to {inbound} was answered: {said[:80]}")
        self.page.note(f"plain HTTP to {inbound}, with no certificate: closed")

    def _reached(self) -> int:
        """How many requests the backend's applications have answered, without ours that ask for it."""
        total = 0
        for workload in self.shop.values():
            if workload.service == "backend":
                self._asked[workload.name] = self._asked.get(workload.name, 0) + 1
                with calling(workload.application) as connection:
                    total += int(connection.get().body["requests"]) - self._asked[workload.name]
        return total
