"""Metrics of 2.x, which a Mesh declares and a Dataplane adds to, as a conf of MeshMetric."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from compiler.policies.mesh_metric.conf import (
    BY_PROXY,
    DISABLED,
    MUTUAL,
    PROVIDED,
    Application,
    Backend,
    Metric,
    Profile,
    Profiles,
    Prometheus,
    Selector,
    Sidecar,
    Tls,
)
from compiler.resources.model import Conf, Dataplane
from compiler.resources.specs.mesh import AggregateMetrics, EnvoyMetrics
from compiler.resources.specs.mesh import Prometheus as Declared
from compiler.resources.values import decode

_MODES: Final = {"activeMTLSBackend": MUTUAL, "providedTLS": PROVIDED, "disabled": DISABLED}


def without_declared(conf: Conf) -> Mapping[str, Any]:
    """A policy that somebody wrote stands in for what the Mesh says, as a whole."""
    return {name: value for name, value in conf.items() if name != "declared"} if len(conf) > 1 else conf


def specialise(conf: Metric, dataplane: Dataplane) -> Metric:
    """What is declared, in the words of a MeshMetric: Kuma 2 shows all of Envoy's metrics, unused ones too."""
    if conf.declared is None:
        return conf
    declared = _with_own(conf.declared, dataplane)
    envoy = declared.envoy or EnvoyMetrics()
    include = (Selector("Regex", envoy.filter_regex),) if envoy.filter_regex else ()
    profiles = Profiles(append_profiles=(Profile("None" if include else "All"),), include=include)
    offered = Prometheus(tls=Tls(declared_mode(declared)))
    offered = replace(offered, port=declared.port or offered.port, path=declared.path or offered.path)
    return Metric(
        sidecar=Sidecar(include_unused=not envoy.used_only, profiles=profiles),
        applications=tuple(_application(one) for one in declared.aggregate if one.enabled),
        backends=(Backend("Prometheus", prometheus=offered),),
    )


def _with_own(declared: Declared, dataplane: Dataplane) -> Declared:
    """A Dataplane's own fields go before the Mesh's; of its applications, those of the same name."""
    if dataplane.metrics is None:
        return declared
    own = decode(Declared, dataplane.metrics.conf)
    saying = own if declared_mode(own) != BY_PROXY else declared
    applications = {one.name: one for one in (*declared.aggregate, *own.aggregate)}
    return Declared(
        port=own.port or declared.port,
        path=own.path or declared.path,
        skip_mtls=saying.skip_mtls,
        tls=saying.tls,
        aggregate=tuple(applications.values()),
        envoy=own.envoy or declared.envoy,
    )


def declared_mode(declared: Declared) -> str:
    """`tls` is the newer form, and what `skipMTLS` says may stand beside it."""
    if declared.tls is not None:
        return _MODES[declared.tls.mode]
    if declared.skip_mtls is not None:
        return DISABLED if declared.skip_mtls else MUTUAL
    return BY_PROXY


def own_mode(dataplane: Dataplane) -> str:
    """Where a Dataplane says itself that it is scraped by mutual TLS; empty where it does not."""
    if dataplane.metrics is None:
        return ""
    own = decode(Declared, dataplane.metrics.conf)
    return f"/metrics/conf/{mode_field(own)}" if declared_mode(own) == MUTUAL else ""


def mode_field(declared: Declared) -> str:
    """By which field it is said."""
    return "tls" if declared.tls is not None else "skipMTLS"


def _application(one: AggregateMetrics) -> Application:
    return Application(port=one.port, name=one.name, path=one.path, address=one.address)
