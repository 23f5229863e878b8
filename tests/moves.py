"""Moves for edits (`tests/edits.py`): a document says what it said, and stands elsewhere or is called otherwise."""

from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from tests.edited_policies import Document
from tests.heads import (
    WORKLOAD,
    ZONE,
    as_kubernetes,
    as_universal,
    content_of,
    is_kubernetes,
    kind_of,
    labels_of,
    mesh_of,
    name_of,
    with_content,
    with_label,
    with_mesh,
    with_name,
)

Repository = Mapping[str, Document]
"""Documents by the name of their file."""
Move = Callable[[st.DrawFn, Repository], Repository]

SINGLE = "single"
"""The file of a Dataplane that is called as an instance of the DataplaneSet is."""
_ZONES = st.sampled_from(["east", "west", ""])
_NEW, _MOVED = "-new", "moved/"
_PROXIES = ("Dataplane", "DataplaneSet")
_GATES = ("ZoneIngress", "ZoneEgress")
_ZONED = (*_PROXIES, *_PROXIES, *_GATES, "MeshService", "MeshExternalService", "MeshZoneAddress")
_IN_BOTH_FORMS = (*_PROXIES, "MeshService", "MeshMultiZoneService", "MeshExternalService", "MeshTimeout",
                  "MeshHTTPRoute", "MeshTrafficPermission", "MeshIdentity")  # fmt: skip


def _files(repository: Repository, *kinds: str) -> list[str]:
    return sorted(file for file, document in repository.items() if kind_of(document) in kinds)


def _named(repository: Repository) -> list[str]:
    """All but settings."""
    return sorted(file for file, document in repository.items() if name_of(document))


def _without(repository: Repository, file: str) -> dict[str, Document]:
    return {other: document for other, document in repository.items() if other != file}


# --- Of any document, and of proxies above all ------------------------------------------------------------------------


def to_zone(draw: st.DrawFn, before: Repository) -> Repository:
    """By its label, or by the tags of its inbounds."""
    proxies, others = _files(before, *_PROXIES), _files(before, *_ZONED)
    file = draw(st.sampled_from(proxies) | st.sampled_from(others))
    document, zone = before[file], draw(_ZONES)
    if kind_of(document) in _GATES:
        return {**before, file: {**document, "zone": zone or "east"}}
    if kind_of(document) == "Dataplane" and draw(st.booleans()):
        networking = content_of(document)["networking"]
        inbounds = [_with_tag(one, zone) for one in networking.get("inbound", ())]
        return {**before, file: with_content(document, networking={**networking, "inbound": inbounds})}
    return {**before, file: with_label(document, ZONE, zone)}


def _with_tag(inbound: Document, zone: str) -> Document:
    tags = {name: value for name, value in inbound.get("tags", {}).items() if name != ZONE}
    return {**inbound, "tags": {**tags, ZONE: zone} if zone else tags}


def to_workload(draw: st.DrawFn, before: Repository) -> Repository:
    file = draw(st.sampled_from(_files(before, *_PROXIES)))
    label, value = draw(st.sampled_from([WORKLOAD, "app"])), draw(st.sampled_from(["web", "api", "door", ""]))
    return {**before, file: with_label(before[file], label, value)}


def to_mesh(draw: st.DrawFn, before: Repository) -> Repository:
    meshed = sorted(file for file, document in before.items() if mesh_of(document))
    file = draw(st.sampled_from(_files(before, *_PROXIES)) | st.sampled_from(meshed))
    return {**before, file: with_mesh(before[file], "default" if mesh_of(before[file]) == "other" else "other")}


def to_name(draw: st.DrawFn, before: Repository) -> Repository:
    """Another one, or its own again."""
    file = draw(st.sampled_from(_files(before, *_PROXIES) or _named(before)) | st.sampled_from(_named(before)))
    name = name_of(before[file])
    return {**before, file: with_name(before[file], name.removesuffix(_NEW) if name.endswith(_NEW) else name + _NEW)}


def exchange_names(draw: st.DrawFn, before: Repository) -> Repository:
    """Two proxies, each of which is called as the other was."""
    files = st.sampled_from(_files(before, "Dataplane"))
    one, other = draw(files), draw(files)
    first, second = with_name(before[one], name_of(before[other])), with_name(before[other], name_of(before[one]))
    return {**before, one: first, other: second}


def to_file(draw: st.DrawFn, before: Repository) -> Repository:
    file = draw(st.sampled_from(_named(before)))
    target = file.removeprefix(_MOVED) if file.startswith(_MOVED) else _MOVED + file
    return {**_without(before, file), target: before[file]}


def to_form(draw: st.DrawFn, before: Repository) -> Repository:
    """As Kubernetes writes it, in a namespace, which is part of its name; or back."""
    file = draw(st.sampled_from(_files(before, *_IN_BOTH_FORMS)))
    document = before[file]
    if is_kubernetes(document):
        return {**before, file: as_universal(document)}
    return {**before, file: as_kubernetes(document, draw(st.sampled_from(["shop", "kuma-system"])))}


# --- Between a DataplaneSet and its instances -------------------------------------------------------------------------


def instances(name: str) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda net, zone, labels: {
            "name": name,
            "address": f"10.{net}.0.{name}",
            **({"zone": zone} if zone else {}),
            **({"labels": labels} if labels else {}),
        },
        st.sampled_from([1, 4]),
        _ZONES,
        st.sampled_from([{}, {}, {WORKLOAD: "web"}, {"app": "api"}, {"pod": "a"}]),
    )


def scale(draw: st.DrawFn, before: Repository) -> Repository:
    """One instance more, fewer or otherwise; or the set's proxies register themselves, or no longer."""
    file = draw(st.sampled_from(_files(before, "DataplaneSet")))
    spec = content_of(before[file])
    if "registration" in spec or draw(st.integers(0, 4)) == 0:
        return {**before, file: {**before[file], "spec": _registered_or_not(spec)}}
    found = {one["name"]: one for one in spec["instances"]}
    name = draw(st.sampled_from("1234"))
    other = draw(st.none() | instances(name))
    changed = {**found, name: other} if other else {one: found[one] for one in found if one != name}
    return {**before, file: with_content(before[file], instances=[*(changed or found).values()])}


def _registered_or_not(spec: Document) -> Document:
    if "registration" in spec:
        return {"template": spec["template"], "instances": [{"name": "1", "address": "10.1.0.1"}]}
    return {"template": spec["template"], "registration": {"cidrs": ["10.2.0.0/16"]}}


def leave_set(_: st.DrawFn, before: Repository) -> Repository:
    """Its first instance is written as the Dataplane that it was, in a file of its own."""
    file = _files(before, "DataplaneSet")[0]
    document = before[file]
    first, *others = content_of(document)["instances"]
    left = {
        "type": "Dataplane",
        "mesh": mesh_of(document),
        "name": f"{name_of(document)}-{first['name']}",
        "labels": {
            **labels_of(document),
            **first.get("labels", {}),
            **({ZONE: first["zone"]} if "zone" in first else {}),
        },
        "networking": {**content_of(document)["template"]["networking"], "address": first["address"]},
    }
    rest = {**before, file: with_content(document, instances=others)} if others else _without(before, file)
    return {**rest, SINGLE: left}


def join_set(_: st.DrawFn, before: Repository) -> Repository:
    """The Dataplane is an instance of that name again, in the place of one that has it."""
    file = _files(before, "DataplaneSet")[0]
    document, single = before[file], before[SINGLE]
    name = name_of(single).removesuffix(_NEW)[-1]
    joined = {"name": name, "address": content_of(single)["networking"]["address"]}
    others = [one for one in content_of(document)["instances"] if one["name"] != name]
    return {**_without(before, SINGLE), file: with_content(document, instances=[*others, joined])}


def _has_instances(repository: Repository) -> bool:
    return any("instances" in content_of(repository[file]) for file in _files(repository, "DataplaneSet")[:1])


# --- Which of them ----------------------------------------------------------------------------------------------------


@st.composite
def moves(draw: st.DrawFn, before: Repository) -> Repository:
    """One of those that there is something for; none where there is nothing but settings."""
    found = _possible(before)
    return draw(st.sampled_from(found))(draw, before) if found else before


def _possible(repository: Repository) -> list[Move]:
    found: list[Move] = [to_name, to_file] if _named(repository) else []
    if _files(repository, *_PROXIES):
        found += [to_zone, to_zone, to_workload, to_workload, to_mesh, to_form]
    if _files(repository, "Dataplane"):
        found += [exchange_names]
    if _files(repository, "DataplaneSet"):
        found += [scale, scale]
    if _has_instances(repository):
        found += [join_set if SINGLE in repository else leave_set] * 2
    return found
