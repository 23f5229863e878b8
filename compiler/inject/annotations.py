"""The annotations of Kuma that a pod may have: what each takes, and what is wrong with those of one pod."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.inject.quantities import is_duration
from compiler.resources.findings import NO_EFFECT, NOT_SUPPORTED_YET, Finding, join
from compiler.resources.suggest import did_you_mean

UNKNOWN_ANNOTATION: Final = Code(
    "unknown-annotation",
    Severity.WARNING,
    "an annotation of Kuma's that nobody reads",
    "The annotation's name ends in `kuma.io/`'s domain, but Kuma has none of that name, so it changes nothing. A "
    "misspelt one would leave a pod with settings that its author did not want.",
)
BAD_ANNOTATION: Final = Code(
    "bad-annotation",
    Severity.ERROR,
    "an annotation or label of Kuma's with a value that it does not take",
    "Kuma would refuse the pod, or read the value as something else. Values of annotations are texts: numbers and "
    "booleans are quoted.",
)
OUTDATED_ANNOTATION: Final = Code(
    "outdated-annotation",
    Severity.WARNING,
    "an annotation that has another name now, or is a label now",
    "Kuma ignores it, or will.",
)

Annotations = Mapping[str, str]

_TRUE: Final = frozenset({"true", "yes", "enabled"})
_FALSE: Final = frozenset({"false", "no", "disabled"})
_PORT_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_UIDS: Final = re.compile(r"(?:(?:tcp|udp):)?[0-9*,-]+(?::[0-9,-]+)?|(?:tcp|udp):[0-9*,-]+:[0-9,-]+", re.ASCII)
_ENV: Final = re.compile(r"[^=;]+=[^=;]*(?:;[^=;]+=[^=;]*)*")
_COMPONENTS: Final = re.compile(r"[a-z0-9_]+:[a-z]+(?:,[a-z0-9_]+:[a-z]+)*", re.ASCII)
_LEVELS: Final = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
_AGGREGATE: Final = re.compile(
    r"prometheus\.metrics\.kuma\.io/aggregate-(?P<name>[a-zA-Z0-9-]+)-(?P<field>port|path|enabled|address)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What an annotation takes, as a sentence goes on after "must be"."""

    wanted: str
    accepts: Callable[[str], bool]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11 and int(text) < 2**32


def _are_ports(text: str) -> bool:
    return all(_is_port_range(part.strip()) for part in text.split(",")) if text else True


def _is_port_range(text: str) -> bool:
    found = _PORT_RANGE.fullmatch(text)
    if found is None or not 0 < int(found[1]) < 65536:
        return False
    return found[2] is None or int(found[1]) <= int(found[2]) < 65536


def _are_addresses(text: str) -> bool:
    return all(_is_address(part.strip()) for part in text.split(",") if part.strip())


def _is_address(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _one_of(*words: str) -> Kind:
    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", words.__contains__)


_BOOLEAN: Final = Kind("enabled, disabled, true or false", (_TRUE | _FALSE).__contains__)
_STRICT: Final = Kind("true or false", ((_TRUE | _FALSE) - {"enabled", "disabled"}).__contains__)
_PORT: Final = Kind("a port from 1 to 65535, in quotes", _is_port)
_PORT_OR_OFF: Final = Kind("a port, or 0 for none, in quotes", lambda text: text == "0" or _is_port(text))
_NUMBER: Final = Kind("a whole number in quotes", _is_number)
_PORTS: Final = Kind("ports or ranges of them, such as 80,3000-3010", _are_ports)
_ADDRESSES: Final = Kind("addresses or ranges of them, such as 10.0.0.0/8,192.168.1.1", _are_addresses)
_TEXT: Final = Kind("a text", lambda _: True)
_PATH: Final = Kind("a path that begins with /", lambda text: text.startswith("/"))
_NAME: Final = Kind("a name", lambda text: bool(re.fullmatch(r"[-a-zA-Z0-9_.]{1,253}", text)))

KINDS: Final[Mapping[str, Kind]] = {
    "kuma.io/mesh": _NAME,
    "kuma.io/gateway": _one_of("enabled", "disabled", "provided", "builtin"),
    "kuma.io/direct-access-services": _TEXT,
    "kuma.io/virtual-probes": _BOOLEAN,
    "kuma.io/virtual-probes-port": _PORT,
    "kuma.io/application-probe-proxy-port": _PORT_OR_OFF,
    "kuma.io/sidecar-env-vars": Kind("variables such as A=1;B=2", lambda text: bool(_ENV.fullmatch(text))),
    "kuma.io/sidecar-proxy-concurrency": _NUMBER,
    "kuma.io/service-account-token-volume": _NAME,
    "kuma.io/sidecar-drain-time": Kind("a duration such as 30s", is_duration),
    "kuma.io/container-patches": _TEXT,
    "kuma.io/envoy-log-level": _one_of(*_LEVELS),
    "kuma.io/envoy-component-log-level": Kind(
        "components and levels such as upstream:debug,http:info", lambda text: bool(_COMPONENTS.fullmatch(text))
    ),
    "kuma.io/envoy-admin-port": _PORT,
    "kuma.io/init-first": _BOOLEAN,
    "kuma.io/wait-for-dataplane-ready": _BOOLEAN,
    "kuma.io/xds-transport-protocol-variant": _one_of("DELTA_GRPC", "GRPC"),
    "kuma.io/builtin-dns": _BOOLEAN,
    "kuma.io/builtin-dns-port": _PORT,
    "kuma.io/builtin-dns-logging": _BOOLEAN,
    "kuma.io/sidecar-injected": _BOOLEAN,
    "kuma.io/sidecar-uid": _NUMBER,
    "kuma.io/transparent-proxying": _BOOLEAN,
    "kuma.io/transparent-proxying-inbound-port": _PORT,
    "kuma.io/transparent-proxying-outbound-port": _PORT,
    "kuma.io/transparent-proxying-ip-family-mode": _one_of("dualstack", "ipv4"),
    "kuma.io/transparent-proxying-reachable-services": _TEXT,
    "kuma.io/reachable-backends": _TEXT,
    "kuma.io/transparent-proxying-ebpf": _BOOLEAN,
    "kuma.io/transparent-proxying-ebpf-bpf-fs-path": _PATH,
    "kuma.io/transparent-proxying-ebpf-cgroup-path": _PATH,
    "kuma.io/transparent-proxying-ebpf-tc-attach-iface": _NAME,
    "kuma.io/transparent-proxying-ebpf-instance-ip-env-var-name": _NAME,
    "kuma.io/transparent-proxying-ebpf-programs-source-path": _PATH,
    "k8s.kuma.io/spire-support": _BOOLEAN,
    "traffic.kuma.io/exclude-inbound-ports": _PORTS,
    "traffic.kuma.io/exclude-outbound-ports": _PORTS,
    "traffic.kuma.io/exclude-outbound-ports-for-uids": Kind(
        "rules such as tcp:80:1000;udp:53:1001", lambda text: all(_UIDS.fullmatch(part) for part in text.split(";"))
    ),
    "traffic.kuma.io/exclude-inbound-ips": _ADDRESSES,
    "traffic.kuma.io/exclude-outbound-ips": _ADDRESSES,
    "traffic.kuma.io/drop-invalid-packets": _STRICT,
    "traffic.kuma.io/iptables-logs": _STRICT,
    "prometheus.metrics.kuma.io/port": _PORT,
    "prometheus.metrics.kuma.io/path": _PATH,
}
_AGGREGATE_KINDS: Final = {"port": _PORT, "path": _PATH, "enabled": _BOOLEAN, "address": _TEXT}

_OUTDATED: Final[Mapping[str, str]] = {
    "kuma.io/builtindns": "kuma.io/builtin-dns",
    "kuma.io/builtindnsport": "kuma.io/builtin-dns-port",
    "kuma.io/transparent-proxying-experimental-engine": "",
    "kuma.io/transparent-proxying-inbound-v6-port": "",
}
_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "kuma.io/ignore": "it is for Services",
    "kuma.io/tags": "it is for the pods of builtin gateways, which nobody writes by hand",
    "kuma.io/ingress-public-address": "it is for a zone ingress, which is a ZoneIngress document here",
    "kuma.io/ingress-public-port": "it is for a zone ingress, which is a ZoneIngress document here",
}
_LATER: Final[Mapping[str, str]] = {
    "traffic.kuma.io/transparent-proxy-configmap-name": "say the same with traffic.kuma.io/… annotations",
    "traffic.kuma.io/transparent-proxy-config": "say the same with traffic.kuma.io/… annotations",
}
ZONE_PROXIES: Final = ("kuma.io/ingress", "kuma.io/egress")


def is_true(text: str) -> bool:
    return text in _TRUE


def switch(annotations: Annotations, name: str, *, default: bool) -> bool:
    """A boolean annotation whose value was checked."""
    return annotations[name] in _TRUE if name in annotations else default


def words(annotations: Annotations, name: str) -> tuple[str, ...]:
    """A list with commas; empty entries do not count."""
    return tuple(part for part in annotations.get(name, "").split(",") if part)


def aggregates(annotations: Annotations) -> Mapping[str, Mapping[str, str]]:
    """What is said of metrics of each of the pod's applications, by its name."""
    found: dict[str, dict[str, str]] = {}
    for name, value in sorted(annotations.items()):
        if matched := _AGGREGATE.fullmatch(name):
            found.setdefault(matched["name"], {})[matched["field"]] = value
    return found


def read_texts(values: object) -> Mapping[str, str]:
    """Labels or annotations; what is no text is left out, for `check_texts` says so."""
    if not isinstance(values, Mapping):
        return {}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def check_texts(values: object, pointer: str) -> Iterator[Finding]:
    """Of Kuma's own only: the API server judges the others."""
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        if is_ours(name) and not isinstance(value, str):
            yield Finding(join(pointer, name), BAD_ANNOTATION, f"the value of {name} must be a text", "quote it")


def is_ours(name: str) -> bool:
    """Of the domain kuma.io, or one below it."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and (domain == "kuma.io" or domain.endswith(".kuma.io"))


def check_annotations(annotations: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """All that is wrong with a pod's annotations, each at its place."""
    yield from check_texts(annotations, pointer)
    for name, value in annotations.items():
        if is_ours(name) and isinstance(value, str):
            yield from _check_annotation(name, value, join(pointer, name))


def _check_annotation(name: str, value: str, pointer: str) -> Iterator[Finding]:
    kind = _kind_of(name)
    if kind is not None:
        if not kind.accepts(value):
            yield Finding(pointer, BAD_ANNOTATION, f"{name} must be {kind.wanted}, not {value[:64]!r}")
        elif name == "kuma.io/gateway" and value == "builtin":
            message = "the pods of a builtin gateway are proxies themselves, so they are not injected"
            yield Finding(
                pointer, BAD_ANNOTATION, message, "write a MeshGatewayInstance, and make them with --gateways"
            )
    elif name == "kuma.io/sidecar-injection":
        message = "kuma.io/sidecar-injection is a label: as an annotation it changes nothing"
        yield Finding(pointer, OUTDATED_ANNOTATION, message, "move it to labels", on_key=True)
    elif name in _OUTDATED:
        hint = f"use {_OUTDATED[name]}" if _OUTDATED[name] else "take it out"
        yield Finding(pointer, OUTDATED_ANNOTATION, f"Kuma has no {name} any more", hint, on_key=True)
    elif name in _WITHOUT_EFFECT:
        message = f"{name} changes nothing on a pod: {_WITHOUT_EFFECT[name]}"
        yield Finding(pointer, NO_EFFECT, message, "take it out", on_key=True)
    elif name in _LATER:
        yield Finding(pointer, NOT_SUPPORTED_YET, f"{name} is not supported yet", _LATER[name], on_key=True)
    elif name not in ZONE_PROXIES:
        hint = did_you_mean(name, KINDS) or "take it out"
        yield Finding(pointer, UNKNOWN_ANNOTATION, f"Kuma has no annotation {name[:128]!r}", hint, on_key=True)


def _kind_of(name: str) -> Kind | None:
    if found := _AGGREGATE.fullmatch(name):
        return _AGGREGATE_KINDS[found["field"]]
    return KINDS.get(name)
