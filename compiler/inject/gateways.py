"""Builtin gateways for Kubernetes: what stands for a MeshGatewayInstance in the cluster and in the mesh (Kuma 2.14)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from compiler.diagnostics import Diagnostic, Severity
from compiler.inject.annotations import Annotations, check_annotations, is_ours, read_texts
from compiler.inject.containers import CONCURRENCY, SPIRE
from compiler.inject.dataplanes import PodView, name_workload
from compiler.inject.emit import emit_block
from compiler.inject.gateway_objects import APP, GatewayInstance, make_deployment, make_service, make_template
from compiler.inject.manifests import BAD_WORKLOAD, KubeObject, read_objects
from compiler.inject.mesh_documents import MeshDocument, WorkloadDocument, naming_labels, workload_document
from compiler.inject.reading import Page, diagnose
from compiler.inject.redirection import is_gateway
from compiler.inject.selection import INJECTION, MESH, Namespace
from compiler.inject.settings import InjectSettings
from compiler.mesh.gateways.choosing import specificity
from compiler.resources.findings import DUPLICATE_RESOURCE, NO_EFFECT, Finding, join
from compiler.resources.judge import judge
from compiler.resources.model import MeshGateway, MeshGatewayInstance, Resource
from compiler.resources.schema import Schemas
from compiler.source.document import Document

HEADER: Final = "# Made by `meshwright inject --gateways`, which writes this file anew: edit the MeshGatewayInstance.\n"
_INSTANCE: Final = "MeshGatewayInstance"
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
OF_PROXIES: Final = frozenset(
    {
        MESH,
        CONCURRENCY,
        SPIRE,
        "kuma.io/envoy-admin-port",
        "kuma.io/envoy-component-log-level",
        "kuma.io/envoy-log-level",
        "kuma.io/sidecar-drain-time",
        "kuma.io/sidecar-env-vars",
        "kuma.io/xds-transport-protocol-variant",
    }
)
"""Annotations for sidecars that mean something to a gateway's proxy."""


@dataclass(frozen=True, slots=True)
class MadeGateway:
    """What stands for one MeshGatewayInstance: in the cluster, and in the mesh; and where it is written."""

    manifests: MeshDocument
    proxies: WorkloadDocument
    place: Document
    pointer: str


@dataclass(frozen=True, slots=True)
class _Around:
    """`gateways` of all meshes; `taken` are kinds, namespaces and names of other people's objects."""

    settings: InjectSettings
    namespaces: Mapping[str, Namespace]
    gateways: Sequence[Resource]
    taken: frozenset[tuple[str, str, str]]


def derive_gateways(
    pages: Iterable[Page],
    namespaces: Mapping[str, Namespace],
    settings: InjectSettings,
    schemas: Schemas,
    found: list[Diagnostic],
) -> tuple[MadeGateway, ...]:
    """In the order of the manifests; where there is an error nobody should use them."""
    objects = list(_objects(pages))
    instances = [each for each in objects if _is_kumas(each, _INSTANCE)]
    if not instances:
        return ()
    gateways = [one for each in objects if _is_kumas(each, "MeshGateway") for one in _judged(each, schemas, found)]
    around = _Around(settings, namespaces, gateways, frozenset(_taken(objects, settings.selection.namespace)))
    made: dict[str, MadeGateway] = {}
    for each in instances:
        for resource in _judged(each, schemas, found):
            findings: list[Finding] = []
            gateway = _derive(each, resource, around, findings)
            if gateway is not None and made.setdefault(gateway.manifests.path, gateway) is not gateway:
                message = f"there are two MeshGatewayInstances {each.name!r} in one namespace"
                findings.append(Finding(join(each.pointer, "metadata", "name"), DUPLICATE_RESOURCE, message))
            found += diagnose(each.document, findings)
    return tuple(made.values())


def warn_of_gateways(pages: Iterable[Page]) -> Iterator[Diagnostic]:
    """Where nobody asked for what is made of them."""
    for each in _objects(pages):
        if _is_kumas(each, _INSTANCE):
            message = f"nothing is made of MeshGatewayInstance {each.name!r}"
            hint = "ask for its Deployment and Service with --gateways DIR"
            finding = Finding(join(each.pointer, "metadata", "name"), NO_EFFECT, message, hint)
            yield from diagnose(each.document, [finding])


def _objects(pages: Iterable[Page]) -> Iterator[KubeObject]:
    return (each for page in pages for document in page.documents for each in read_objects(document))


def _is_kumas(each: KubeObject, kind: str) -> bool:
    return each.kind == kind and str(each.value["apiVersion"]).startswith("kuma.io/")


def _judged(each: KubeObject, schemas: Schemas, found: list[Diagnostic]) -> Iterator[Resource]:
    """Nothing of one that is wrong, which is said at its field."""
    verdict = judge(each.value, schemas)
    found += diagnose(each.document, (_below(each.pointer, finding) for finding in verdict.findings))
    if not any(finding.refuses for finding in verdict.findings):
        yield from (resource for resource, _ in verdict.resources)


def _below(pointer: str, finding: Finding) -> Finding:
    return replace(finding, pointer=pointer + finding.pointer) if pointer else finding


def _taken(objects: Iterable[KubeObject], default_namespace: str) -> Iterator[tuple[str, str, str]]:
    """What this made before is no other's."""
    for each in objects:
        if each.kind in ("Deployment", "Service") and not is_gateway(_said(each)):
            yield each.kind, each.namespace(default_namespace), each.name


def _said(each: KubeObject) -> Annotations:
    """Of a Deployment, of its pods."""
    value: Any = each.value
    for step in ("spec", "template") if each.kind == "Deployment" else ():
        value = value.get(step) if isinstance(value, dict) else None
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return read_texts(metadata.get("annotations") if isinstance(metadata, dict) else None)


def _derive(each: KubeObject, resource: Resource, around: _Around, findings: list[Finding]) -> MadeGateway | None:
    settings, spec = around.settings, cast(MeshGatewayInstance, resource.spec)
    namespace = each.namespace(settings.selection.namespace)
    mesh = _mesh_of(each, around.namespaces.get(namespace, Namespace(namespace)), settings.selection.mesh)
    of_pods = spec.pod_template.get("metadata", {})
    said = {**each.annotations, **read_texts(of_pods.get("annotations"))}
    annotations = {name: value for name, value in said.items() if name in OF_PROXIES}
    workload = name_workload(read_texts(of_pods.get("labels")), naming_labels(settings.dataplanes), each.name)
    instance = GatewayInstance(each.name, namespace, mesh, workload, annotations, spec)
    findings += _check(each, instance, around)
    gateway = _gateway_of(instance, around.gateways)
    at = join(each.pointer, "metadata", "name")
    if gateway is None:
        message = f"no MeshGateway of mesh {mesh!r} among the manifests selects it, so nothing is made of it"
        findings.append(Finding(at, NO_EFFECT, message, f"let one select kuma.io/service: {instance.service}"))
        return None
    if any((one.severity or one.code.severity) is Severity.ERROR for one in findings):
        return None
    objects = make_deployment(instance, settings), make_service(instance, gateway)
    text = HEADER + "---\n".join(f"{emit_block(value, 0)}\n" for value in objects)
    return MadeGateway(
        MeshDocument(mesh, namespace, instance.name, text),
        _proxies(instance, objects[0], settings),
        each.document,
        each.pointer,
    )


def _mesh_of(each: KubeObject, namespace: Namespace, otherwise: str) -> str:
    places = (each.labels, each.annotations, namespace.labels, namespace.annotations)
    return next((place[MESH] for place in places if place.get(MESH)), otherwise)


def _gateway_of(instance: GatewayInstance, gateways: Iterable[Resource]) -> MeshGateway | None:
    """As its proxies will choose it."""
    ranked = [
        (-count, gateway.key, gateway)
        for gateway in gateways
        if gateway.key.mesh == instance.mesh
        and (count := specificity(cast(MeshGateway, gateway.spec).selectors, instance.tags)) is not None
    ]
    return cast(MeshGateway, min(ranked, key=lambda entry: entry[:2])[2].spec) if ranked else None


def _check(each: KubeObject, instance: GatewayInstance, around: _Around) -> Iterator[Finding]:
    template = join(each.pointer, "spec", "podTemplate", "metadata")
    metadata = instance.spec.pod_template.get("metadata", {})
    yield from _check_annotations(each.annotations, join(each.pointer, "metadata", "annotations"))
    yield from _check_annotations(read_texts(metadata.get("annotations")), join(template, "annotations"))
    labels = read_texts(metadata.get("labels"))
    if labels.get(APP, instance.name) != instance.name:
        message = f"the pods of {instance.name!r} are known by their label {APP}: {instance.name}"
        yield Finding(join(template, "labels", APP), BAD_WORKLOAD, message, "use another label")
    for name in (INJECTION, MESH):
        if name in labels:
            message = f"{name} of a gateway's pods is written by this command"
            yield Finding(join(template, "labels", name), NO_EFFECT, message, "take it out", on_key=True)
    if not _NAME.fullmatch(instance.name):
        message = f"{instance.name[:64]!r} is no name for a Service: a letter, then letters in lower case, digits and -"
        yield Finding(join(each.pointer, "metadata", "name"), BAD_WORKLOAD, message)
    for kind in ("Deployment", "Service"):
        if (kind, instance.namespace, instance.name) in around.taken:
            message = f"there is a {kind} {instance.name!r} already, which is not this gateway's"
            yield Finding(join(each.pointer, "metadata", "name"), DUPLICATE_RESOURCE, message, "rename one of them")


def _check_annotations(annotations: Annotations, pointer: str) -> Iterator[Finding]:
    """Those for sidecars that would do nothing here are named."""
    yield from check_annotations({name: annotations[name] for name in annotations if name in OF_PROXIES}, pointer)
    for name in annotations:
        if name not in OF_PROXIES and is_ours(name):
            message = f"{name} changes nothing at a builtin gateway"
            yield Finding(join(pointer, name), NO_EFFECT, message, "take it out", on_key=True)


def _proxies(instance: GatewayInstance, deployment: Mapping[str, Any], settings: InjectSettings) -> WorkloadDocument:
    """Its proxies register themselves, as those of other workloads do."""
    template = deployment["spec"]["template"]
    metadata = template["metadata"]
    labels = {name: value for name, value in metadata["labels"].items() if name != INJECTION}
    view = PodView(
        name=instance.name,
        owner=instance.name,
        kind="Deployment",
        namespace=instance.namespace,
        labels=labels,
        annotations=metadata["annotations"],
        spec=template["spec"],
    )
    spec = make_template(instance, settings)
    return workload_document(view, spec, instance.mesh, instance.workload, settings.dataplanes)
