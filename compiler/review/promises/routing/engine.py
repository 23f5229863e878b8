"""The engine without an Envoy: a request's way through the caller's proxy and the service's, in Envoy's order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from compiler.envoy.resources import ResourceType
from compiler.review.promises.routing.answer import (
    RETRIED_STATUS,
    Answer,
    Ask,
    CannotTell,
    Outcome,
    collect,
    is_own,
    with_retries,
    without_own,
)
from compiler.review.promises.routing.callee import admits, arrive
from compiler.review.promises.routing.change import (
    change_request,
    change_response,
    redirect_location,
    redirect_request,
    redirect_status,
    rewrite,
)
from compiler.review.promises.routing.held import Callee, Fleet, Held, is_http, read_service_name, terminal_filter
from compiler.review.promises.routing.match import Request, matches_header, merge_slashes, normalise_path
from compiler.review.promises.routing.retry import count_retries
from compiler.review.promises.routing.table import Chosen, choose, clusters_of

_ACTIONS = HttpConnectionManager.PathWithEscapedSlashesAction
_KEEPING = (_ACTIONS.IMPLEMENTATION_SPECIFIC_DEFAULT, _ACTIONS.KEEP_UNCHANGED)
_DEFAULT_TIMEOUT = 15.0
"""Envoy's, in seconds, for a route that names none."""


@dataclass(frozen=True)
class PythonEngine:
    """Needs nothing but the snapshots; where it does not know what Envoy does it says so rather than guess."""

    fleet: Fleet
    name: str = "python"

    def answer(self, asks: Sequence[Ask]) -> Sequence[tuple[Outcome, ...] | CannotTell]:
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> tuple[Outcome, ...] | CannotTell:
        try:
            return collect(tuple(self._outcomes(ask)))
        except CannotTell as unknown:
            return unknown

    def _outcomes(self, ask: Ask) -> Iterator[Outcome]:
        caller = self.fleet[ask.caller]
        listener = caller.find(ResourceType.LISTENER, ask.listener)
        last = caller.filter(terminal_filter(listener.filter_chains[0]))
        if not is_http(last):
            yield from self._tcp(caller, last)
            return
        if _is_refused(last, ask):
            yield _sure(Answer(400, why="a gateway takes no header with an underscore in its name"))
            return
        scheme = last.scheme_header_transformation.scheme_to_overwrite or "http"
        request = Request(ask.method, _arriving_path(last, ask.path), ask.authority, ask.headers, scheme)
        table = caller.routes(last)
        for chosen in choose(table, request):
            for outcome in self._take(_Call(ask, caller, table, chosen, request)):
                yield replace(outcome, share=outcome.share * chosen.share)

    def _take(self, call: "_Call") -> Iterator[Outcome]:
        route = call.chosen.route
        if route is None:
            yield _sure(Answer(404, why="no route of the caller's proxy matches the request"))
            return
        match route.WhichOneof("action"):
            case "redirect":
                away = redirect_request(route.redirect, route.match, call.request)
                answer = call.replied(redirect_status(route.redirect), away, why="the route redirects")
                where = redirect_location(route.redirect, route.match, call.request)
                yield _sure(replace(answer, location=where))
            case "direct_response":
                status = route.direct_response.status
                yield _sure(call.replied(status, call.request, why=f"the route answers {status} by itself"))
            case "route":
                for share, cluster, weighted in clusters_of(route.route):
                    for outcome in self._forward(call, cluster, weighted):
                        yield replace(outcome, share=outcome.share * share)
            case other:
                raise CannotTell(f"a route with the action {other}, which the Python engine does not know")

    def _forward(self, call: "_Call", cluster: str, weighted: Any) -> Iterator[Outcome]:
        """Headers are changed before the path is rewritten; what a value quotes is the request as it came."""
        levels = call.levels(weighted)
        action = call.chosen.route.route
        changed = change_request(levels, call.request)
        sent = rewrite(action, call.chosen.route.match, changed)
        service = read_service_name(cluster)
        answer = replace(
            call.replied(RETRIED_STATUS, sent, weighted, why=f"{cluster} has no endpoint"),
            service=service.name if service is not None else "",
            timeout=_timeout(action),
        )
        callees = self.fleet.callees(call.caller, cluster)
        for callee in callees:
            outcome = Outcome(callee.share, self._arrive(call, cluster, callee, sent, answer, weighted))
            yield with_retries(outcome, self._retries(call, sent, outcome)) if call.ask.counts_retries else outcome
        if not callees:
            yield _sure(replace(answer, retries=0 if call.ask.counts_retries else None))

    def _retries(self, call: "_Call", sent: Request, outcome: Outcome) -> int:
        """Only a service that answers can be asked again: what a proxy refuses by itself is not counted."""
        return count_retries(call.chosen, sent) if outcome.answer.node and not outcome.answer.denied else 0

    def _arrive(
        self, call: "_Call", cluster: str, callee: Callee, sent: Request, answer: Answer, weighted: Any
    ) -> Answer:
        if not callee.node:
            raise CannotTell(f"{callee.listener} is no proxy of this mesh: what answers there is not known")
        arrival = arrive(self.fleet, call.caller, cluster, callee)
        if arrival.chain is None:
            return replace(answer, why=arrival.why)
        answer = replace(answer, node=callee.node, tags=callee.tags)
        if not admits(arrival, sent):
            why = f"{callee.node} permits no call of {call.ask.caller}"
            return replace(answer, status=403, denied=True, why=why)
        served = self._serve(arrival, sent)
        headers = change_response(call.levels(weighted), call.ask.answer_headers, sent)
        return replace(
            answer,
            status=call.ask.answer_status,
            path=served.path,
            authority=served.authority,
            request_headers=without_own(served.headers),
            response_headers=without_own(headers),
            identities=arrival.identities if _shows_caller(arrival) else (),
            why="",
        )

    def _serve(self, arrival: Any, sent: Request) -> Request:
        """The service's own proxy has routes too: by caller, for its timeouts."""
        last = arrival.held.filter(terminal_filter(arrival.chain))
        if not is_http(last):
            return sent
        table = arrival.held.routes(last)
        # Routes told apart by the caller lead to the same place, and change a request alike.
        for host in table.virtual_hosts[:1]:
            route = next((one for one in host.routes if _is_general(one)), None)
            if route is None:
                raise CannotTell("the service's proxy has no route for every caller")
            return rewrite(route.route, route.match, change_request((route, host, table), sent))
        raise CannotTell("the service's proxy has no routes")

    def _tcp(self, caller: Held, proxy: Any) -> Iterator[Outcome]:
        if proxy.WhichOneof("cluster_specifier") != "cluster":
            raise CannotTell("a TCP split, which the Python engine does not know")
        service = read_service_name(proxy.cluster)
        answer = Answer(None, service.name if service is not None else "", why=f"{proxy.cluster} has no endpoint")
        callees = self.fleet.callees(caller, proxy.cluster)
        for callee in callees:
            yield Outcome(callee.share, self._connect(caller, proxy.cluster, callee, answer))
        if not callees:
            yield _sure(answer)

    def _connect(self, caller: Held, cluster: str, callee: Callee, answer: Answer) -> Answer:
        if not callee.node:
            raise CannotTell(f"{callee.listener} is no proxy of this mesh: what answers there is not known")
        arrival = arrive(self.fleet, caller, cluster, callee)
        if arrival.chain is None:
            return replace(answer, why=arrival.why)
        if not admits(arrival, Request("", "", "")):
            why = f"{callee.node} permits no connection of {caller.snapshot.node}"
            return replace(answer, denied=True, why=why)
        return replace(answer, node=callee.node, tags=callee.tags, why="")


@dataclass(frozen=True, slots=True)
class _Call:
    """A request at the route that takes it."""

    ask: Ask
    caller: Held
    table: Any
    chosen: Chosen
    request: Request

    def levels(self, weighted: Any = None) -> tuple[Any, ...]:
        """Where headers are changed, in the order in which it happens."""
        found = (weighted, self.chosen.route, self.chosen.host, self.table)
        kept = tuple(level for level in found if level is not None)
        return kept[::-1] if self.table.most_specific_header_mutations_wins else kept

    def replied(self, status: int, sent: Request, weighted: Any = None, *, why: str) -> Answer:
        """What the caller's own proxy answers; the route changes the headers of that, too."""
        headers = change_response(self.levels(weighted), (), sent)
        return Answer(status, response_headers=without_own(headers), taken=self.chosen.taken, why=why)


def _is_refused(connections: Any, ask: Ask) -> bool:
    refuses = connections.common_http_protocol_options.headers_with_underscores_action
    return refuses == HttpProtocolOptions.REJECT_REQUEST and any("_" in name for name, _ in ask.headers)


def _arriving_path(connections: Any, path: str) -> str:
    """As the connection manager makes it plain before routes are looked at."""
    keeps = connections.path_with_escaped_slashes_action in _KEEPING
    if not keeps and re.search(r"%(?:2f|5c)", path.partition("?")[0], re.IGNORECASE):
        raise CannotTell("what a gateway does with escaped slashes in a path, the Python engine does not know")
    plain = normalise_path(path) if connections.normalize_path.value else path
    return merge_slashes(plain) if connections.merge_slashes else plain


def _sure(answer: Answer) -> Outcome:
    return Outcome(Fraction(1), answer)


def _timeout(action: Any) -> float:
    if not action.HasField("timeout"):
        return _DEFAULT_TIMEOUT
    return float(action.timeout.seconds + action.timeout.nanos / 10**9)


def _shows_caller(arrival: Any) -> bool:
    last = arrival.held.filter(terminal_filter(arrival.chain))
    return bool(is_http(last) and last.set_current_client_cert_details.uri)


def _is_general(route: Any) -> bool:
    return not any(not is_own(one.name) or not matches_header(one, None) for one in route.match.headers)


__all__ = ["PythonEngine"]
