"""What services inside and outside of the mesh must hold beyond their schemas (kuma-core §2.5 to §2.8, §2.11)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.certificates import check_readable
from compiler.resources.checks.addresses import check_address, check_host_and_port
from compiler.resources.checks.lists import repeated, without_effect
from compiler.resources.checks.sources import check_pair, check_source, refuse_places
from compiler.resources.checks.tags import check_tags
from compiler.resources.checks.templates import check_hostname
from compiler.resources.findings import BAD_VALUE, MISSING_FIELD, NO_EFFECT, Finding, join

_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")
_SOURCES: Final = ("caCert", "clientCert", "clientKey")
_ELSEWHERE: Final = ("File", "EnvVar")
_IDLE: Final[Mapping[str, tuple[str, ...]]] = {
    "SkipSAN": ("subjectAltNames",),
    "SkipCA": ("subjectAltNames", "caCert"),
    "SkipAll": ("subjectAltNames", "caCert", "clientCert", "clientKey"),
}
"""What counts for nothing in a mode of verification (kuma-core §2.7)."""


def check_mesh_service(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Every port has a number and a name of its own."""
    yield from _check_ports(service, pointer)
    if not service.get("selector"):
        yield Finding(pointer, NO_EFFECT, "the service has no selector, so no Dataplane serves it", "add a selector")
    if not service.get("ports"):
        yield Finding(pointer, NO_EFFECT, "the service has no ports, so nobody can call it", "add ports")


def check_multi_zone_service(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Ports have names of their own, and members are asked for."""
    yield from _check_ports(service, pointer)
    if not service["selector"]["meshService"]["matchLabels"]:
        at = join(pointer, "selector", "meshService", "matchLabels")
        yield Finding(at, MISSING_FIELD, "matchLabels is empty", "name the labels of the members", on_key=True)


def check_external_service(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """It is somewhere, and TLS to it can be spoken."""
    if not service.get("endpoints") and "extension" not in service:
        message = "the service has no endpoints, so nobody can call it"
        yield Finding(pointer, NO_EFFECT, message, "add endpoints")
    for index, endpoint in enumerate(service.get("endpoints", ())):
        yield from check_address(endpoint["address"], join(pointer, "endpoints", index, "address"))
    yield from without_effect(service, pointer, ("extension",))
    if "tls" in service:
        yield from _check_tls(service["tls"], join(pointer, "tls"))


def check_legacy_external_service(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Its tags name it, and its address has a port."""
    yield from check_tags(service["tags"], join(pointer, "tags"))
    networking, at = service["networking"], join(pointer, "networking")
    yield from check_host_and_port(networking["address"], join(at, "address"))
    if "tls" in networking:
        yield from _check_legacy_tls(networking["tls"], join(at, "tls"))


def _check_legacy_tls(tls: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    yield from _check_enabled(tls, pointer)
    yield from check_source(tls.get("caCert", {}), join(pointer, "caCert"))
    yield from check_readable(tls.get("caCert", {}), join(pointer, "caCert"))
    yield from check_pair(tls, pointer)


def check_hostname_generator(generator: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """What its template gives can be a host name."""
    yield from check_hostname(generator["template"], join(pointer, "template"))
    yield from without_effect(generator, pointer, ("extension",))


def _check_ports(service: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    ports, at = service.get("ports", ()), join(pointer, "ports")
    yield from repeated([str(port["port"]) for port in ports], at, "port", "port")
    yield from repeated([port.get("name") or str(port["port"]) for port in ports], at, "name", "name")


def _check_tls(tls: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    version, verification = tls.get("version", {}), tls.get("verification", {})
    lowest, highest = version.get("min"), version.get("max")
    if lowest in _VERSIONS and highest in _VERSIONS and lowest > highest:
        message = f"min is higher than max: {lowest} and {highest}"
        yield Finding(join(pointer, "version", "min"), BAD_VALUE, message, "exchange the two")
    yield from _check_enabled(tls, pointer)
    at = join(pointer, "verification")
    for name in _SOURCES:
        yield from refuse_places(verification.get(name, {}), join(at, name), _ELSEWHERE)
    yield from check_source(verification.get("caCert", {}), join(at, "caCert"))
    yield from check_readable(verification.get("caCert", {}), join(at, "caCert"))
    yield from check_pair(verification, at)
    mode = verification.get("mode", "Secured")
    for name in _IDLE.get(mode, ()):
        if name in verification:
            yield Finding(
                join(at, name), NO_EFFECT, f"{name} changes nothing in mode {mode}", "take it out", on_key=True
            )


def _check_enabled(tls: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    if len(tls) > ("enabled" in tls) and not tls.get("enabled"):
        message = "TLS is not enabled, so nothing here counts"
        yield Finding(pointer, NO_EFFECT, message, "set enabled: true", on_key=True)
