"""What is wrong between resources: references to nothing, policies that select nothing, addresses that clash."""

from collections.abc import Iterator
from typing import Final

from compiler.diagnostics import Diagnostic, Subject
from compiler.memo import Memo, Query
from compiler.mesh.checks.crossing import check_abroad, check_crossing, check_names_abroad
from compiler.mesh.checks.dataplanes import check_addresses, check_backends_called, check_membership, check_told
from compiler.mesh.checks.externals import check_external
from compiler.mesh.checks.gateways import GATEWAY_TYPES, check_attached, check_gateway, check_narrowed
from compiler.mesh.checks.identities import (
    check_callers,
    check_identified,
    check_identity,
    check_secrets,
    check_trust,
)
from compiler.mesh.checks.members import check_members
from compiler.mesh.checks.offers import check_certified
from compiler.mesh.checks.plaintext import check_permissive
from compiler.mesh.checks.policies import check_policy, check_selection
from compiler.mesh.checks.references import check_sent
from compiler.mesh.checks.services import check_hostnames, check_virtual_addresses
from compiler.mesh.checks.telemetry import check_backends, check_metrics
from compiler.mesh.checks.virtual_outbounds import check_virtual_outbound
from compiler.mesh.checks.zones import check_egresses, check_zone_address, check_zone_listeners, check_zone_proxy
from compiler.mesh.graph import RESOURCE, as_dataplane, is_proxy
from compiler.resources.findings import Finding
from compiler.resources.model import (
    ExternalService,
    HostnameGenerator,
    Mesh,
    MeshGateway,
    MeshGatewayRoute,
    MeshIdentity,
    MeshMultiZoneService,
    MeshService,
    MeshTrust,
    MeshZoneAddress,
    Policy,
    Resource,
    ResourceKey,
    VirtualOutbound,
    ZoneEgress,
    ZoneIngress,
)
from compiler.resources.resource_set import Source

Findings = tuple[Finding, ...]


def check_resource(memo: Memo, key: ResourceKey, source: Source) -> Iterator[Diagnostic]:
    """The findings of one resource, at their places."""
    for finding in memo.ask(FINDINGS, key):
        position = source.position(finding.pointer, on_key=finding.on_key)
        subject = Subject(key.type, key.mesh, key.name)
        path = source.passage.spell(source.path(finding.pointer))
        yield Diagnostic(position, finding.code, finding.message, finding.hint, subject, path, finding.severity)


def _findings(memo: Memo, key: ResourceKey) -> Findings:
    resource = memo.read(RESOURCE, key)
    if resource is None:
        return ()
    if isinstance(resource.spec, Policy):
        policy = check_policy(memo, resource, resource.spec)
        found = (*policy, *check_selection(memo, resource), *check_callers(memo, resource))
        return (*found, *check_narrowed(memo, resource), *check_attached(memo, resource))
    if isinstance(resource.spec, Mesh):
        found = (*check_virtual_addresses(memo, key.name), *check_secrets(memo, resource))
        found = (*found, *check_egresses(memo, key.name), *check_permissive(memo, key.name))
        return (*found, *check_backends(memo, key.name, resource.spec), *check_names_abroad(memo, key.name))
    if isinstance(resource.spec, (ExternalService, MeshMultiZoneService, MeshService)):
        return tuple(_of_service(memo, resource))
    if isinstance(resource.spec, (HostnameGenerator, VirtualOutbound)):
        check = check_hostnames if isinstance(resource.spec, HostnameGenerator) else check_virtual_outbound
        return tuple(check(memo, resource))
    if isinstance(resource.spec, GATEWAY_TYPES):
        return tuple(_of_gateway(memo, resource))
    if isinstance(resource.spec, MeshZoneAddress):
        return (*check_told(resource.spec), *check_zone_address(memo, resource))
    if isinstance(resource.spec, (ZoneIngress, ZoneEgress)):
        return (*check_addresses(as_dataplane(resource)), *check_zone_proxy(memo, resource))
    if isinstance(resource.spec, (MeshIdentity, MeshTrust)):
        identified = check_identity if isinstance(resource.spec, MeshIdentity) else check_trust
        return (*identified(memo, resource), *check_secrets(memo, resource))
    return tuple(_of_proxy(memo, as_dataplane(resource)) if is_proxy(resource) else check_secrets(memo, resource))


def _of_service(memo: Memo, service: Resource) -> Iterator[Finding]:
    if isinstance(service.spec, ExternalService):
        yield from check_external(memo, service)
        yield from check_secrets(memo, service)
    else:
        yield from check_members(memo, service)


def _of_gateway(memo: Memo, resource: Resource) -> Iterator[Finding]:
    yield from check_gateway(memo, resource)
    yield from check_secrets(memo, resource)
    if isinstance(resource.spec, MeshGateway):
        yield from check_crossing(memo, resource)
    elif isinstance(resource.spec, MeshGatewayRoute):
        yield from check_sent(memo, resource)


def _of_proxy(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    yield from check_membership(memo, proxy)
    yield from check_addresses(proxy)
    yield from check_backends_called(memo, proxy)
    yield from check_abroad(memo, proxy)
    yield from check_metrics(memo, proxy)
    yield from check_certified(memo, proxy)
    yield from check_identified(memo, proxy)
    yield from check_zone_listeners(memo, proxy)


FINDINGS: Final[Query[ResourceKey, Findings]] = Query("findings", _findings)
