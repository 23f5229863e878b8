"""What decides how pods are injected, with Kuma 2.14's defaults (its settings KUMA_RUNTIME_KUBERNETES_INJECTOR_…)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from compiler import __version__
from compiler.resources.envelope import SYSTEM_NAMESPACES

SIDECAR: Final = "kuma-sidecar"
INIT: Final = "kuma-init"
VALIDATION: Final = "kuma-validation"


@dataclass(frozen=True, slots=True)
class Share:
    """CPU and memory as Kubernetes writes quantities."""

    cpu: str
    memory: str


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """The container beside the application; `env` comes after our own variables and before the annotation's."""

    image: str = f"meshwright:{__version__}"
    uid: int = 5678
    gid: int = 5678
    admin_port: int = 9901
    drain_time: str = "30s"
    requests: Share = Share("50m", "64Mi")
    limits: Share = Share("1000m", "512Mi")
    env: Mapping[str, str] = field(default_factory=dict)
    wait_for_dataplane_ready: bool = False


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """What is redirected to the sidecar, and by whom: an init container, the node's CNI plugin, or eBPF programs."""

    init_image: str = "docker.io/kumahq/kuma-init:2.14.3"
    redirect_port_inbound: int = 15006
    redirect_port_outbound: int = 15001
    ip_family_mode: str = "dualstack"
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_inbound_ips: tuple[str, ...] = ()
    exclude_outbound_ips: tuple[str, ...] = ()
    dns: bool = True
    dns_port: int = 15053
    cni: bool = False
    ebpf: bool = False
    ebpf_bpffs_path: str = "/sys/fs/bpf"
    ebpf_cgroup_path: str = "/sys/fs/cgroup"
    ebpf_programs_source_path: str = "/tmp/kuma-ebpf"  # noqa: S108  # Kuma's own path, in its own container
    ebpf_tc_attach_iface: str = ""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Port 0 of the proxy for applications' probes is off; virtual probes count only then."""

    application_port: int = 9001
    virtual: bool = True
    virtual_port: int = 9000


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Which pods are injected, beside those whose own label or namespace's label says so."""

    namespace: str = "default"
    system_namespace: str = ""
    namespaces: tuple[str, ...] = ()
    mesh: str = "default"
    exceptions: Mapping[str, str] = field(
        default_factory=lambda: {"openshift.io/build.name": "*", "openshift.io/deployer-pod-for.name": "*"}
    )
    kinds: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def system_namespaces(self) -> frozenset[str]:
        """Where ContainerPatches count: without a setting, wherever Kuma or Kong Mesh is installed."""
        return frozenset({self.system_namespace}) if self.system_namespace else SYSTEM_NAMESPACES


@dataclass(frozen=True, slots=True)
class DataplaneSettings:
    """How a mesh document is derived from a workload; `zone` becomes a tag of its inbounds.

    `mesh_services`: always, never, or auto, which asks the Mesh where it is among the manifests.
    """

    zone: str = ""
    mesh_services: str = "auto"
    workload_labels: tuple[str, ...] = ()
    ignored_selector_labels: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InjectSettings:
    """All of them; `server` is the xDS server's HOST:PORT, `ca_cert` the PEM text that it is recognised by."""

    server: str = "meshwright.kuma-system:5678"
    ca_cert: str = ""
    native_sidecars: bool = False
    container_patches: tuple[str, ...] = ()
    sidecar: SidecarSettings = field(default_factory=SidecarSettings)
    traffic: TrafficSettings = field(default_factory=TrafficSettings)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    dataplanes: DataplaneSettings = field(default_factory=DataplaneSettings)
