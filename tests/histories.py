"""Histories of small repositories as their authors make them: files with several documents, mistakes, and moves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from compiler.source.tree import Listing, SourceFile, SourceTree, blob_id
from tests.trees import tree_of

Files = Mapping[str, tuple[str, ...]]
"""Documents, as texts, by path."""

PATHS = ("a.yaml", "b/c.yaml", "b/d.yaml", "b/e/f.yaml", "meshwright.yaml", "z.yaml")
_MESHES = ("default", "defautl", "other")
_ZONES = ("", "", "east", "west")
_SETTINGS = (
    "schemaVersion: 1\n",
    "schemaVersion: 1\npaths: [b]\n",
    "schemaVersion: 1\nignore: [b/e, z.yaml]\n",
    "schemaVersion: 1\nseverity: {unknown-mesh: warning, duplicate-resource: 'off', dangling-ref: error}\n",
    "schemaVersion: 1\nseverity: {duplicate-key: warning, unknown-mesh: warning, duplicate-resource: warning}\n",
    "schemaVersion: 1\nrollout: {}\n",
    "nonsense: true\n",
    "paths: [",
)


def _label(zone: str) -> str:
    return f"labels: {{kuma.io/zone: {zone}}}\n" if zone else ""


_dataplanes = st.builds(
    lambda mesh, name, zone, service: (
        f"type: Dataplane\nmesh: {mesh}\nname: {name}\n{_label(zone)}"
        f"networking:\n  address: 10.0.0.1\n  inbound: [{{port: 80, tags: {{kuma.io/service: {service}}}}}]\n"
        "  outbound: [{port: 81, tags: {kuma.io/service: web}}]\n"
    ),
    st.sampled_from(_MESHES),
    st.sampled_from(["many-1", "many-2", "one"]),
    st.sampled_from(_ZONES),
    st.sampled_from(["web", "api"]),
)
_sets = st.builds(
    lambda zone, names: (
        f"type: DataplaneSet\nmesh: default\nname: many\n{_label(zone)}spec:\n"
        "  template: {networking: {inbound: [{port: 80, tags: {kuma.io/service: web}}]}}\n  instances:\n"
        + "".join(f"  - {{name: '{name}', address: 10.0.1.{name}}}\n" for name in names)
    ),
    st.sampled_from(_ZONES),
    st.lists(st.sampled_from("123"), min_size=1, max_size=3),
)
_policies = st.builds(
    lambda mesh, name, target: (
        f"type: MeshTimeout\nmesh: {mesh}\nname: {name}\nspec:\n  to:\n"
        f"  - targetRef: {{kind: MeshService, name: {target}}}\n    default: {{idleTimeout: 1s}}\n"
    ),
    st.sampled_from(_MESHES),
    st.sampled_from(["slow", "mesh-timeout-all-default"]),
    st.sampled_from(["web", "nobody"]),
)
_OLDER = (
    "type: Timeout\nmesh: default\nname: older\nsources: [{match: {kuma.io/service: '*'}}]\n"
    "destinations: [{match: {kuma.io/service: web}}]\nconf: {connectTimeout: 3s}\n"
)
_others = st.sampled_from(
    [
        "type: Mesh\nname: default\n",
        "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\n",
        "type: Mesh\nname: other\nmtls: 5\n",
        _OLDER,
        "type: Zone\nname: east\n",
        "type: Zone\nname: west\nenabeld: true\n",
        "apiVersion: apps/v1\nkind: Deployment\n",
        "a: 1\na: 2\n",
        "type: Nonsense\nname: x\n",
        "a: [1,\n",
        "",
    ]
)
DOCUMENTS = st.one_of(_dataplanes, _sets, _policies, _others, st.just("type: Mesh\nname: default\n"))
_contents = st.lists(DOCUMENTS, max_size=3).map(tuple)


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> list[Files]:
    """Each state an edit of the one before it, or one that was there before."""
    states: list[Files] = [draw(st.dictionaries(st.sampled_from(PATHS), _contents, min_size=2))]
    for _ in range(draw(st.integers(2, most))):
        taken_back = draw(st.integers(0, 4)) == 0
        states.append(draw(st.sampled_from(states)) if taken_back else draw(_edits(states[-1])))
    return states


@st.composite
def _edits(draw: st.DrawFn, before: Files) -> Files:
    after = {path: list(documents) for path, documents in before.items()}
    source, target = draw(st.sampled_from(sorted(before) or PATHS)), draw(st.sampled_from(PATHS))
    documents = after.get(source, [])
    match draw(st.sampled_from(["write", "delete", "rename", "move", "copy", "comment", "comment", "settings"])):
        case "write":
            after[target] = list(draw(_contents))
        case "delete":
            after.pop(source, None)
        case "rename":
            after[target] = after.pop(source, [])
        case "move" if documents:
            after.setdefault(target, []).append(documents.pop(draw(st.integers(0, len(documents) - 1))))
        case "copy" if documents:
            after.setdefault(target, []).append(draw(st.sampled_from(documents)))
        case "comment" if documents:
            documents[0] = "# more\n" + documents[0]
        case _:
            after["meshwright.yaml"] = [draw(st.sampled_from(_SETTINGS))]
    return {path: tuple(found) for path, found in after.items()}


def write_tree(files: Files, *, listed: bool) -> SourceTree:
    """With a listing of its directories where it is `listed`, as a commit's tree has one."""
    tree = tree_of({path: "---\n".join(documents) for path, documents in files.items()})
    return replace(tree, root=_list("", tree.files)) if listed else tree


def _list(path: str, files: Sequence[SourceFile]) -> Listing:
    own = tuple(file for file in files if "/" not in file.path[len(path) :])
    names = sorted({file.path[len(path) :].split("/")[0] for file in files} - {file.path[len(path) :] for file in own})
    below = {f"{path}{name}/": [file for file in files if file.path.startswith(f"{path}{name}/")] for name in names}
    directories = {directory: _list(directory, found) for directory, found in below.items()}
    return Listing(path, blob_id(repr(files).encode()), 0, own, directories, tuple(files), (), len(files))
