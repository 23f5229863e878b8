"""MeshFaultInjection: errors, delays and slow answers that callers meet on purpose (kuma-policies §2.3)."""

from collections.abc import Iterator
from typing import Final

from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter

from compiler.envoy.clusters import HTTP
from compiler.envoy.common import set_duration
from compiler.envoy.packing import pack
from compiler.envoy.policy import Hooks, Policy, Site, Stage, StagedHttpFilter
from compiler.envoy.routes import fraction
from compiler.mesh.policy import NO_REQUESTS, Inbounds, PolicyKind, Reached
from compiler.resources.findings import BAD_VALUE, NO_EFFECT, Finding, join
from compiler.resources.model import Conf, Spec
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.target_ref import TargetMatrix
from compiler.resources.values import Duration, Percentage

FILTER: Final = "envoy.filters.http.fault"
_KILOBITS: Final = {"kbps": 1, "Mbps": 10**3, "Gbps": 10**6}


class Abort(Spec, frozen=True):
    http_status: int
    percentage: Percentage


class Delay(Spec, frozen=True):
    value: Duration
    percentage: Percentage


class Bandwidth(Spec, frozen=True):
    limit: str
    percentage: Percentage

    @property
    def kilobits(self) -> int:
        """For each second."""
        return _kilobits(self.limit)


class Fault(Spec, frozen=True):
    abort: Abort | None = None
    delay: Delay | None = None
    response_bandwidth: Bandwidth | None = None


class Faults(Spec, frozen=True):
    """Of all policies that hold: each strikes by itself."""

    append_http: tuple[Fault, ...] = ()


def inject(conf: Faults, route: Route, _: Site) -> None:
    """A filter strikes once for a request, so each fault has a filter of its own."""
    for index, fault in enumerate(conf.append_http):
        route.typed_per_filter_config[_filter(index)].CopyFrom(pack(_message(fault)))


def add_filters(conf: Faults, _: Site) -> Iterator[StagedHttpFilter]:
    """Beyond the one that is always there."""
    for index in range(1, len(conf.append_http)):
        yield Stage.FAULT, HttpFilter(name=_filter(index), typed_config=pack(HTTPFault()))


def _filter(index: int) -> str:
    return f"{FILTER}.{index}" if index else FILTER


def _message(fault: Fault) -> HTTPFault:
    message = HTTPFault()
    if fault.abort is not None:
        message.abort.http_status = fault.abort.http_status
        message.abort.percentage.CopyFrom(fraction(fault.abort.percentage))
    if fault.delay is not None and fault.delay.value:
        set_duration(message.delay.fixed_delay, fault.delay.value)
        message.delay.percentage.CopyFrom(fraction(fault.delay.percentage))
    if fault.response_bandwidth is not None:
        message.response_rate_limit.fixed_limit.limit_kbps = fault.response_bandwidth.kilobits
        message.response_rate_limit.percentage.CopyFrom(fraction(fault.response_bandwidth.percentage))
    return message


def _kilobits(limit: str) -> int:
    """Of a text that the schema has accepted."""
    return int(limit[:-4].strip()) * _KILOBITS[limit[-4:]]


def check(policy: PolicySpec) -> Iterator[Finding]:
    for part in ("to", "from_", "rules"):
        for index, item in enumerate(getattr(policy, part)):
            pointer = join("", part.rstrip("_"), index)
            faults = (item.default or {}).get("http") or ()
            if not faults:
                yield Finding(join(pointer, "default", "http"), NO_EFFECT, "no fault strikes anybody", on_key=True)
            for place, fault in enumerate(faults):
                yield from _check_fault(fault, join(pointer, "default", "http", place))
            for place, match in enumerate(item.matches):
                if "sni" in match:
                    message = "no caller of a sidecar is told apart by SNI: the match changes nothing"
                    yield Finding(
                        join(pointer, "matches", place, "sni"), NO_EFFECT, message, "name callers by spiffeID"
                    )


def _check_fault(fault: Conf, pointer: str) -> Iterator[Finding]:
    bandwidth = fault.get("responseBandwidth")
    if bandwidth is not None and _kilobits(bandwidth["limit"]) == 0:
        at = join(pointer, "responseBandwidth", "limit")
        yield Finding(at, BAD_VALUE, "an answer without any bandwidth never ends", "give it 1 kbps or more")


def idle(_: PolicySpec, reached: Reached) -> str:
    """Faults strike requests."""
    return "" if reached.selected & HTTP else NO_REQUESTS


POLICY: Final = Policy(
    PolicyKind(
        type="MeshFaultInjection",
        conf=Faults,
        targets=TargetMatrix(
            top=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "MeshGateway", "Dataplane"}),
            to=frozenset({"Mesh"}),
            from_=frozenset({"Mesh", "MeshSubset", "MeshService", "MeshServiceSubset"}),
            rules=True,
            gateways_only=frozenset({"to"}),
            never_gateways=frozenset({"from"}),
            system_only=frozenset({"MeshGateway"}),
        ),
        inbounds=Inbounds.BY_SOURCE,
        growing=("http",),
        check=check,
        idle=idle,
    ),
    Hooks(route_filters=inject, http_filters=add_filters),
    slots=((Stage.FAULT, HttpFilter(name=FILTER, typed_config=pack(HTTPFault()))),),
)
