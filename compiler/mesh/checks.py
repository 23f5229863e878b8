"""What is wrong between resources: references to nothing, policies that select nothing, addresses that clash."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final, cast

from compiler.diagnostics import Code, Diagnostic, Severity, Subject
from compiler.memo import Memo, Query
from compiler.mesh.graph import (
    CARRIERS,
    EXAMPLES,
    KEYS,
    RESOURCE,
    index_pair,
    is_proxy,
    mesh_spec,
    proxy_keys,
    read_proxy,
)
from compiler.mesh.match import picks, select, selector_pairs
from compiler.mesh.routing import backend_port, resolve_reference
from compiler.mesh.rules import refers
from compiler.mesh.selection import KINDS
from compiler.mesh.services import MEMBERS, SERVICE_KEYS, SERVICE_RESOURCE, VIRTUAL_ADDRESS, Port, service_key, tag_port
from compiler.resources.findings import DUPLICATE_NAME, PORT_CONFLICT, Finding, join
from compiler.resources.model import (
    DISPLAY_NAME,
    EFFECT,
    SERVICE,
    BackendReference,
    Dataplane,
    Inbound,
    Mesh,
    MeshService,
    Networking,
    Policy,
    Resource,
    ResourceKey,
    TagSet,
    TargetRef,
)
from compiler.resources.resource_set import Source
from compiler.resources.target_ref import check_target_kinds
from compiler.resources.values import decode

DANGLING_REF: Final = Code(
    "dangling-ref",
    Severity.WARNING,
    "a reference to something that does not exist",
    "A `targetRef`, a `backendRef` or a `reachableBackends` entry names a service or a route that no document defines "
    "and no Dataplane offers. What refers to it has no effect; requests to a missing backend are answered with 500. "
    "`meshwright init` makes this an error.",
)
SELECTS_NOTHING: Final = Code(
    "selects-nothing",
    Severity.WARNING,
    "a policy that no proxy is selected by",
    "No Dataplane of the mesh carries the labels or tags that the policy asks for, so it changes nothing.",
)
CONSTRAINT_VIOLATED: Final = Code(
    "constraint-violated",
    Severity.ERROR,
    "a Dataplane that its Mesh does not admit",
    "`constraints.dataplaneProxy` of the Mesh lists what every tag set must have (one of the requirements) and must "
    "not have (any of the restrictions).",
)
HOST_ADDRESS: Final = Code(
    "host-address",
    Severity.ERROR,
    "a host name where Envoy needs an IP address",
    "Listeners and the endpoints that are sent to other proxies are IP addresses: a name would be resolved at another "
    "time on every machine, and the same commit would not give the same bytes.",
)
ADDRESS_CLASH: Final = Code(
    "address-clash",
    Severity.WARNING,
    "two services with one virtual address",
    "A service's virtual address is a hash of its identity, so that it never moves. Two services of this mesh have the "
    "same one: a transparent proxy that reaches both of them on one port could not tell them apart, and is refused. "
    "Rename one of them.",
)

Findings = tuple[Finding, ...]


def check_resource(memo: Memo, key: ResourceKey, source: Source) -> Iterator[Diagnostic]:
    """The findings of one resource, at their places."""
    for finding in memo.ask(FINDINGS, key):
        position = source.position(finding.pointer, on_key=finding.on_key)
        subject = Subject(key.type, key.mesh, key.name)
        path = source.path(finding.pointer)
        yield Diagnostic(position, finding.code, finding.message, finding.hint, subject, path, finding.severity)


def _findings(memo: Memo, key: ResourceKey) -> Findings:
    resource = memo.read(RESOURCE, key)
    if resource is None:
        return ()
    if isinstance(resource.spec, Policy):
        return (*_check_policy(memo, resource, resource.spec), *_check_selection(memo, resource))
    if isinstance(resource.spec, Mesh):
        return tuple(_check_virtual_addresses(memo, key.name))
    if is_proxy(resource):
        proxy = cast(Resource, read_proxy(memo, key))
        return (*_check_membership(memo, proxy), *_check_addresses(proxy), *_check_backends(memo, proxy))
    return ()


def _check_virtual_addresses(memo: Memo, mesh: str) -> Iterator[Finding]:
    """Services that nobody wrote have no place of their own, so the Mesh is where a clash is reported."""
    services = [found for key in memo.ask(SERVICE_KEYS, mesh) if (found := memo.ask(SERVICE_RESOURCE, key)) is not None]
    first: dict[str, Resource] = {}
    for service in services:
        address = memo.ask(VIRTUAL_ADDRESS, service.key)
        earlier = first.setdefault(address, service)
        if earlier is not service:
            yield _clash(earlier, service, address)


def _clash(earlier: Resource, service: Resource, address: str) -> Finding:
    """With one identifier they would be one cluster: calls to the one would reach the other."""
    names = f"services {earlier.key.name!r} and {service.key.name!r}"
    if earlier.kri() == service.kri():
        return Finding("", DUPLICATE_NAME, f"{names} both go by the name {service.name!r}", f"see {DISPLAY_NAME}")
    return Finding("", ADDRESS_CLASH, f"{names} have the virtual address {address}", "rename one of them")


# --- Policies -----------------------------------------------------------------------------------------------------


def _check_policy(memo: Memo, resource: Resource, spec: Policy) -> Iterator[Finding]:
    kind = next((kind for kind in memo.read(KINDS, None) if kind.type == resource.key.type), None)
    if kind is None:
        return
    yield from check_target_kinds(resource, kind.targets)
    yield from kind.check(spec)
    for index, item in enumerate(spec.to):
        yield from _check_target(memo, resource, item.target_ref, f"/to/{index}/targetRef")
        for place, rule in enumerate(item.rules or ()):
            yield from _check_rule(memo, resource, rule.get("default") or {}, f"/to/{index}/rules/{place}/default")


def _check_target(memo: Memo, policy: Resource, target: TargetRef, pointer: str) -> Iterator[Finding]:
    if target.kind == "MeshHTTPRoute":
        routes = (memo.read(RESOURCE, key) for key in memo.read(KEYS, (target.kind, policy.key.mesh)))
        found = any(route is not None and picks(target, policy, route) for route in routes)
    elif target.kind == "MeshService":
        found = any(_means(memo, policy, target, key) for key in _candidates(memo, policy, target))
    else:
        return
    if not found:
        yield _dangling(target.kind, target.name, target.labels or {}, pointer, policy.key.mesh)


def _candidates(memo: Memo, policy: Resource, target: TargetRef) -> tuple[ResourceKey, ...]:
    """A name leads straight to its service, but on Kubernetes, where it may have another form."""
    direct = service_key(policy.key.mesh, target.name)
    if target.name and memo.ask(SERVICE_RESOURCE, direct) is not None:
        return (direct,)
    return memo.ask(SERVICE_KEYS, policy.key.mesh)


def _means(memo: Memo, policy: Resource, target: TargetRef, key: ResourceKey) -> bool:
    service = memo.ask(SERVICE_RESOURCE, key)
    if service is None:
        return False
    sections = [port.section for port in cast(MeshService, service.spec).ports] if target.section_name else [""]
    return any(refers(target, policy, service, section, key.name) is not None for section in sections)


def _check_rule(memo: Memo, policy: Resource, conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    for index, reference in enumerate(conf.get("backendRefs") or ()):
        yield from _check_reference(memo, policy, reference, join(pointer, "backendRefs", index))
    for index, one in enumerate(conf.get("filters") or ()):
        mirror = (one.get("requestMirror") or {}).get("backendRef")
        if mirror:
            place = join(pointer, "filters", index, "requestMirror", "backendRef")
            yield from _check_reference(memo, policy, mirror, place)


def _check_reference(memo: Memo, policy: Resource, written: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    fields = set(BackendReference.__struct_fields__)
    reference = decode(BackendReference, {name: value for name, value in written.items() if name in fields})
    ports = resolve_reference(memo, reference, policy.key.mesh, policy.namespace)
    if not any(_exists(memo, port) for port in ports):
        yield _dangling(reference.kind, reference.name, reference.labels, pointer, policy.key.mesh)
    elif backend_port(memo, reference, policy.key.mesh, policy.namespace) is None:
        yield Finding(pointer, DANGLING_REF, "the service has several ports and none of them is named", "add a port")


def _exists(memo: Memo, port: Port) -> bool:
    if memo.ask(SERVICE_RESOURCE, port.service) is None:
        return False
    return not port.subset or bool(memo.ask(MEMBERS, port))


def _dangling(kind: str, name: str, labels: Mapping[str, str], pointer: str, mesh: str) -> Finding:
    what = repr(name) if name else "with " + ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Finding(pointer, DANGLING_REF, f"mesh {mesh!r} has no {kind} {what}")


def _check_selection(memo: Memo, policy: Resource) -> Iterator[Finding]:
    if policy.labels.get(EFFECT) != "shadow" and not any(_selects(memo, policy, key) for key in _proxies(memo, policy)):
        message = "no proxy of the mesh is selected by this policy"
        yield Finding("/targetRef", SELECTS_NOTHING, message, "compare the labels or tags with those of the Dataplanes")


def _proxies(memo: Memo, policy: Resource) -> Iterator[ResourceKey]:
    """A few first: most policies select one of those, and then a new proxy does not have them looked at again."""
    mesh = policy.key.mesh
    pair = index_pair(selector_pairs(policy))
    if pair is not None:
        yield from sorted(memo.read(CARRIERS, (mesh, pair)))
        return
    yield from memo.read(EXAMPLES, mesh)
    yield from sorted(proxy_keys(memo, mesh))


def _selects(memo: Memo, policy: Resource, key: ResourceKey) -> bool:
    proxy = read_proxy(memo, key)
    if proxy is None:
        return False

    def routes(target: TargetRef, mesh: str) -> list[Resource]:
        keys = sorted(memo.read(KEYS, (target.kind, mesh)))
        return [route for one in keys if (route := memo.read(RESOURCE, one)) is not None]

    return select(policy, proxy, routes) is not None


# --- Dataplanes ---------------------------------------------------------------------------------------------------


def _check_membership(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    rules = mesh_spec(memo, proxy.key.mesh).constraints.dataplane_proxy
    for index, tags in enumerate(cast(Dataplane, proxy.spec).tag_sets):
        gateway = cast(Dataplane, proxy.spec).networking.gateway is not None
        pointer = "/networking/gateway" if gateway else f"/networking/inbound/{index}"
        if rules.requirements and not any(_carries(tags, one) for one in rules.requirements):
            yield Finding(pointer, CONSTRAINT_VIOLATED, "its tags meet none of the mesh's requirements")
        if any(_carries(tags, one) for one in rules.restrictions):
            yield Finding(pointer, CONSTRAINT_VIOLATED, "its tags are among the mesh's restrictions")


def _carries(tags: Mapping[str, str], wanted: TagSet) -> bool:
    """A star stands for any value."""
    return all(tags.get(key) and value in {"*", tags[key]} for key, value in wanted.tags.items())


def _check_addresses(proxy: Resource) -> Iterator[Finding]:
    networking = cast(Dataplane, proxy.spec).networking
    yield from _check_outbounds(networking)
    yield from _check_hosts(networking)
    yield from _check_sections(networking)


def _check_outbounds(networking: Networking) -> Iterator[Finding]:
    if not networking.outbound:
        return
    own = {(_written(inbound.address or networking.address), inbound.port) for inbound in networking.inbound}
    for index, outbound in enumerate(networking.outbound):
        if (_written(outbound.address), outbound.port) in own:
            message = f"{outbound.address}:{outbound.port} is an inbound of this proxy already"
            yield Finding(f"/networking/outbound/{index}/port", PORT_CONFLICT, message)


def _check_hosts(networking: Networking) -> Iterator[Finding]:
    """A listener binds to the one, and other proxies are sent the other."""
    fields = (("address", networking.address), ("advertisedAddress", networking.advertised_address))
    for field, address in fields if networking.inbound else ():
        if address and not _is_ip(address):
            message = "an address that listens or that other proxies are sent must be an IP address"
            yield Finding(f"/networking/{field}", HOST_ADDRESS, message)


def _check_sections(networking: Networking) -> Iterator[Finding]:
    """Envoy's resources are called by the section; two inbounds that both have a name were compared before."""
    first: dict[str, Inbound] = {}
    for index, inbound in enumerate(networking.inbound):
        earlier = first.setdefault(inbound.section, inbound)
        if earlier is not inbound and not (earlier.name and inbound.name):
            message = f"two inbounds go by the name {inbound.section!r}: without a name it is the port"
            yield Finding(f"/networking/inbound/{index}", DUPLICATE_NAME, message, "give it a name of its own")


def _is_ip(address: str) -> bool:
    return bool(_written(address))


def _written(address: str) -> str:
    """An IP address in the one form in which equal ones are equal; empty for anything else."""
    try:
        return str(ip_address(address))
    except ValueError:
        return ""


def _check_backends(memo: Memo, proxy: Resource) -> Iterator[Finding]:
    networking = cast(Dataplane, proxy.spec).networking
    mesh = proxy.key.mesh
    for index, outbound in enumerate(networking.outbound):
        pointer = f"/networking/outbound/{index}"
        if outbound.backend_ref is not None:
            if not resolve_reference(memo, outbound.backend_ref, mesh, proxy.namespace):
                reference = outbound.backend_ref
                yield _dangling(reference.kind, reference.name, reference.labels, f"{pointer}/backendRef", mesh)
        elif memo.ask(SERVICE_RESOURCE, tag_port(mesh, outbound.tags).service) is None:
            yield _dangling("service", outbound.tags.get(SERVICE, ""), {}, f"{pointer}/tags", mesh)
    yield from _check_reachable(memo, proxy, "/networking/transparentProxying")


def _check_reachable(memo: Memo, proxy: Resource, pointer: str) -> Iterator[Finding]:
    proxying = cast(Dataplane, proxy.spec).networking.transparent_proxying
    if proxying is None:
        return
    for index, name in enumerate(proxying.reachable_services or ()):
        if memo.ask(SERVICE_RESOURCE, service_key(proxy.key.mesh, name)) is None:
            yield _dangling("service", name, {}, f"{pointer}/reachableServices/{index}", proxy.key.mesh)
    for index, reference in enumerate(proxying.reachable_backends.refs if proxying.reachable_backends else ()):
        if not resolve_reference(memo, reference, proxy.key.mesh, proxy.namespace):
            place = f"{pointer}/reachableBackends/refs/{index}"
            yield _dangling(reference.kind, reference.name, reference.labels, place, proxy.key.mesh)


FINDINGS: Final[Query[ResourceKey, Findings]] = Query("findings", _findings)
