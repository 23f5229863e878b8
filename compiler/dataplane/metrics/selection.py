"""Which of Envoy's own metrics are given out: a profile, then names taken out, then names put back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from compiler.dataplane.metrics.document import Selector, Sidecar
from compiler.dataplane.metrics.exposition import Family, Sample
from compiler.resources.linear import compile_linear

Test = Callable[[str], bool]

_BASIC: Final = (
    Selector("Contains", "_rq_total"),
    Selector("Contains", "_rq_time"),
    Selector("Contains", "_rq_xx"),
    Selector("Contains", "_rq_active"),
    Selector("Contains", "_rq_retry"),
    Selector("Contains", "_cx_total"),
    Selector("Contains", "_cx_count"),
    Selector("Contains", "_cx_active"),
    Selector("Contains", "_cx_length_ms"),
    Selector("Contains", "_cx_connect_ms"),
    Selector("Contains", "bytes"),
    Selector("Contains", "timeout"),
    Selector("Contains", "error"),
    Selector("Contains", "fail"),
    Selector("Contains", "reset"),
    Selector("Contains", "_rx_"),
    Selector("Contains", "ejection"),
    Selector("Contains", "overflow"),
    Selector("Contains", "cancel"),
    Selector("Contains", "no_route"),
    Selector("Contains", "no_cluster"),
    Selector("Contains", "membership"),
    Selector("Contains", "health_check"),
    Selector("Contains", "cert_expir"),
    Selector("Contains", "_rbac_"),
    Selector("Contains", "rate_limit"),
    Selector("Contains", "ratelimit"),
    Selector("Contains", "circuit_breakers"),
    Selector("Contains", "_sds_"),
    Selector("Contains", "update_success"),
    Selector("Contains", "update_rejected"),
    Selector("Contains", "lb_healthy_panic"),
    Selector("Contains", "ssl_context_update"),
    Selector("Prefix", "envoy_control_plane"),
    Selector("Prefix", "envoy_server"),
    Selector("Prefix", "envoy_dns_filter"),
)
"""What an operator watches: how many, how long, how large, and what went wrong (kuma-policies §2.8)."""

_INTERNAL: Final = ("system_", "_kuma", "kuma_")
_OWNERS: Final = ("envoy_cluster_name", "envoy_http_conn_manager_prefix", "envoy_listener_address", "envoy_tcp_prefix")


def select(families: Iterable[Family], sidecar: Sidecar) -> Iterator[Family]:
    """Raises ValueError for an expression that cannot be read."""
    profile, exclude, include = _profile(sidecar.profiles), _any_of(sidecar.exclude), _any_of(sidecar.include)
    basic = "All" not in sidecar.profiles
    for family in families:
        if include(family.name):
            yield family
        elif profile(family.name) and not exclude(family.name):
            kept = [sample for sample in family.samples if not (basic and _is_internal(sample))]
            if kept:
                yield replace(family, samples=kept)


def matching(families: Iterable[Family], pattern: str) -> Iterator[Family]:
    """Those whose names a scraper's expression finds; raises ValueError for what is none."""
    test = compile_linear(pattern)
    return (family for family in families if test(family.name))


def _profile(profiles: Iterable[str]) -> Test:
    """The broadest counts."""
    if "All" in profiles:
        return lambda _: True
    return _any_of(_BASIC) if "Basic" in profiles else lambda _: False


def _any_of(selectors: Iterable[Selector]) -> Test:
    tests = tuple(map(_test, selectors))
    return lambda name: any(test(name) for test in tests)


def _test(selector: Selector) -> Test:
    match selector.type:
        case "Prefix":
            return lambda name: name.startswith(selector.match)
        case "Exact":
            return lambda name: name == selector.match
        case "Contains":
            return lambda name: selector.match in name
        case "Regex":
            return compile_linear(selector.match)
        case _:
            raise ValueError(f"a selector of type {selector.type} is not known")


def _is_internal(sample: Sample) -> bool:
    """Clusters and listeners that the mesh itself needs."""
    labels = sample.label_values
    return any(labels.get(owner, "").startswith(_INTERNAL) for owner in _OWNERS)
