"""VirtualOutbounds whose names would be taken for one another, or for those of services."""

from collections.abc import Iterator, Mapping
from typing import Final

from compiler.diagnostics import Severity
from compiler.memo import Memo, Query
from compiler.mesh.checks.services import ADDRESS_CLASH, HOSTNAME_COLLISION
from compiler.mesh.graph import NAMES, mesh_spec
from compiler.mesh.hostnames import hostnames
from compiler.mesh.services import (
    LEGACY_BLOCK,
    OTHER_KEYS,
    PORTED_KEYS,
    SERVICE_RESOURCE,
    service_key,
    service_ports,
    virtual_address,
)
from compiler.mesh.virtual_outbounds import BY_ADDRESS, CALLED, HOLDERS, Named
from compiler.resources.findings import NO_EFFECT, Finding
from compiler.resources.model import Resource, ResourceKey

_BY_PORTS: Final = "Exclusive"
_BY_TAGS: Final = "Disabled"
_HOST: Final = "/conf/host"
_TELL_APART: Final = "put what tells them apart in host or port"


def check_virtual_outbound(memo: Memo, outbound: Resource) -> Iterator[Finding]:
    """It makes names, and nothing else in the mesh has one of them, or its address."""
    mesh = outbound.key.mesh
    if mesh_spec(memo, mesh).mesh_services.mode == _BY_PORTS:
        message = f"meshServices.mode of mesh {mesh!r} is {_BY_PORTS}: nothing is called by its tags there"
        yield Finding("", NO_EFFECT, message, "write a HostnameGenerator")
        return
    called = memo.ask(CALLED, mesh)
    owners = {(one.host, one.port): one for one in called.names}
    mine = [one for one in (*called.names, *called.lost) if one.origin == outbound.key]
    if not mine:
        yield Finding("/conf", NO_EFFECT, "no proxy has tags of which it makes a name and a port", on_key=True)
    for one in mine:
        owner = owners[one.host, one.port]
        if owner.called != one.called:
            message = f"{one.host}:{one.port} stands for {_tags(owner)}, not for {_tags(one)}"
            yield Finding(_HOST, HOSTNAME_COLLISION, message, _TELL_APART, severity=Severity.WARNING)
        elif owner is one:
            yield from _check_name(memo, mesh, one)


def _check_name(memo: Memo, mesh: str, one: Named) -> Iterator[Finding]:
    given = memo.ask(GIVEN, mesh).get(one.host)
    if given is not None:
        message = f"{one.host} is the name of {given.type} {given.name!r}, not of {_tags(one)}"
        yield Finding(_HOST, HOSTNAME_COLLISION, message, _TELL_APART, severity=Severity.WARNING)
    holders = memo.ask(HOLDERS, mesh)
    holder = holders.get(one.host)
    service = memo.ask(AT_ADDRESS, mesh).get(one.address)
    if service is not None and service != holder:
        yield _clash(one, f"service {service.name!r}", meets=one.port in _ports(memo, service))
    for other in memo.ask(BY_ADDRESS, mesh)[one.address]:
        if other.host < one.host and (holder is None or holders.get(other.host) != holder):
            yield _clash(one, repr(other.host), meets=other.port == one.port and other.called != one.called)


def _clash(one: Named, other: str, *, meets: bool) -> Finding:
    """On one port the two cannot be told apart."""
    message = f"{one.host!r} and {other} have the virtual address {one.address}"
    if not meets:
        return Finding(_HOST, ADDRESS_CLASH, message, "give one of them another name")
    message += f", and port {one.port} of it leads to one alone"
    return Finding(_HOST, ADDRESS_CLASH, message, "give one of them another name", severity=Severity.ERROR)


def _ports(memo: Memo, key: ResourceKey) -> frozenset[int]:
    service = memo.ask(SERVICE_RESOURCE, key)
    return frozenset({80, *(port.port for port in service_ports(service))}) if service is not None else frozenset()


def _tags(named: Named) -> str:
    tags = ", ".join(f"{key}={value}" for key, value in named.called.subset)
    return f"{named.called.service.name!r}" + (f" with {tags}" if tags else "")


def _given(memo: Memo, mesh: str) -> Mapping[str, ResourceKey]:
    """Where nothing is called by ports, MeshServices are called by no name."""
    ported = memo.ask(PORTED_KEYS, mesh) if mesh_spec(memo, mesh).mesh_services.mode != _BY_TAGS else ()
    keys = (*memo.ask(OTHER_KEYS, mesh), *ported)
    return {name: key for key in reversed(keys) for name in hostnames(memo, key, "")}


def _at_address(memo: Memo, mesh: str) -> Mapping[str, ResourceKey]:
    keys = (service_key(mesh, name) for name in sorted(memo.read(NAMES, mesh), reverse=True))
    services = (found for key in keys if (found := memo.ask(SERVICE_RESOURCE, key)) is not None)
    return {virtual_address(one, LEGACY_BLOCK): one.key for one in services}


GIVEN: Final[Query[str, Mapping[str, ResourceKey]]] = Query("hosts given by generators", _given)
AT_ADDRESS: Final[Query[str, Mapping[str, ResourceKey]]] = Query("whole services by address", _at_address)
