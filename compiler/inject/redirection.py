"""What Kuma's own tool is told to redirect: the words of `kumactl install transparent-proxy` for one pod."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from compiler.inject.annotations import Annotations, switch
from compiler.inject.settings import InjectSettings, TrafficSettings

UID: Final = "kuma.io/sidecar-uid"
INBOUND_PORT: Final = "kuma.io/transparent-proxying-inbound-port"
OUTBOUND_PORT: Final = "kuma.io/transparent-proxying-outbound-port"
IP_FAMILY_MODE: Final = "kuma.io/transparent-proxying-ip-family-mode"
GATEWAY: Final = "kuma.io/gateway"
PROBE_PORT: Final = "kuma.io/application-probe-proxy-port"
EBPF: Final = "kuma.io/transparent-proxying-ebpf"
DNS: Final = "kuma.io/builtin-dns"
EXCLUDED_INBOUND_PORTS: Final = "traffic.kuma.io/exclude-inbound-ports"
EXCLUDED_OUTBOUND_PORTS: Final = "traffic.kuma.io/exclude-outbound-ports"
EXCLUDED_INBOUND_IPS: Final = "traffic.kuma.io/exclude-inbound-ips"
EXCLUDED_OUTBOUND_IPS: Final = "traffic.kuma.io/exclude-outbound-ips"

_TOOLS_OWN: Final = {"uid": "5678", "outbound": "15001", "inbound": "15006", "dns": "15053", "mode": "dualstack"}
"""kumactl's defaults, which Kuma leaves unsaid."""


def redirect_annotations(annotations: Annotations, settings: InjectSettings) -> Mapping[str, str]:
    """What is decided for all pods stands in each, as Kuma writes it; in the rest what a pod says of itself wins."""
    traffic = settings.traffic
    return {
        "kuma.io/transparent-proxying": "enabled",
        INBOUND_PORT: str(traffic.redirect_port_inbound),
        OUTBOUND_PORT: str(traffic.redirect_port_outbound),
        UID: str(settings.sidecar.uid),
        IP_FAMILY_MODE: annotations.get(IP_FAMILY_MODE, traffic.ip_family_mode),
        **dict(_dns(annotations, traffic)),
        **dict(_ebpf(annotations, traffic)),
        **dict(_excluded(annotations, traffic)),
    }


def is_ebpf(annotations: Annotations, traffic: TrafficSettings) -> bool:
    return switch(annotations, EBPF, default=traffic.ebpf)


def is_gateway(annotations: Annotations) -> bool:
    return annotations.get(GATEWAY, "disabled") != "disabled"


def redirect_words(annotations: Annotations) -> tuple[str, ...]:
    """From the annotations of a pod that is being injected; defaults of the tool are left unsaid."""
    return (
        *_word("kuma-dp-user", _unless(annotations[UID], "uid")),
        *_word("ip-family-mode", _unless(annotations[IP_FAMILY_MODE], "mode")),
        *_word("redirect-outbound-port", _unless(annotations[OUTBOUND_PORT], "outbound")),
        *_word("exclude-outbound-ports", annotations.get(EXCLUDED_OUTBOUND_PORTS, "")),
        *_word("exclude-outbound-ips", _trimmed(annotations.get(EXCLUDED_OUTBOUND_IPS, ""))),
        *_words("exclude-outbound-ports-for-uids", _rules(annotations)),
        *_inbound_words(annotations),
        *_dns_words(annotations),
        *_ebpf_words(annotations),
        *_flag("drop-invalid-packets", on=switch(annotations, "traffic.kuma.io/drop-invalid-packets", default=False)),
        *_flag("iptables-logs", on=switch(annotations, "traffic.kuma.io/iptables-logs", default=False)),
        "--verbose",
    )


def _inbound_words(annotations: Annotations) -> Iterator[str]:
    """What reaches a gateway reaches its own workload first."""
    if is_gateway(annotations):
        yield "--redirect-inbound=false"
        return
    probe_port = annotations.get(PROBE_PORT, "0")
    ports = [annotations.get(EXCLUDED_INBOUND_PORTS, ""), probe_port if probe_port != "0" else ""]
    yield from _word("redirect-inbound-port", _unless(annotations[INBOUND_PORT], "inbound"))
    yield from _word("exclude-inbound-ports", ",".join(part for part in ports if part))
    yield from _word("exclude-inbound-ips", _trimmed(annotations.get(EXCLUDED_INBOUND_IPS, "")))


def _dns_words(annotations: Annotations) -> Iterator[str]:
    if switch(annotations, DNS, default=False):
        yield "--redirect-all-dns-traffic"
        yield from _word("redirect-dns-port", _unless(annotations.get(f"{DNS}-port", ""), "dns"))


def _ebpf_words(annotations: Annotations) -> Iterator[str]:
    if not switch(annotations, EBPF, default=False):
        return
    yield "--ebpf-enabled"
    for word, suffix in (
        ("bpffs-path", "bpf-fs-path"),
        ("cgroup-path", "cgroup-path"),
        ("tc-attach-iface", "tc-attach-iface"),
        ("programs-source-path", "programs-source-path"),
    ):
        yield from _word(f"ebpf-{word}", annotations.get(f"{EBPF}-{suffix}", ""))
    yield from _word("ebpf-instance-ip", f"$({annotations.get(f'{EBPF}-instance-ip-env-var-name', 'INSTANCE_IP')})")


def _dns(annotations: Annotations, traffic: TrafficSettings) -> Iterator[tuple[str, str]]:
    if switch(annotations, DNS, default=traffic.dns):
        logging = switch(annotations, f"{DNS}-logging", default=False)
        yield DNS, "enabled"
        yield f"{DNS}-port", annotations.get(f"{DNS}-port", str(traffic.dns_port))
        yield f"{DNS}-logging", str(logging).lower()


def _ebpf(annotations: Annotations, traffic: TrafficSettings) -> Iterator[tuple[str, str]]:
    if not is_ebpf(annotations, traffic):
        return
    yield EBPF, "enabled"
    defaults = {
        "bpf-fs-path": traffic.ebpf_bpffs_path,
        "cgroup-path": traffic.ebpf_cgroup_path,
        "tc-attach-iface": traffic.ebpf_tc_attach_iface,
        "programs-source-path": traffic.ebpf_programs_source_path,
    }
    for suffix, default in defaults.items():
        if value := annotations.get(f"{EBPF}-{suffix}", default):
            yield f"{EBPF}-{suffix}", value


def _excluded(annotations: Annotations, traffic: TrafficSettings) -> Iterator[tuple[str, str]]:
    defaults: Mapping[str, Iterable[object]] = {
        EXCLUDED_INBOUND_PORTS: traffic.exclude_inbound_ports,
        EXCLUDED_OUTBOUND_PORTS: traffic.exclude_outbound_ports,
        EXCLUDED_INBOUND_IPS: traffic.exclude_inbound_ips,
        EXCLUDED_OUTBOUND_IPS: traffic.exclude_outbound_ips,
    }
    for name, values in defaults.items():
        if value := annotations.get(name, ",".join(map(str, values))):
            yield name, value


def _rules(annotations: Annotations) -> tuple[str, ...]:
    return tuple(annotations.get("traffic.kuma.io/exclude-outbound-ports-for-uids", "").split(";"))


def _unless(value: str, default: str) -> str:
    return "" if value == _TOOLS_OWN[default] else value


def _trimmed(text: str) -> str:
    return ",".join(part.strip() for part in text.split(",") if part.strip())


def _word(name: str, value: str) -> tuple[str, ...]:
    return _words(name, (value,))


def _words(name: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for value in values if value)


def _flag(name: str, *, on: bool) -> tuple[str, ...]:
    return (f"--{name}",) if on else ()
