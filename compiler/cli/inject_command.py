"""`meshwright inject`: Kubernetes manifests with sidecars, as Kuma's injector adds them to pods."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND, USAGE, Stop

if TYPE_CHECKING:
    from compiler.diagnostics import Diagnostic
    from compiler.inject.files import Injected, InjectedFile
    from compiler.inject.mesh_documents import MeshDocument
    from compiler.inject.reading import ManifestFile
    from compiler.inject.selection import Verdict
    from compiler.inject.service_documents import Standing
    from compiler.inject.settings import InjectSettings

STDIN: Final = "-"
_STDIN_NAME: Final = "<stdin>"
_ENCODING: Final = "utf-8"


class Findings(StrEnum):
    """How findings are printed, on stderr: stdout is the manifests'."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class _Input:
    """A file that was read; `place` is None for what came from stdin, `below` is where it stands in its folder."""

    file: "ManifestFile"
    below: str
    place: Path | None


def inject(  # one parameter an option
    path: Annotated[
        list[str] | None, typer.Argument(help="Manifests: files, folders (the current one by default), or - for stdin.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write them into this folder, new or empty.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the injection (docs/kubernetes.md).")] = None,
    dataplanes: Annotated[
        Path | None, typer.Option(help="Write documents of the mesh for workloads and Services into this folder.")
    ] = None,
    gateways: Annotated[
        Path | None, typer.Option(help="Write the Deployment and Service of each MeshGatewayInstance into this folder.")
    ] = None,
    server: Annotated[str | None, typer.Option(help="HOST:PORT of the xDS server, for the sidecars.")] = None,
    image: Annotated[str | None, typer.Option(help="The sidecar's image.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The namespace of objects that name none.")] = None,
    ca_cert_file: Annotated[Path | None, typer.Option(help="PEM by which sidecars recognise the xDS server.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Processes; by cores and files by default.", min=1, max=256)
    ] = None,
    findings: Annotated[Findings, typer.Option(help="How findings are printed.")] = Findings.TEXT,
    *,
    write: Annotated[bool, typer.Option("--write", "-w", help="Change the files in their place.")] = False,
    cni: Annotated[bool | None, typer.Option("--cni/--no-cni", help="The node's CNI plugin redirects traffic.")] = None,
    native_sidecars: Annotated[
        bool | None,
        typer.Option("--native-sidecars/--no-native-sidecars", help="As init containers (Kubernetes 1.29)."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too, and write nothing.")] = False,
) -> int:
    """Add sidecars to Kubernetes manifests; prints them, or writes them with --out or --write."""
    from compiler.forks import usable_cores
    from compiler.garbage import uncollected
    from compiler.inject.files import inject_files, useful_processes
    from compiler.resources.schema import Schemas

    paths = path or ["."]
    _refuse_combinations(paths, out, write=write)
    settings = _override(_settings(config), server, image, namespace, ca_cert_file, cni, native_sidecars)
    if dataplanes is not None and not settings.dataplanes.pod_cidrs:
        raise Stop("--dataplanes needs dataplanes.podCidrs in --config: the ranges of your pods' addresses", USAGE)
    inputs, refused = _collect(paths, settings.selection.ignore)
    with uncollected():
        injected = inject_files(
            [each.file for each in inputs],
            settings,
            Schemas.load(),
            processes=concurrency or useful_processes(len(inputs), usable_cores()),
            derives=dataplanes is not None,
            makes=gateways is not None,
        )
    failed = _report(inputs, injected, refused, findings, strict=strict)
    if failed:
        return FOUND
    if findings is not Findings.JSON:
        _warn_of_plaintext(settings, injected)
    _deliver(inputs, injected, out, write=write)
    _write_made(injected, dataplanes, gateways)
    return FINE


def _refuse_combinations(paths: Sequence[str], out: Path | None, *, write: bool) -> None:
    if write and out is not None:
        raise Stop("--out and --write exclude each other", USAGE)
    if write and STDIN in paths:
        raise Stop("--write needs files: what comes from stdin goes to stdout", USAGE)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Stop(f"{out}: is not an empty directory; choose another one, or empty it first")


def _settings(config: Path | None) -> "InjectSettings":
    """A file of settings that is wrong is no input to work with."""
    from compiler.cli.findings import as_text
    from compiler.inject.settings import InjectSettings
    from compiler.inject.settings_file import read_inject_settings

    if config is None:
        return InjectSettings()
    content = config.read_bytes()
    checked = read_inject_settings(str(config), content)
    for finding in checked.diagnostics:
        typer.echo(as_text(finding, _lines_of(content)), err=True)
    if checked.failed:
        raise Stop(f"{config}: the settings are wrong")
    return checked.value


def _override(
    settings: "InjectSettings",
    server: str | None,
    image: str | None,
    namespace: str | None,
    ca_cert_file: Path | None,
    cni: bool | None,  # noqa: FBT001  # a switch that may be left alone
    native: bool | None,  # noqa: FBT001  # the same
) -> "InjectSettings":
    """What is typed wins over the file."""
    changed = replace(
        settings,
        server=settings.server if server is None else server,
        ca_cert=settings.ca_cert if ca_cert_file is None else ca_cert_file.read_text(encoding=_ENCODING),
        native_sidecars=settings.native_sidecars if native is None else native,
        sidecar=settings.sidecar if image is None else replace(settings.sidecar, image=image),
        traffic=settings.traffic if cni is None else replace(settings.traffic, cni=cni),
    )
    host, _, port = changed.server.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise Stop(f"{changed.server!r} is no address: it takes HOST:PORT, such as meshwright.kuma-system:5678", USAGE)
    if namespace is None:
        return changed
    return replace(changed, selection=replace(changed.selection, namespace=namespace))


def _collect(paths: Sequence[str], ignore: Sequence[str]) -> "tuple[list[_Input], list[Diagnostic]]":
    """Each file once, in the order of the paths."""
    from compiler.inject.reading import LIMITS, ManifestFile
    from compiler.source.tree import TOO_MANY_FILES, read_directory

    inputs: list[_Input] = []
    refused: list[Diagnostic] = []
    for text in dict.fromkeys(paths):
        place = Path(text)
        if text == STDIN:
            inputs.append(_Input(ManifestFile(_STDIN_NAME, sys.stdin.buffer.read()), "stdin.yaml", None))
        elif place.is_dir():
            tree = read_directory(place, LIMITS.max_bytes)
            found = tree.diagnostics
            kept = [one for one in found if one.code == TOO_MANY_FILES or not _is_ignored(one.position.file, ignore)]
            refused += [_below(place, one) for one in kept]
            read = tree.value.read
            inputs += [
                _Input(ManifestFile(str(place / file.path), read(file)), file.path, place / file.path)
                for file in tree.value.files
                if not _is_ignored(file.path, ignore)
            ]
        elif place.exists():
            inputs.append(_Input(ManifestFile(text, place.read_bytes()), place.name, place))
        else:
            raise Stop(f"{text}: there is no such file or directory")
    return inputs, refused


def _below(folder: Path, finding: "Diagnostic") -> "Diagnostic":
    return replace(finding, position=replace(finding.position, file=str(folder / finding.position.file)))


def _is_ignored(path: str, globs: Sequence[str]) -> bool:
    from compiler.resources.settings import Settings

    return not Settings(ignore=tuple(globs)).covers(path)


def _report(
    inputs: Sequence[_Input],
    injected: "Injected",
    refused: "Sequence[Diagnostic]",
    findings: Findings,
    *,
    strict: bool,
) -> bool:
    """On stderr; whether there is anything because of which nothing is written."""
    from compiler.cli.findings import annotation, as_text
    from compiler.diagnostics import Severity, plain_diagnostic, sort_diagnostics

    found = sort_diagnostics((*refused, *injected.diagnostics))
    contents = {each.file.path: each.file.content for each in inputs}
    if findings is Findings.JSON:
        shown = {"schemaVersion": 1, "diagnostics": [plain_diagnostic(each) for each in found]}
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2), err=True)
    for each in found if findings is not Findings.JSON else ():
        content = contents.get(each.position.file, b"")
        typer.echo(annotation(each) if findings is Findings.GITHUB else as_text(each, _lines_of(content)), err=True)
    failed = any(each.level is Severity.ERROR for each in found) or (strict and bool(found))
    if findings is not Findings.JSON:
        typer.echo(_summary(injected, failed=failed), err=True)
    return failed


def _warn_of_plaintext(settings: "InjectSettings", injected: "Injected") -> None:
    """What `dataplane run` refuses at its start is better known now."""
    from compiler.reconcile.address import is_loopback

    host = settings.server.rpartition(":")[0].strip("[]")
    shown = any(each.shows_token for each in injected.files) or (bool(injected.gateways) and not settings.ca_cert)
    if shown and not is_loopback(host):
        message = f"without --ca-cert-file the sidecars do not start: none sends its token to {host} in plaintext"
        typer.echo(f"meshwright: warning: {message}", err=True)


def _lines_of(content: bytes) -> Callable[[str], Sequence[str]]:
    return lambda _: content.decode(errors="replace").splitlines()


def _summary(injected: "Injected", *, failed: bool) -> str:
    """Nothing is skipped silently: what is left alone is counted, by its reason."""
    parts = [_counted("workload", injected.verdicts)]
    if injected.standings:
        parts.append(_counted("Service", injected.standings))
    foreign = sum(not file.is_manifest for file in injected.files)
    if injected.gateways:
        parts.append(f"{len(injected.gateways)} gateway{'' if len(injected.gateways) == 1 else 's'} made")
    if foreign:
        parts.append(f"{foreign} file{'' if foreign == 1 else 's'} without manifests ignored")
    if failed:
        parts.append("failed, so nothing is written")
    return "; ".join(parts)


def _counted(word: str, counts: Mapping["Verdict", int] | Mapping["Standing", int]) -> str:
    total = sum(counts.values())
    said = ", ".join(f"{count} {each.value}" for each, count in sorted(counts.items()) if count)
    about = f"{total} {word}{'' if total == 1 else 's'}"
    return f"{about}: {said}" if said else about


def _deliver(inputs: Sequence[_Input], injected: "Injected", out: Path | None, *, write: bool) -> None:
    pairs = [(source, file) for source, file in zip(inputs, injected.files, strict=True) if file.is_manifest]
    if write:
        for source, file in pairs:
            if file.is_changed and source.place is not None:
                _replace(source.place, source.file.content, file.content)
    elif out is not None:
        _write_folder(pairs, out)
    else:
        sys.stdout.buffer.write(b"".join(_stream([file for _, file in pairs])))
        sys.stdout.flush()


def _stream(files: "Sequence[InjectedFile]") -> Iterator[bytes]:
    """One stream of documents, for `kubectl apply -f -`."""
    for number, file in enumerate(files):
        if number and not file.content.startswith(b"---"):
            yield b"---\n"
        yield file.content if file.content.endswith(b"\n") else file.content + b"\n"


def _write_folder(pairs: "Sequence[tuple[_Input, InjectedFile]]", out: Path) -> None:
    """Files keep their places below the folder that was named."""
    taken: set[str] = set()
    for source, _ in pairs:
        if source.below in taken:
            raise Stop(f"two of the paths hold a file {source.below}, which would be one in {out}", USAGE)
        taken.add(source.below)
    for source, file in pairs:
        place = out / source.below
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)


def _replace(place: Path, before: bytes, after: bytes) -> None:
    """Whole or not at all, and never over what somebody else wrote meanwhile."""
    if place.read_bytes() != before:
        raise Stop(f"{place}: changed while it was read; run the command again")
    beside = place.with_name(f".{place.name}.meshwright")
    beside.write_bytes(after)
    beside.chmod(place.stat().st_mode)
    beside.replace(place)


def _write_made(injected: "Injected", dataplanes: Path | None, gateways: Path | None) -> None:
    """Each into the folder that was named for it."""
    from compiler.inject.gateways import HEADER as OF_GATEWAYS
    from compiler.inject.mesh_documents import HEADER as OF_DATAPLANES

    if dataplanes is not None:
        _write_documents(injected.documents, dataplanes, OF_DATAPLANES, "workload or Service")
    if gateways is not None:
        _write_documents(injected.gateways, gateways, OF_GATEWAYS, "MeshGatewayInstance")


def _write_documents(documents: "Sequence[MeshDocument]", folder: Path, header: str, behind: str) -> None:
    """Only files that begin so, which this command wrote, are written anew; one with nothing behind it is named."""
    for document in documents:
        place = folder / document.path
        text = place.read_text(encoding=_ENCODING) if place.exists() else header
        if not text.startswith(header):
            raise Stop(f"{place}: is not a file that this command wrote; move it away first")
        if text != document.text:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(document.text, encoding=_ENCODING)
    current = {folder / document.path for document in documents}
    for place in sorted(set(folder.rglob("*.yaml")) - current):
        if place.read_text(encoding=_ENCODING, errors="replace").startswith(header):
            message = f"{place}: no {behind} stands behind it any more; remove it"
            typer.echo(f"meshwright: warning: {message}", err=True)
