"""A set of manifest files and the same files with sidecars: two passes, each spread over processes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from compiler.diagnostics import Code, Diagnostic, Severity
from compiler.forks import map_shares
from compiler.inject.containers import shows_token
from compiler.inject.edit import rewrite
from compiler.inject.gateways import MadeGateway, derive_gateways, warn_of_gateways
from compiler.inject.manifests import (
    KubeObject,
    check_kind,
    check_names,
    check_pod,
    check_users,
    read_objects,
    read_workload,
)
from compiler.inject.mesh_documents import (
    WORKLOAD_CLASH,
    MeshDocument,
    WorkloadDocument,
    derive_document,
    workload_name,
)
from compiler.inject.patches import Patch, is_patch, read_patch
from compiler.inject.pod import Injection, check_pod_annotations, inject_pod
from compiler.inject.reading import LIMITS, ManifestFile, Page, diagnose, read_page
from compiler.inject.selection import Namespace, Verdict, check_namespace, judge_workload, mesh_of
from compiler.inject.service_documents import ServiceDocuments, Standing, derive_service_documents
from compiler.inject.services import Service, ServiceIndex, check_service, read_service
from compiler.inject.settings import INIT, VALIDATION, InjectSettings
from compiler.resources.findings import DUPLICATE_RESOURCE, Finding
from compiler.resources.schema import Schemas

COMMENTS_LOST: Final = Code(
    "comments-lost",
    Severity.WARNING,
    "a document was written anew, without its comments",
    "A document keeps its comments and layout but for what is added. Where it shares parts of a pod by anchors and "
    "aliases, that would change what shares them too.",
)

_SHARE: Final = 32
"""Files that are worth a process of their own."""


@dataclass(frozen=True, slots=True)
class _Cluster:
    """What pods depend on besides themselves."""

    settings: InjectSettings
    namespaces: Mapping[str, Namespace]
    services: ServiceIndex
    patches: Mapping[str, Patch]
    derives: bool


@dataclass(frozen=True, slots=True)
class _Derived:
    """A document of the mesh, and the pod that it was derived from: the index of its document, and its place there."""

    document: WorkloadDocument
    index: int
    pointer: str


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file after injection; `content` is what it was where no pod of it was injected.

    `shows_token`: a sidecar of it has a token, and no authority of the server's.
    """

    path: str
    content: bytes
    is_changed: bool
    is_manifest: bool
    findings: tuple[Diagnostic, ...] = ()
    documents: tuple[_Derived, ...] = ()
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    shows_token: bool = False


@dataclass(frozen=True, slots=True)
class Injected:
    """All files in their order, what is wrong, the mesh's documents, and manifests that are made anew."""

    files: tuple[InjectedFile, ...]
    diagnostics: tuple[Diagnostic, ...]
    documents: tuple[MeshDocument, ...]
    gateways: tuple[MeshDocument, ...]
    verdicts: Mapping[Verdict, int]
    standings: Mapping[Standing, int] = field(default_factory=dict)


def useful_processes(files: int, cores: int) -> int:
    """One for a small set: a process costs more than reading some files does."""
    return max(1, min(cores, files // _SHARE))


def inject_files(
    files: Sequence[ManifestFile],
    settings: InjectSettings,
    schemas: Schemas,
    *,
    processes: int = 1,
    derives: bool = False,
    makes: bool = False,
) -> Injected:
    """The same for any number of processes; where there is an error nobody should use the files.

    `derives`: documents of the mesh are wanted; `makes`: what MeshGatewayInstances stand for is.
    """
    shares = map_shares(_read_share, list(enumerate(files)), processes=processes)
    pages = [page for _, page in sorted((each for share in shares for each in share), key=lambda each: each[0])]
    found = [finding for page in pages for finding in page.findings]
    cluster = _gather(pages, settings, schemas, derives=derives, found=found)
    work = partial(_inject_share, cluster)
    done = map_shares(work, list(enumerate(pages)), processes=processes)
    injected = [each for _, each in sorted((each for share in done for each in share), key=lambda each: each[0])]
    found += [finding for each in injected for finding in each.findings]
    gateways: tuple[MadeGateway, ...] = ()
    if derives or makes:
        gateways = derive_gateways(pages, cluster.namespaces, settings, schemas, found)
    else:
        found += warn_of_gateways(pages)
    found += _clashes(pages, injected, gateways)
    verdicts: Counter[Verdict] = Counter()
    for each in injected:
        verdicts.update(each.verdicts)
    documents: tuple[MeshDocument, ...] = ()
    offered = ServiceDocuments()
    if derives:
        workloads = *(each.document for file in injected for each in file.documents), *(one.proxies for one in gateways)
        offered = derive_service_documents(pages, workloads, cluster.namespaces, settings, schemas, found)
        documents = *workloads, *offered.documents
    made = tuple(one.manifests for one in gateways) if makes else ()
    return Injected(tuple(injected), tuple(found), documents, made, verdicts, offered.standings)


def _read_share(files: Sequence[tuple[int, ManifestFile]]) -> list[tuple[int, Page]]:
    return [(number, read_page(file)) for number, file in files]


def _gather(
    pages: Iterable[Page], settings: InjectSettings, schemas: Schemas, *, derives: bool, found: list[Diagnostic]
) -> _Cluster:
    namespaces: dict[str, Namespace] = {}
    services: list[Service] = []
    patches: dict[str, Patch] = {}
    selection = settings.selection
    for page in pages:
        for document in page.documents:
            if is_patch(document.value):
                _add_patch(read_patch(document, schemas, selection.system_namespaces, found), patches, found)
            for each in read_objects(document):
                if each.kind == "Namespace":
                    namespaces[each.name] = Namespace(each.name, each.labels, each.annotations)
                    found += diagnose(
                        document, check_namespace(namespaces[each.name], each.metadata.get("labels"), each.pointer)
                    )
                elif each.kind == "Service" and each.value["apiVersion"] == "v1":
                    found += diagnose(document, check_service(each) if derives else ())
                    services.append(read_service(each, selection.namespace))
    index = ServiceIndex(services, settings.dataplanes.ignored_selector_labels)
    return _Cluster(settings, namespaces, index, patches, derives)


def _add_patch(patch: Patch | None, patches: dict[str, Patch], found: list[Diagnostic]) -> None:
    """One in a namespace of the system wins over one that stands elsewhere in vain."""
    if patch is None:
        return
    other = patches.get(patch.name)
    if other is not None and not other.outside and not patch.outside and patch.place is not None:
        message = f"there are two ContainerPatches {patch.name!r}"
        found += diagnose(patch.place, [Finding("/spec", DUPLICATE_RESOURCE, message, "rename one", on_key=True)])
    elif other is None or other.outside:
        patches[patch.name] = patch


def _inject_share(cluster: _Cluster, pages: Sequence[tuple[int, Page]]) -> list[tuple[int, InjectedFile]]:
    return [(number, _inject(cluster, page)) for number, page in pages]


def _inject(cluster: _Cluster, page: Page) -> InjectedFile:
    """The text is touched only where a pod of it is injected."""
    found: list[Diagnostic] = []
    documents: list[_Derived] = []
    verdicts: Counter[Verdict] = Counter()
    after: dict[int, Any] = {}
    shown = False
    for document in page.documents:
        value = document.value
        for each in read_objects(document):
            findings: list[Finding] = []
            pod = _inject_object(cluster, each, findings, documents, verdicts)
            found += diagnose(document, findings)
            if pod is not None:
                value, shown = _put(value, *pod), shown or shows_token(pod[1])
        if value is not document.value:
            after[document.index] = value
    if not after or any(each.level is Severity.ERROR for each in found):
        return InjectedFile(
            page.file.path, page.file.content, False, page.is_manifest, tuple(found), tuple(documents), verdicts
        )
    rewritten = rewrite(page.file.content, {each.index: each.value for each in page.documents}, after, LIMITS)
    places = {each.index: each for each in page.documents}
    for index in rewritten.anew:
        found += diagnose(places[index], [Finding("", COMMENTS_LOST, "the document is written anew as a whole")])
    return InjectedFile(
        page.file.path, rewritten.content, True, page.is_manifest, tuple(found), tuple(documents), verdicts, shown
    )


def _inject_object(
    cluster: _Cluster,
    each: KubeObject,
    findings: list[Finding],
    documents: list[_Derived],
    verdicts: Counter[Verdict],
) -> tuple[str, dict[str, Any]] | None:
    """Where the changed pod stands, and the pod; None where nothing changes."""
    settings = cluster.settings
    workload = read_workload(each, settings.selection.namespace, settings.selection.kinds)
    if workload is None:
        findings += check_kind(each)
        return None
    verdict = judge_workload(workload, cluster.namespaces, settings.selection, findings)
    verdicts[verdict] += 1
    if verdict not in (Verdict.INJECT, Verdict.HAS_SIDECAR):
        return None
    findings += check_pod(workload)
    if verdict is Verdict.INJECT:
        findings += check_names(workload, (INIT, VALIDATION))
        findings += check_users(workload, settings.sidecar.uid)
    if _has_errors(findings):
        return None
    mesh = mesh_of(workload, cluster.namespaces, settings.selection)
    pod = dict(workload.pod)
    if verdict is Verdict.INJECT:
        name = workload_name(workload, settings.dataplanes)
        pod = inject_pod(workload, Injection(settings, mesh, name, cluster.patches), findings)
    elif cluster.derives:
        findings += check_pod_annotations(workload, settings)
    if cluster.derives and not _has_errors(findings):
        document = derive_document(workload, pod, mesh, cluster.services, settings.dataplanes, findings)
        documents.append(_Derived(document, each.document.index, workload.pointer))
    return (workload.pointer, pod) if verdict is Verdict.INJECT else None


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any((each.severity or each.code.severity) is Severity.ERROR for each in findings)


def _clashes(
    pages: Sequence[Page], injected: Sequence[InjectedFile], gateways: Iterable[MadeGateway]
) -> Iterator[Diagnostic]:
    """Of the second of two workloads with one name, and of two that would be one file."""
    seen: set[tuple[str, ...]] = set()
    derived = [
        (one.document, places[one.index], one.pointer)
        for page, file in zip(pages, injected, strict=True)
        if (places := {each.index: each for each in page.documents if file.documents})
        for one in file.documents
    ]
    for document, place, pointer in (*derived, *((one.proxies, one.place, one.pointer) for one in gateways)):
        keys = {(document.mesh, document.workload), ("", document.mesh, document.path)}
        if keys & seen:
            message = f"two workloads of mesh {document.mesh!r} are called {document.workload!r}"
            hint = "give one of them a label kuma.io/workload"
            yield from diagnose(place, [Finding(pointer, WORKLOAD_CLASH, message, hint)])
        seen |= keys


def _put(value: Any, pointer: str, part: object) -> Any:
    """A copy with another part at a JSON pointer; the rest is shared."""
    if not pointer:
        return part
    step, slash, rest = pointer[1:].partition("/")
    key = step.replace("~1", "/").replace("~0", "~")
    if isinstance(value, list):
        changed = list(value)
        changed[int(key)] = _put(value[int(key)], slash + rest, part)
        return changed
    return {**value, key: _put(value[key], slash + rest, part)}
