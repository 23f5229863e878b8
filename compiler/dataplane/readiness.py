"""`/ready`: whether a proxy may be sent traffic (kuma-core §8)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from compiler.dataplane.bootstrap import AdminAddress
from compiler.dataplane.http_client import Answer, Question, ask

_READY = Answer(200, {"content-type": "text/plain"}, b"READY\n")
_NOT_READY = Answer(503, {"content-type": "text/plain"}, b"NOT_READY\n")
_TERMINATING = Answer(503, {"content-type": "text/plain"}, b"TERMINATING\n")
_UNKNOWN = Answer(404, {"content-type": "text/plain"}, b"only /ready is here\n")
_OK = 200
_ASKING_SECONDS = 1.0


@dataclass
class Readiness:
    """Envoy's own answer, but for the time before its neighbours can work and the time when it is being drained."""

    admin: AdminAddress
    terminating: bool = False
    waiting_for: list[Callable[[], bool]] = field(default_factory=list)
    """Conditions that are asked as long as they do not hold, names that can be looked up, say."""

    async def answer(self, question: Question) -> Answer:
        if question.path.partition("?")[0] != "/ready":
            return _UNKNOWN
        if self.terminating:
            return _TERMINATING
        self.waiting_for = [holds for holds in self.waiting_for if not holds()]
        return _NOT_READY if self.waiting_for or not await is_live(self.admin) else _READY


async def is_live(admin: AdminAddress) -> bool:
    """Envoy says so once it has its listeners and every cluster is warm."""
    try:
        return (await ask(admin, Question("/ready"), _ASKING_SECONDS)).status == _OK
    except (OSError, asyncio.IncompleteReadError):
        return False
