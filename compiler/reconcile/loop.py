"""The worker's loop: an attempt when the tip may have moved, an answer when the server asks, until told to stop."""

import queue
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from compiler.reconcile.backoff import LOCAL, REMOTE, back_off
from compiler.reconcile.channel import Message
from compiler.reconcile.outcome import Next
from compiler.reconcile.ports import Compiled, SourceError
from compiler.reconcile.reconcile import Reconciler
from compiler.reconcile.report import Report
from compiler.snapshot.failures import NotTheWriter, StoreError

Question = Callable[[Compiled, Mapping[str, object]], object]
"""Answers the server from the last good compile; raises LookupError, whose text says what there is not."""

HINT: Final[Message] = {"kind": "hint"}
_PAUSE: Final = 0.5
"""Seconds: proxies hear of what was published meanwhile, and the cores are for those that tell them."""
_MOST_UNSETTLED: Final = 10
"""Messages; who commits without a pause is settled for nevertheless."""
_log = structlog.get_logger()


@dataclass
class Loop:
    """`inbox` takes the supervisor's messages and the watcher's hints; times are seconds on the monotonic clock."""

    reconciler: Reconciler
    report: Report
    questions: Mapping[str, Question]
    interval: float
    fetches: bool = True
    offline: bool = False
    courtesy: float = 0.0
    """Seconds that a server which is still starting has the machine to itself."""
    settle: Callable[[], None] = lambda: None
    """Called when nothing has been done for anybody for a while, or much has been."""
    inbox: "queue.SimpleQueue[Message]" = field(default_factory=queue.SimpleQueue)
    _fetch_failures: int = 0
    _failures: int = 0
    _unsettled: int = 0
    _next_fetch: float = 0.0
    _next_attempt: float = 0.0

    def run(self, fetch_after: float = 0.0) -> None:
        """What is here is compiled before anything is fetched, so that a remote that hangs delays nothing."""
        self._next_fetch = time.monotonic() + fetch_after
        message = HINT
        if self.reconciler.recover():
            message = self._let_serve()
        try:
            while message.get("kind") != "stop":
                self.take(message)
                self.report.enter("idle")
                self._unsettled += 1
                message = self._wait()
        finally:
            self.reconciler.shelf.close()

    def take(self, message: Message) -> None:
        match message.get("kind"):
            case "ask":
                self.answer(message)
                return
            case "image-damaged":
                self.reconciler.recover()
                return
            case "serving":
                return
            case "quarantine":
                self.reconciler.forgive()
            case "reconcile":
                self._next_fetch = self._next_attempt = 0.0
        if self.offline:
            self.report.source_seen("offline: no repository is read")
            return
        self.attempt()
        if self.fetch():
            self.attempt()

    def fetch(self) -> bool:
        """Whether it was due and went well; a remote that fails is asked again with growing pauses."""
        if not self.fetches or time.monotonic() < self._next_fetch:
            return False
        self.report.enter("fetch")
        try:
            self.reconciler.source.fetch()
        except SourceError as error:
            self._fetch_failures += 1
            self.report.source_seen(str(error))
        else:
            self._fetch_failures = 0
        self._next_fetch = time.monotonic() + back_off(self._fetch_failures, self.interval, REMOTE)
        return not self._fetch_failures

    def attempt(self) -> None:
        """The one place that catches any exception: a bug of ours at one commit must not stop the next one."""
        if time.monotonic() < self._next_attempt:
            return
        try:
            outcome = self.reconciler.reconcile()
        except (MemoryError, NotTheWriter):
            raise
        except Exception as error:  # noqa: BLE001  # the one place, see above
            tip = self.reconciler.give_up()
            _log.exception("bug", commit=tip.commit if tip else None)
            self.report.failed(
                tip, f"a bug of ours, {type(error).__name__}: please report it with the log of this commit"
            )
            return
        self._failures = self._failures + 1 if outcome.next is Next.RETRY else 0
        self._next_attempt = (
            time.monotonic() + back_off(self._failures, self.interval, LOCAL) if self._failures else 0.0
        )
        if not self._fetch_failures:
            self.report.source_seen(self.reconciler.source_error)
        self.report.outcome(outcome)

    def answer(self, message: Message) -> None:
        """From what was last compiled without errors: a question never waits for an author."""
        question, latest = self.questions.get(str(message.get("question"))), self.reconciler.latest
        arguments = message.get("arguments")
        if question is None or latest is None or not isinstance(arguments, Mapping):
            self.report.answer(message, error="nothing is compiled yet" if question else "no such question")
            return
        self.report.enter("answer")
        try:
            self.report.answer(message, result=question(latest, arguments))
        except LookupError as error:
            self.report.answer(message, missing=str(error.args[0]) if error.args else "not found")

    def _let_serve(self) -> Message:
        """To compile takes every core, and proxies wait for what is published; what comes meanwhile is kept."""
        until, kept = time.monotonic() + self.courtesy, list[Message]()
        while (left := until - time.monotonic()) > 0:
            try:
                message = self.inbox.get(timeout=left)
            except queue.Empty:
                break
            if message.get("kind") == "serving":
                break
            kept.append(message)
            if message.get("kind") == "stop":
                return message
        for message in kept:
            self.inbox.put(message)
        return HINT

    def _wait(self) -> Message:
        """An interval at most, in which there is time to settle once nobody asks for anything else."""
        pause = min(_PAUSE, self.interval / 2)
        with suppress(queue.Empty):
            if self._unsettled < _MOST_UNSETTLED:
                return self.inbox.get(timeout=pause)
        self._unsettled = 0
        self.settle()
        with suppress(queue.Empty):
            return self.inbox.get(timeout=self.interval - pause)
        self._tidy()
        return HINT

    def _tidy(self) -> None:
        """Whoever comes meanwhile waits for one step at most."""
        try:
            while self.reconciler.shelf.tidy() and self.inbox.empty():
                pass
        except StoreError as error:
            _log.warning("not-tidied", reason=str(error))
