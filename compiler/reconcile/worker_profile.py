"""A profile of the worker's loop, asked for by the server and taken from a thread of its own: the loop never waits."""

import threading
from collections.abc import Mapping
from typing import Final

import structlog

from compiler.profiling import Watch, period_for
from compiler.reconcile.channel import Channel, Message

BEGIN: Final = "profile"
END: Final = "end-profile"
_log = structlog.get_logger()


class WorkerProfile:
    """Made by the main thread, which runs the loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._watch = Watch()
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()

    def take(self, message: Message) -> bool:
        """Whether the message was one of ours. Whoever asks anew has given the former profile up."""
        if message.get("kind") != "ask" or message.get("question") not in (BEGIN, END):
            return False
        self._ended.set()
        if message["question"] == BEGIN:
            self._ended = threading.Event()
            threading.Thread(target=self._profile, args=(message, self._ended), name="profile", daemon=True).start()
        return True

    def _profile(self, question: Message, ended: threading.Event) -> None:
        seconds = _seconds(question)
        with self._one_at_a_time, self._watch.profile("meshwright worker", period_for(seconds)) as profile:
            _log.info("profiling", seconds=seconds)
            given_up = ended.wait(seconds)
        if not given_up:
            self._channel.send("answer", id=question.get("id"), result=profile.to_json().decode())


def _seconds(question: Message) -> float:
    """The server, which asked, has seen to the bounds."""
    arguments = question.get("arguments")
    return float(arguments["seconds"]) if isinstance(arguments, Mapping) else 0.0
