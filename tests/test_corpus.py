"""What policies change in whole snapshots, and what changes leave alone, as Kuma's own examples have it.

Only where the acceptance corpus is at hand. What a policy adds and removes is compared as facts that do not depend on
how a control plane names things; what comes to Envoy by RDS and ECDS is put in its place first (docs/rebuilds.md).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from compiler.pipeline import Compiler
from tests.corpus import CORPUS, cases, expected, runner, texts
from tests.trees import SCHEMAS, codes, tree_of

Facts = Sequence[Sequence[Any]]
ZONE = "kuma-3"
LEFT_OUT: Mapping[str, tuple[str, str]] = {
    "meshloadbalancingstrategy-outbound-la-affinitytags": (
        "labels of an endpoint are those of its Dataplane; Kuma's example without the policy was recorded with more",
        r"filterMetadata\.io\.kuma\.labels",
    ),
    "meshratelimit-inbound-rules": (
        "the filter is in its slot before there is a policy, and no runtime layer can switch it off",
        r"httpFilters|runtimeKey",
    ),
    "meshfaultinjection-inbound-rules": (
        "whom a fault is for is decided by a route and the certificate, not by a matcher and a header that callers add",
        r"httpFilters|requestHeadersToAdd|virtualHosts",
    ),
    "meshtrafficpermission-inbound-rules-deny-precedence": (
        "one list of policies in a filter that stands there always, where Kuma has a tree of matchers",
        r"matcher\.|typedConfig\.rules",
    ),
    "meshtrafficpermission-inbound-rules-merged": (
        "one list of policies in a filter that stands there always, where Kuma has a tree of matchers",
        r"[mM]atcher\.|typedConfig\.rules|typedConfig\.shadowRules",
    ),
}
"""Facts that differ for a reason, and how they are told: they are left out on both sides."""
APART: Mapping[str, str] = {
    "meshmetric-otel": "sockets have names of ours, and the agent is told by a listener what to do",
}
"""Cases whose every part is built otherwise."""
REFUSED: Mapping[str, str] = {
    "meshloadbalancingstrategy-outbound-mix-hashpolicies": "bad-value",
}
"""What Envoy would refuse: a Maglev table of 27, which is no prime."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the acceptance corpus is not at hand")


@pytest.mark.parametrize("case", list(cases("xds-e2e-sidecars")))
def test_a_policy_adds_and_removes_what_it_does_in_kuma(case: str) -> None:
    name = case.rpartition("/")[2]
    files = {path: prepare(text) for path, text in texts(case).items()}
    if name in REFUSED:
        assert REFUSED[name] in codes(Compiler(SCHEMAS).compile(tree_of(files)))
        return
    wanted = expected(case)
    mesh = wanted["query"]["mesh"]
    without, with_policy = configs({"00-base.yaml": files["00-base.yaml"]}), configs(files)
    for dataplane, effects in wanted["effects"].items():
        if "facts" in effects:
            assert without[f"{mesh}.{dataplane}"] == with_policy[f"{mesh}.{dataplane}"]
            continue
        added, removed = delta(without[f"{mesh}.{dataplane}"], with_policy[f"{mesh}.{dataplane}"])
        if name in APART:
            assert added, "the policy does something"
            assert counted(name, added) != counted(name, effects["added"]), "the reason holds no more"
        else:
            assert counted(name, added) == counted(name, effects["added"])
            assert counted(name, removed) == counted(name, effects["removed"])


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_difference_that_is_left_out_is_one(name: str) -> None:
    effects = expected(f"xds-e2e-sidecars/{name}")["effects"].values()
    told = [fact for one in effects for fact in (*one["added"], *one["removed"])]
    assert len(list(kept(name, told))) < len(told)


def prepare(text: str) -> str:
    """The policies hold, and Dataplanes are of the zone that Kuma's control plane puts them into."""
    documents = [one for one in yaml.safe_load_all(text) if one]
    for document in documents:
        labels = document.setdefault("labels", {})
        labels.pop("kuma.io/effect", None)
        if document["type"] == "Dataplane":
            labels["kuma.io/zone"] = ZONE
    return yaml.safe_dump_all(documents)


def configs(files: Mapping[str, str]) -> Mapping[str, Any]:
    checked = Compiler(SCHEMAS).compile(tree_of(files))
    assert checked.value.generation is not None, checked.diagnostics
    return {node: inline(config(one)) for node, one in checked.value.generation.snapshots.items()}


def config(snapshot: Any) -> dict[str, Any]:
    return {
        kind.type_url: {name: json.loads(resource.json) for name, resource in held.items()}
        for kind, held in snapshot.resources.items()
    }


def inline(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """With routes and extensions where the listeners refer to them."""
    routes = found.get("type.googleapis.com/envoy.config.route.v3.RouteConfiguration", {})
    extensions = found.get("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", {})

    def place(value: Any) -> Any:
        if isinstance(value, list):
            return [place(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "configDiscovery" in value:
            return {"name": value["name"], "typedConfig": place(extensions[value["name"]]["typedConfig"])}
        placed = {key: place(one) for key, one in value.items() if key != "rds"}
        return placed | ({"routeConfig": place(routes[value["rds"]["routeConfigName"]])} if "rds" in value else {})

    apart = ("RouteConfiguration", "TypedExtensionConfig")
    return {url: place(held) for url, held in found.items() if not url.endswith(apart)}


def delta(without: Mapping[str, Any], with_policy: Mapping[str, Any]) -> tuple[Facts, Facts]:
    added, removed = runner().xdsfacts.delta(without, with_policy, runner().xdsfacts.KumaRoles())
    return added, removed


def counted(name: str, told: Facts) -> Counter[str]:
    return Counter(json.dumps(fact) for fact in kept(name, told))


def kept(name: str, told: Facts) -> Iterator[Sequence[Any]]:
    pattern = LEFT_OUT[name][1] if name in LEFT_OUT else None
    return (fact for fact in told if pattern is None or not re.search(pattern, fact[2]))


@pytest.mark.parametrize("case", list(cases("change-detection")))
def test_a_change_is_seen_by_whom_it_concerns_and_by_nobody_else(case: str) -> None:
    """Kuma asks whether the inputs of a mesh changed; here what is compiled anew is what a cold compile gives."""
    before, change = (documents(case, part) for part in ("before", "change"))
    first, second = ({"mesh.yaml": yaml.safe_dump_all(one.values())} for one in (before, before | change))
    compiler = Compiler(SCHEMAS)
    was = compiler.compile(tree_of(first)).value.generation
    after, cold = compiler.compile(tree_of(second)), Compiler(SCHEMAS).compile(tree_of(second))
    assert after.diagnostics == cold.diagnostics
    assert after.value.generation == cold.value.generation
    if not expected(case)["expect"]["changed"]:
        assert was is not None
        assert after.value.generation is not None
        elsewhere = {node: one for node, one in was.snapshots.items() if one.node.mesh not in meshes(change)}
        assert elsewhere
        assert elsewhere.items() <= after.value.generation.snapshots.items()


def documents(case: str, part: str) -> dict[tuple[str, str, str], Any]:
    """By type, mesh and name, so that a change takes the place of what it changes."""
    found = [one for text in texts(case, f"input/{part}").values() for one in yaml.safe_load_all(text) if one]
    return {(one["type"], one.get("mesh", ""), one["name"]): one for one in found}


def meshes(change: Mapping[tuple[str, str, str], Any]) -> set[str]:
    return {mesh for _, mesh, _ in change}
