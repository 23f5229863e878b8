"""By what calls of one caller are told from those of another, so that each stays with an endpoint."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from envoy.config.route.v3.route_components_pb2 import RouteAction
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from msgspec import field

from compiler.envoy.common import set_duration
from compiler.resources.findings import MISSING_FIELD, NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.values import Duration

_SUBJECTS: Final = {
    "Header": "header",
    "Cookie": "cookie",
    "Connection": "connection",
    "SourceIP": "",
    "QueryParameter": "queryParameter",
    "FilterState": "filterState",
}
_OF_REQUESTS: Final = {"Header": "header", "Cookie": "cookie", "QueryParameter": "query"}


class Named(Spec, frozen=True):
    name: str = ""


class Cookie(Spec, frozen=True):
    name: str
    ttl: Duration | None = None
    path: str = ""


class Connection(Spec, frozen=True):
    source_ip: bool = field(default=False, name="sourceIP")


class Keyed(Spec, frozen=True):
    key: str


class HashPolicy(Spec, frozen=True):
    type: str
    terminal: bool = False
    header: Named | None = None
    cookie: Cookie | None = None
    connection: Connection | None = None
    query_parameter: Named | None = None
    filter_state: Keyed | None = None

    @property
    def by_address(self) -> bool:
        return self.type == "SourceIP" or (self.connection is not None and self.connection.source_ip)


def hash_requests(policies: Iterable[HashPolicy], route: RouteAction) -> None:
    for policy in policies:
        message = route.hash_policy.add(terminal=policy.terminal)
        if policy.by_address:
            message.connection_properties.source_ip = True
        elif policy.header is not None:
            message.header.header_name = policy.header.name
        elif policy.cookie is not None:
            message.cookie.name, message.cookie.path = policy.cookie.name, policy.cookie.path
            set_duration(message.cookie.ttl, policy.cookie.ttl)
        elif policy.query_parameter is not None:
            message.query_parameter.name = policy.query_parameter.name
        elif policy.filter_state is not None:
            message.filter_state.key = policy.filter_state.key


def hash_connections(policies: Iterable[HashPolicy], proxy: TcpProxy) -> None:
    """A connection has an address and what filters leave, and Envoy takes one of the two."""
    for policy in policies:
        if policy.by_address:
            proxy.hash_policy.add().source_ip.SetInParent()
            return
        if policy.filter_state is not None:
            proxy.hash_policy.add().filter_state.key = policy.filter_state.key
            return


def of_no_connection(policies: Sequence[Conf]) -> Iterator[tuple[int, str]]:
    """What a hash policy lacks, by its place."""
    taken = False
    for index, policy in enumerate(policies):
        if policy["type"] in _OF_REQUESTS:
            yield index, f"a connection has no {_OF_REQUESTS[policy['type']]}"
        elif taken:
            yield index, "of a connection one thing is hashed, and that stands before this"
        else:
            taken = policy["type"] != "Connection" or bool((policy.get("connection") or {}).get("sourceIP"))


def check_hashes(policies: Any, pointer: str) -> Iterator[Finding]:
    for index, policy in enumerate(policies):
        at, wanted = join(pointer, index), _SUBJECTS[policy["type"]]
        if wanted and wanted not in policy:
            yield Finding(at, MISSING_FIELD, f"a hash policy of type {policy['type']} needs {wanted}")
        for name in sorted((set(_SUBJECTS.values()) - {wanted, ""}) & policy.keys()):
            message = f"{name} says nothing in a hash policy of type {policy['type']}"
            yield Finding(join(at, name), NO_EFFECT, message, "take it out", on_key=True)
        if policy["type"] == "Connection" and not (policy.get("connection") or {}).get("sourceIP"):
            yield Finding(at, NO_EFFECT, "a connection without sourceIP decides nothing", "say sourceIP: true")
