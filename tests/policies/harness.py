"""Cases of policies: the least YAML that shows what holds, and the change that it makes to a plain mesh's snapshot.

A file of `cases/` is a mapping from titles, which are sentences, to cases of the policy that it is called after:

    request timeout goes to the route:
      policy:                                # the spec of one policy, or a list of documents
        to:
        - targetRef: {kind: MeshService, name: backend}
          default: {http: {requestTimeout: 15s}}
      changes:                               # a JSON Patch from the snapshot without the policy to the one with it
      - {op: replace, path: /routes/backend/virtualHosts/0/routes/0/route/timeout, value: 15s}

Besides, a case may have
    plain:  which of the meshes in `plain/` it is about: tags (the default, as Kuma 2 writes them) or services;
    mesh:   documents that are added to the plain mesh, or stand in for those of the same type and name;
    proxy:  whose snapshot is looked at, frontend where nothing is said;
    finds:  the diagnostics that are expected, as `{code, path}`; where it is absent there must be none;
    holds:  values of the snapshot with the policy, by JSON pointer, for what is so without any policy too.

A document of `policy` needs no `type` and `mesh`, and one policy is called `it`. A snapshot is
`{listeners, routes, clusters, extensions, endpoints}`, each a mapping from names to messages in Envoy's JSON; services
are called by their names instead of their KRIs (`backend`, or `backend#http` with a section) and inbounds
`inbound#http`. The options of a cluster's HTTP connections stand under `http`.

`pytest tests/policies --rewrite` writes all `changes` anew and takes out those of cases that expect no snapshot.
Read every line that changed: an expectation is right because the specification says so, not because it was written.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from compiler.diagnostics import Checked
from compiler.pipeline import Compiled, Compiler
from compiler.snapshot.snapshot import Snapshot
from tests.policies.changes import Operation, difference
from tests.trees import SCHEMAS, tree_of

FOLDER = Path(__file__).parent
CASES = FOLDER / "cases"
View = dict[str, Any]
Document = Mapping[str, Any]

_COMPILER = Compiler(SCHEMAS)

_SERVICE = re.compile(r"\bkri_msvc_default_[^_]*_[^_]*_([a-z0-9.-]+)_((?:[a-z0-9][a-z0-9-]*)?)")
_INBOUND = re.compile(r"\bself_inbound_dp_")
_ACRONYMS = frozenset({"http", "opa", "tcp", "tls"})
_HTTP_OPTIONS = re.compile(r"\benvoy\.extensions\.upstreams\.http\.v3\.HttpProtocolOptions(?=\":)")


@dataclass(frozen=True)
class Case:
    """One entry of a file."""

    file: Path
    title: str
    kind: str
    policies: tuple[Document, ...] = ()
    plain: str = "tags"
    mesh: tuple[Document, ...] = ()
    proxy: str = "frontend"
    changes: tuple[Operation, ...] | None = None
    finds: tuple[Mapping[str, str], ...] = ()
    holds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The mesh without the policy."""
        return _replace(plain_mesh(self.plain), self.mesh)


def read_cases(folder: Path = CASES) -> Iterator[Case]:
    for path in sorted(folder.glob("*.yaml")):
        for title, body in yaml.load(path.read_text(), Loader=yaml.CSafeLoader).items():
            yield _read(path, title, body)


def _read(path: Path, title: str, body: Mapping[str, Any]) -> Case:
    kind = "".join(_words(path.stem.split("--")[0]))
    written = body.get("policy", ())
    policies = [{"name": "it", "spec": written}] if isinstance(written, dict) else written
    known = {"plain", "mesh", "proxy", "changes", "finds", "holds"}
    assert body.keys() <= known | {"policy"}, f"{title}: {sorted(body.keys() - known)}"
    return Case(
        path,
        title,
        kind,
        tuple(policy if "apiVersion" in policy else {"type": kind, "mesh": "default", **policy} for policy in policies),
        **{name: tuple(value) if isinstance(value, list) else value for name, value in body.items() if name in known},
    )


def _words(stem: str) -> Iterator[str]:
    return (word.upper() if word in _ACRONYMS else word.capitalize() for word in stem.split("_"))


@cache
def plain_mesh(name: str) -> tuple[Document, ...]:
    return tuple(yaml.safe_load_all((FOLDER / "plain" / f"{name}.yaml").read_text()))


def _replace(documents: Sequence[Document], more: Sequence[Document]) -> tuple[Document, ...]:
    replaced = {_identity(document) for document in more}
    return (*(document for document in documents if _identity(document) not in replaced), *more)


def _identity(document: Document) -> tuple[str, str]:
    if "apiVersion" in document:
        return document["kind"], document["metadata"]["name"]
    return document["type"], document["name"]


def compile_documents(documents: Sequence[Document]) -> Checked[Compiled]:
    """By one compiler for all cases, since what it remembers never shows (`tests/test_properties.py`)."""
    return _compile(json.dumps(documents))


@cache
def _compile(documents: str) -> Checked[Compiled]:
    files = {f"{number:03}.json": json.dumps(document) for number, document in enumerate(json.loads(documents))}
    return _COMPILER.compile(tree_of(files))


def snapshot_of(compiled: Checked[Compiled], proxy: str) -> Snapshot:
    generation = compiled.value.generation
    assert generation is not None, [f"{found.code} {found.path} {found.message}" for found in compiled.diagnostics]
    return generation.snapshots[f"default.{proxy}"]


def view(snapshot: Snapshot) -> View:
    """The snapshot as cases speak of it."""
    plain = {
        kind.file: {name: json.loads(resource.json) for name, resource in resources.items()}
        for kind, resources in snapshot.resources.items()
    }
    text = _SERVICE.sub(_short_service, json.dumps(plain))
    shortened: View = json.loads(_HTTP_OPTIONS.sub("http", _INBOUND.sub("inbound#", text)))
    return shortened


def _short_service(found: re.Match[str]) -> str:
    return f"{found[1]}#{found[2]}" if found[2] else found[1]


def actual_changes(case: Case) -> tuple[Operation, ...]:
    """What the policy changes; nothing where the mesh itself does not compile."""
    before = view(snapshot_of(compile_documents(case.documents), case.proxy))
    after = view(snapshot_of(compile_documents((*case.documents, *case.policies)), case.proxy))
    found = tuple(difference(before, after))
    assert jsonpatch.apply_patch(before, found) == after
    return found


def apply_changes(case: Case) -> View:
    """The plain snapshot as the case says that it becomes."""
    before = view(snapshot_of(compile_documents(case.documents), case.proxy))
    patched: View = jsonpatch.apply_patch(before, case.changes or ())
    return patched


def findings(compiled: Checked[Compiled]) -> list[dict[str, str]]:
    """As a case lists them: by place, then by code."""
    found = [{"code": finding.code.word, "path": finding.path} for finding in compiled.diagnostics]
    return sorted(found, key=lambda finding: (finding["path"], finding["code"]))


# --- Rewriting ----------------------------------------------------------------------------------------------------


def rewrite_changes(path: Path, wanted: Mapping[str, tuple[Operation, ...] | None]) -> bool:
    """`changes` of each case by title, None for none at all; everything else in the file stays as it was written."""
    text = path.read_text()
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert isinstance(root, yaml.MappingNode)
    edits = [
        (*_place(text, body), _render(wanted[title.value]))
        for title, body in root.value
        if title.value in wanted and isinstance(body, yaml.MappingNode)
    ]
    rewritten = text
    for start, end, block in sorted(edits, reverse=True):
        rewritten = rewritten[:start] + block + rewritten[end:]
    path.write_text(rewritten)
    return rewritten != text


def _place(text: str, body: yaml.MappingNode) -> tuple[int, int]:
    """Where the lines of `changes` stand, or would: after the last line of the case."""
    for key, value in body.value:
        if key.value == "changes":
            start = key.start_mark.index - key.start_mark.column
            return start, _line_end(text, value)
    last = body.value[-1][1]
    end = _line_end(text, last)
    return end, end


def _line_end(text: str, node: yaml.Node) -> int:
    end = len(text[: node.end_mark.index].rstrip())
    return text.find("\n", end) + 1 or len(text)


def _render(changes: tuple[Operation, ...] | None) -> str:
    if changes is None:
        return ""
    if not changes:
        return "  changes: []\n"
    return "  changes:\n" + "".join(_render_operation(one) for one in changes)


def _render_operation(operation: Operation) -> str:
    line = f"  - {_dump(operation, flow=True)}\n"
    if len(line) <= 120:
        return line
    head = f"  - op: {operation['op']}\n    path: {_dump(operation['path'], flow=None)}\n"
    if "value" not in operation:
        return head
    value = _dump(operation["value"], flow=None)
    if "\n" not in value and (value[0] in "{[" or not isinstance(operation["value"], dict | list)):
        return f"{head}    value: {value}\n"
    indented = value.replace("\n", "\n      ")
    return f"{head}    value:\n      {indented}\n"


def _dump(value: Any, *, flow: bool | None) -> str:
    width = 10_000 if flow else 100
    text = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False, width=width)
    return text.removesuffix("...\n")[:-1]
