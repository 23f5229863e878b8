"""What the worker tells the supervisor, and through it the server and its status page."""

import time
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from compiler.diagnostics import plain_diagnostic
from compiler.reconcile.channel import Channel, Message
from compiler.reconcile.outcome import Outcome, State
from compiler.reconcile.ports import Compiled, Published, Tip

SHOWN: Final = 200
"""Diagnostics on the status page; the rest is counted."""

_log = structlog.get_logger()


class Report:
    """Says each thing once: a phase when it changes, a candidate when it or its state does."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._counted: Compiled | None = None
        self._phase: tuple[str, Tip | None] = ("start", None)
        self._candidate: Message = {}
        self._last_success: float | None = None
        self._source_error: Mapping[str, object] | None = None

    def enter(self, phase: str, tip: Tip | None = None) -> None:
        """A tip is named while its content is parsed or compiled: then it is to blame for what happens."""
        if (phase, tip) == self._phase:
            return
        self._phase = (phase, tip)
        named = {} if tip is None else {"commit": tip.commit, "tree": tip.tree}
        self._channel.send("phase", phase=phase, **named)

    def source_seen(self, error: str | None) -> None:
        now = time.time()
        if error is None:
            self._last_success, self._source_error = now, None
        elif self._source_error is None or self._source_error["message"] != error:
            self._source_error = {"message": error, "since": now}
            _log.warning("source-failed", reason=error)
        self._channel.send("source", last_success=self._last_success, last_error=self._source_error)

    def announce(self, published: Published, timings: Mapping[str, float]) -> None:
        """The server may now take it from the image."""
        self._channel.send(
            "generation",
            number=published.number,
            commit=published.commit,
            digest=published.digest,
            timings=dict(timings),
        )
        _log.info("published", commit=published.commit, digest=published.digest, generation=published.number)

    def outcome(self, outcome: Outcome) -> None:
        """Nothing new at the tip says nothing."""
        tip = outcome.attempt.tip
        self._count_work(outcome.attempt.compiled)
        if outcome.state is State.COMPILING:
            return
        findings = outcome.attempt.diagnostics
        self._candidate_is(
            tip, outcome.state, outcome.reason, [plain_diagnostic(one) for one in findings[:SHOWN]], len(findings)
        )

    def failed(self, tip: Tip | None, reason: str) -> None:
        self._candidate_is(tip, State.FAILED, reason, [], 0)

    def answer(self, question: Message, **answer: object) -> None:
        self._channel.send("answer", id=question.get("id"), **answer)

    def _count_work(self, compiled: Compiled | None) -> None:
        """Once for each compile, though its outcome may be told again: a full disk is tried until it is not."""
        if compiled is None or compiled is self._counted:
            return
        self._counted = compiled
        self._channel.send("work", steps={step: count for step, count in compiled.counters.items() if count})

    def _candidate_is(self, tip: Tip | None, state: State, reason: str, shown: Iterable[object], found: int) -> None:
        candidate = {
            "commit": tip.commit if tip else None,
            "state": state.value,
            "reason": reason,
            "diagnostics": list(shown),
            "diagnostics_found": found,
        }
        if candidate == self._candidate:
            return
        self._candidate = candidate
        self._channel.send("candidate", **candidate)
        if state is not State.PUBLISHED:
            _log.warning(
                "not-published", commit=candidate["commit"], state=state.value, reason=reason, diagnostics=found
            )
