"""The server's questions to the worker, which it reaches through the supervisor and does not wait long for."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

from compiler.reconcile.channel import Message

DEADLINE: Final = 2.0
"""Seconds; a worker that compiles answers afterwards, and by then nobody listens."""

Send = Callable[..., None]


class NoAnswer(Exception):
    """The worker is away, busy or knows nothing yet: try again."""


class NotThere(Exception):
    """The worker has looked, and what was asked for does not exist."""


class Questions:
    """Open questions by number."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[Message]] = {}

    async def ask(self, question: str, arguments: Mapping[str, object], deadline: float = DEADLINE) -> object:
        """Raises NoAnswer and NotThere, whose texts are sentences; the deadline is in seconds."""
        number = next(self._numbers)
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._send("ask", id=number, question=question, arguments=dict(arguments))
            async with asyncio.timeout(deadline):
                message = await answer
        except TimeoutError:
            raise NoAnswer(f"the compiling process is busy and did not answer within {deadline:.0f} s") from None
        finally:
            del self._open[number]
        if "missing" in message:
            raise NotThere(str(message["missing"]))
        if "error" in message:
            raise NoAnswer(str(message["error"]))
        return message.get("result")

    def tell(self, question: str) -> None:
        """To a question whose answer nobody waits for."""
        self._send("ask", id=next(self._numbers), question=question, arguments={})

    def fail(self, reason: str) -> None:
        """Nobody will answer what is open now."""
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_result({"error": reason})

    def take(self, answer: Message) -> None:
        """An answer that comes too late is dropped."""
        number = answer.get("id")
        waiting = self._open.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
