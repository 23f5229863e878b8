"""A Dataplane's document with variables in it, as `kuma-dp run --dataplane-file` takes one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.dataplane.bootstrap import DataplaneError
from compiler.resources.judge import judge
from compiler.resources.label_names import WORKLOAD
from compiler.resources.model import Dataplane
from compiler.resources.schema import Schemas
from compiler.source.parse import parse_file

_TAG: Final = re.compile(r"\{\{\{\s*(?P<raw>[^{}]*?)\s*\}\}\}|\{\{(?P<sign>[#^/>!=&]?)\s*(?P<name>[^{}]*?)\s*\}\}")
_NAME: Final = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*")
_SERVICE: Final = "kuma.io/service"


@dataclass(frozen=True, slots=True)
class Described:
    """Who a Dataplane's document says that the proxy is; what else it says is read from Git, by the server."""

    mesh: str
    name: str
    cluster: str


def read_variables(pairs: Sequence[str]) -> Mapping[str, str]:
    """Of `key=value`; DataplaneError for anything else."""
    wrong = next((pair for pair in pairs if not _NAME.fullmatch(pair.partition("=")[0]) or "=" not in pair), None)
    if wrong is not None:
        raise DataplaneError(f"{wrong!r} is no variable: it takes NAME=VALUE, such as address=10.0.0.1")
    return dict(pair.split("=", 1) for pair in pairs)


def render(text: str, variables: Mapping[str, str]) -> str:
    """Mustache's variables, and nothing else of it; DataplaneError for a name that nobody gave a value."""

    def fill(tag: re.Match[str]) -> str:
        name = tag["raw"] if tag["raw"] is not None else tag["name"]
        if (tag["sign"] or "") not in ("", "&"):
            raise DataplaneError(f"{tag[0]!r} is not supported in a Dataplane's document: only variables are")
        if name not in variables:
            raise DataplaneError(f"the Dataplane's document asks for {name!r}: give it with --dataplane-var {name}=…")
        return variables[name]

    return _TAG.sub(fill, text)


def describe(file: str, text: str) -> Described:
    """DataplaneError with the place where the document is not a Dataplane's."""
    parsed = parse_file(file, "", text.encode())
    if parsed.diagnostics:
        first = parsed.diagnostics[0]
        raise DataplaneError(f"{first.position}: {first.message}")
    if len(parsed.value) != 1:
        raise DataplaneError(f"{file}: one Dataplane is wanted, and it holds {len(parsed.value)} documents")
    document = parsed.value[0]
    verdict = judge(document.value, Schemas.load())
    wrong = next((finding for finding in verdict.findings if finding.refuses), None)
    if wrong is not None:
        raise DataplaneError(f"{document.position(wrong.pointer, key=wrong.on_key)}: {wrong.message}")
    resource = verdict.resources[0][0] if verdict.resources else None
    if resource is None or not isinstance(resource.spec, Dataplane):
        raise DataplaneError(f"{file}: it is no Dataplane")
    return Described(resource.key.mesh, resource.key.name, _cluster(resource.labels, resource.spec))


def _cluster(labels: Mapping[str, str], spec: Dataplane) -> str:
    """Its workload, else the service of its first inbound (design §5)."""
    tags: Mapping[str, str] = next(iter(spec.tag_sets), {})
    return labels.get(WORKLOAD) or tags.get(_SERVICE, "unknown")
