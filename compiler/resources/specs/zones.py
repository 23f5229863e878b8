"""Zones and the proxies between them (kuma-core §2.3, §2.4)."""

from compiler.resources.specs.dataplane import Admin
from compiler.resources.specs.spec import Spec


class Zone(Spec, frozen=True):
    enabled: bool = True


class IngressNetworking(Spec, frozen=True):
    """Other zones are told the advertised address and port, and do not reach the zone where there are none."""

    address: str
    port: int
    advertised_address: str = ""
    advertised_port: int = 0
    admin: Admin | None = None


class ZoneIngress(Spec, frozen=True):
    """`availableServices` is computed by Kuma and not read."""

    networking: IngressNetworking
    zone: str = ""


class EgressNetworking(Spec, frozen=True):
    address: str
    port: int
    admin: Admin | None = None


class ZoneEgress(Spec, frozen=True):
    networking: EgressNetworking
    zone: str = ""


class MeshZoneAddress(Spec, frozen=True):
    """Where other zones reach the ingress of the zone that its label `kuma.io/zone` names."""

    address: str
    port: int
