"""What an exchange with a real Envoy says: its reply, and what reached the stub, as an answer."""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from compiler.review.promises.loopback import STRETCH, TAKEN, Loopback
from compiler.review.promises.routing.answer import Answer, Ask, Taken, without_own
from compiler.review.promises.routing.held import read_service_name
from compiler.review.promises.stubs import Exchange, Inbound, Received, Reply

_MILLISECONDS: Final = 1000
_DENIED: Final = b"RBAC: access denied"
_URI: Final = re.compile(r"URI=([^;,]*)")
_NOTHING: Final = frozenset({"", "-"})
"""What Envoy writes for what there is not."""


@dataclass(frozen=True, slots=True)
class Met:
    """An answer, the cluster that the request was sent to, and the listener behind the endpoint that was taken."""

    answer: Answer
    cluster: str = ""
    door: Inbound | None = None


def read_exchange(loopback: Loopback, ask: Ask, table: Any, reply: Reply, exchange: Exchange) -> Met:
    """The caller's Envoy says which route it took; the stub says what it saw."""
    headers = without_own(reply.headers)
    said = reply.header(TAKEN)
    if not said:
        return Met(
            Answer(reply.status, response_headers=headers, why="no route of the caller's proxy took the request")
        )
    place, cluster, endpoint, timeout = said.split("|")
    cluster = cluster.rpartition("/")[2]
    answer = Answer(reply.status, response_headers=headers, taken=_taken(table, place), why=_why(reply))
    if cluster in _NOTHING:
        return Met(replace(answer, location=reply.header("location")))
    service = read_service_name(cluster)
    answer = replace(answer, service=service.name if service is not None else "", timeout=_seconds(timeout))
    door = loopback.behind.get(int(endpoint.rpartition(":")[2])) if endpoint not in _NOTHING else None
    denied = _DENIED in reply.body and not exchange.received
    if door is not None and (denied or exchange.received):
        answer = replace(answer, node=door[0], tags=_tags(loopback, ask, cluster, door), denied=denied)
    if exchange.received:
        answer = _seen(answer, exchange.received[-1])
    return Met(answer, cluster, door)


def read_tcp(loopback: Loopback, ask: Ask, cluster: str, exchange: Exchange, *, denied: bool) -> Met:
    """Of TCP: the stub's word, or that the connection was closed without one."""
    service = read_service_name(cluster)
    answer = Answer(None, service.name if service is not None else "", denied=denied)
    if not exchange.received:
        why = "the service's proxy closed the connection: its permissions" if denied else "the connection was closed"
        return Met(replace(answer, why=why), cluster)
    door = exchange.received[-1].inbound
    return Met(replace(answer, node=door[0], tags=_tags(loopback, ask, cluster, door)), cluster, door)


def _seen(answer: Answer, received: Received) -> Answer:
    certificate = received.header("x-forwarded-client-cert")
    return replace(
        answer,
        path=received.path,
        authority=received.header("host"),
        request_headers=without_own(received.headers),
        identities=tuple(_URI.findall(certificate)),
        why="",
    )


def _taken(table: Any, place: str) -> Taken:
    host, _, index = place.partition(".")
    return Taken(table.name, table.virtual_hosts[int(host)].name, int(index))


def _tags(loopback: Loopback, ask: Ask, cluster: str, door: Inbound) -> tuple[tuple[str, str], ...]:
    callees = loopback.fleet.callees(loopback.fleet[ask.caller], cluster)
    return next((one.tags for one in callees if (one.node, one.listener) == door), ())


def _seconds(milliseconds: str) -> float:
    """Envoy says nothing where there is no limit."""
    return 0.0 if milliseconds in _NOTHING else int(milliseconds) / (_MILLISECONDS * STRETCH)


def _why(reply: Reply) -> str:
    """Envoy's own words, of what it answers by itself."""
    return reply.body.decode("utf-8", errors="replace")[:200]
