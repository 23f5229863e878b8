"""The running reconciler as its status page shows it."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compiler.demo.failure import DemoFailed

Status = Mapping[str, Any]
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Where a `meshwright serve` answers."""

    xds: str
    http: str

    def status(self) -> Status:
        connection = http.client.HTTPConnection(self.http, timeout=10)
        try:
            connection.request("GET", "/status")
            found: Status = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found

    def wait(self, what: str, holds: Callable[[Status], bool], seconds: float) -> Status:
        """The first status for which it holds; raises DemoFailed with what was waited for."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.status()
            if holds(found):
                return found
            if time.monotonic() > deadline:
                raise DemoFailed(f"after {seconds:.0f} s still not so: {what}. {_summary(found)}")
            time.sleep(_PAUSE)

    def wait_served(self, commit: str, seconds: float) -> Status:
        return self.wait(
            f"commit {commit[:7]} is served", lambda found: _serving(found).get("commit") == commit, seconds
        )

    def wait_accepted(self, commit: str, proxies: int, seconds: float) -> Status:
        """Every proxy holds this commit's snapshot, wholly ACKed."""
        return self.wait(
            f"all {proxies} proxies accept commit {commit[:7]}",
            lambda found: _serving(found).get("commit") == commit and _accepted(found, proxies),
            seconds,
        )

    def wait_delivered(self, commit: str, proxies: int, seconds: float) -> Status:
        """The same, of a commit that came while the proxies were connected: its last ACK has a time."""
        return self.wait(
            f"all {proxies} proxies accept commit {commit[:7]}",
            lambda found: (
                _serving(found).get("commit") == commit
                and _accepted(found, proxies)
                and "last_ack" in _serving(found)["timings"]
            ),
            seconds,
        )


def digest_of(status: Status) -> str:
    return str(_serving(status).get("digest"))


def last_ack(status: Status) -> float:
    """In seconds since 1970."""
    return float(_serving(status)["timings"]["last_ack"])


def _serving(status: Status) -> Mapping[str, Any]:
    return status.get("serving") or {}


def _accepted(status: Status, proxies: int) -> bool:
    connected = status["proxies"]
    refused = any(kind["nack"] for proxy in connected for kind in proxy["types"].values())
    accepted = sum(proxy["known"] and proxy["fully_acked"] for proxy in connected)
    return not refused and accepted == proxies == len(connected)


def _summary(status: Status) -> str:
    candidate = status.get("candidate") or {}
    reason = f" ({candidate['reason']})" if candidate.get("reason") else ""
    served, connected = str(_serving(status).get("commit"))[:7], len(status["proxies"])
    return f"Served is {served}, the candidate is {candidate.get('state')}{reason}, {connected} proxies are connected."
