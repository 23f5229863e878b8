"""What becomes of the Services among the manifests: MeshServices, MeshZoneAddresses, or nothing, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from compiler.diagnostics import Diagnostic
from compiler.inject.annotations import is_true
from compiler.inject.manifests import KubeObject, mappings, read_objects
from compiler.inject.mesh_documents import MeshDocument, WorkloadDocument, WorkloadIndex, write_document
from compiler.inject.mesh_services import MeshObject, OfferedService, derive_mesh_services
from compiler.inject.reading import Page, diagnose
from compiler.inject.redirection import is_gateway
from compiler.inject.selection import INJECTION, MESH, Namespace
from compiler.inject.services import BAD_SERVICE, Service, read_service
from compiler.inject.settings import InjectSettings
from compiler.inject.zone_addresses import derive_zone_address
from compiler.resources.findings import DUPLICATE_RESOURCE, Finding, join
from compiler.resources.schema import Schemas

SERVICES: Final = "services"
ZONE_ADDRESSES: Final = "zone-addresses"
_OF_SLICE: Final = "kubernetes.io/service-name"


class Standing(StrEnum):
    """What becomes of a Service."""

    OFFERED = "in the mesh"
    ADDRESSED = "with an address for other zones"
    UNADDRESSED = "of zone proxies, without an address"
    OUTSIDE = "outside of a mesh"
    UNWANTED = "in meshes without MeshServices"
    IGNORED = "ignored"
    GATEWAY = "of gateways"
    PODLESS = "without a selector or a TCP port"


@dataclass(frozen=True, slots=True)
class ServiceDocuments:
    """The mesh's documents for Services, and how many became what."""

    documents: tuple[MeshDocument, ...] = ()
    standings: Mapping[Standing, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a Service depends on besides itself: `modes` of the Meshes that are among the manifests.

    `ready` says of Services with EndpointSlices there whether somebody is ready.
    """

    settings: InjectSettings
    namespaces: Mapping[str, Namespace]
    pods: WorkloadIndex
    modes: Mapping[str, str]
    ready: Mapping[tuple[str, str], bool]


def derive_service_documents(
    pages: Iterable[Page],
    workloads: Iterable[WorkloadDocument],
    namespaces: Mapping[str, Namespace],
    settings: InjectSettings,
    schemas: Schemas,
    found: list[Diagnostic],
) -> ServiceDocuments:
    """In the order of the manifests; where there is an error nobody should use them."""
    objects = [each for page in pages for document in page.documents for each in read_objects(document)]
    around = _Surroundings(
        settings, namespaces, WorkloadIndex(workloads), _modes(objects), _ready(objects, settings.selection.namespace)
    )
    standings: Counter[Standing] = Counter()
    documents: dict[str, MeshDocument] = {}
    for each in objects:
        if each.kind == "Service" and each.value["apiVersion"] == "v1":
            findings: list[Finding] = []
            for document in _derive(each, around, schemas, standings, findings):
                other = documents.setdefault(document.path, document)
                if other != document:
                    message = f"there are two Services {document.name!r} in the namespace {document.namespace!r}"
                    findings.append(Finding(join(each.pointer, "metadata", "name"), DUPLICATE_RESOURCE, message))
            found += diagnose(each.document, findings)
    return ServiceDocuments(tuple(documents.values()), standings)


def _derive(
    found: KubeObject, around: _Surroundings, schemas: Schemas, standings: Counter[Standing], findings: list[Finding]
) -> Sequence[MeshDocument]:
    service = read_service(found, around.settings.selection.namespace)
    mesh, dataplanes = _mesh_of(found, service, around), around.settings.dataplanes
    offered = OfferedService(service, found.labels, mesh, dataplanes.zone, dataplanes.ignored_selector_labels)
    objects: Sequence[MeshObject | None] = ()
    if service.zone_proxy:
        is_told = service.zone_proxy == "ingress" and around.ready.get((service.namespace, service.name), True)
        objects = [derive_zone_address(found, offered, findings)] if is_told else ()
        standing = Standing.ADDRESSED if any(objects) else Standing.UNADDRESSED
    else:
        pods = around.pods.select(service.namespace, offered.selector)
        standing = _judge(found, service, mesh, around, pods)
        objects = tuple(derive_mesh_services(offered, pods)) if standing is Standing.OFFERED else ()
    standings[standing] += 1
    folder = ZONE_ADDRESSES if service.zone_proxy else SERVICES
    return [
        MeshDocument(mesh, service.namespace, each.name, write_document(each.value), folder)
        for each in objects
        if each is not None and _is_right(found, each, schemas, findings)
    ]


def _judge(
    found: KubeObject, service: Service, mesh: str, around: _Surroundings, pods: Sequence[WorkloadDocument]
) -> Standing:
    """In Kuma's order (2.14, and 3.0 where it says more)."""
    if not _is_in_mesh(found, service, around):
        return Standing.OUTSIDE
    wanted = around.settings.dataplanes.mesh_services
    if wanted == "never" or (wanted == "auto" and around.modes.get(mesh) == "Disabled"):
        return Standing.UNWANTED
    if service.is_ignored:
        return Standing.IGNORED
    if is_gateway(found.annotations) or any(pod.is_gateway for pod in pods):
        return Standing.GATEWAY
    if service.is_external or not service.selector or not service.ports:
        return Standing.PODLESS
    return Standing.OFFERED


def _is_in_mesh(found: KubeObject, service: Service, around: _Surroundings) -> bool:
    """By its own label, else by its namespace's injection."""
    namespace = around.namespaces.get(service.namespace)
    if MESH in found.labels:
        return True
    if namespace is not None and INJECTION in namespace.labels:
        return is_true(namespace.labels[INJECTION])
    return service.namespace in around.settings.selection.namespaces


def _mesh_of(found: KubeObject, service: Service, around: _Surroundings) -> str:
    """By label, else by annotation, of the Service, else of its namespace."""
    namespace = around.namespaces.get(service.namespace, Namespace(service.namespace))
    places = (found.labels, found.annotations, namespace.labels, namespace.annotations)
    return next((place[MESH] for place in places if place.get(MESH)), around.settings.selection.mesh)


def _is_right(found: KubeObject, made: MeshObject, schemas: Schemas, findings: list[Finding]) -> bool:
    """A label or name that an API server would refuse makes no document of the mesh."""
    kind = str(made.value["kind"])
    if schemas.accepts(kind, made.value):
        return True
    for wrong in schemas.explain(kind, made.value):
        message = f"no {kind} can be made of it: {wrong.message} ({wrong.pointer})"
        findings.append(Finding(join(found.pointer, "metadata", "name"), BAD_SERVICE, message, wrong.hint))
    return False


def _modes(objects: Iterable[KubeObject]) -> Mapping[str, str]:
    """Kuma's default is that there are none."""
    meshes = (each for each in objects if each.kind == "Mesh" and str(each.value["apiVersion"]).startswith("kuma.io/"))
    return {each.name: str(_part(_part(each.value, "spec"), "meshServices").get("mode", "Disabled")) for each in meshes}


def _ready(objects: Iterable[KubeObject], default_namespace: str) -> Mapping[tuple[str, str], bool]:
    found: dict[tuple[str, str], bool] = {}
    for each in objects:
        if each.kind == "EndpointSlice" and _OF_SLICE in each.labels:
            key = (each.namespace(default_namespace), each.labels[_OF_SLICE])
            ready = [_part(one, "conditions").get("ready") is True for one in mappings(each.value.get("endpoints"))]
            found[key] = found.get(key, False) or any(ready)
    return found


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}
