"""What Kuma's read API answers about its own examples, where the acceptance corpus is at hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import yaml

from compiler.inspecting.chosen import collection, list_policies, list_services, show_chosen, show_hostnames
from compiler.inspecting.layout import show_layout
from compiler.inspecting.rules import show_rules
from compiler.memo import Memo
from compiler.mesh.services import SERVICE_TYPES
from compiler.pipeline import Compiled, Compiler
from compiler.resources.model import SHORT_NAMES, ResourceKey
from tests.corpus import CORPUS, cases, expected, runner, texts
from tests.trees import SCHEMAS, tree_of

FAMILIES = (
    "auto-reachable",
    "inspect-dataplane-rules",
    "inspect-hostnames-global",
    "inspect-hostnames-zone",
    "inspect-layout",
    "inspect-meshservice-dataplanes",
    "inspect-policy-dataplanes",
)
OTHERWISE: Mapping[str, str] = {
    "inspect-policy-dataplanes/retry-dataplanes": "a legacy policy selects who is given something by it, its sources",
}
REDIRECTED = {"redirectPortInbound": 15006, "redirectPortOutbound": 15001}
TYPES = {short: kind for kind, short in SHORT_NAMES.items()}
Query = Mapping[str, Any]
Answer = Any

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the acceptance corpus is not at hand")


@pytest.mark.parametrize("case", list(cases(*FAMILIES)))
def test_an_answer_is_that_of_kumas_read_api(case: str) -> None:
    wanted = expected(case)
    query = wanted["query"]
    documents = [one for text in texts(case).values() for one in yaml.safe_load_all(text) if one]
    for document in documents:
        prepare(document, query)
    compiled = Compiler(SCHEMAS).compile(tree_of({"mesh.yaml": yaml.safe_dump_all(documents)})).value
    assert compiled.generation is not None
    why = runner().CMP[query["kind"]](wanted["expect"], ANSWERS[query["kind"]](compiled, query))
    if case in OTHERWISE:
        assert why != [], "the reason why this one differs holds no more"
    else:
        assert why == []


def prepare(document: dict[str, Any], query: Query) -> None:
    """What the control plane of the example knows and its documents do not say.

    Kuma's read API takes every proxy for a redirected one, and gives a mesh no initial policies of its own; config
    trimming is a setting of the control plane there, and of the Mesh here. An outbound on the port of an inbound
    of the same address, which Envoy refuses, stands elsewhere.
    """
    if document["type"] == "Mesh":
        document["skipCreatingInitialPolicies"] = ["*"]
        if query["kind"] == "reachability":
            document["routing"] = {"autoReachable": True}
    if document["type"] == "Dataplane" and query["kind"] == "dataplane.layout":
        document["networking"].setdefault("transparentProxying", REDIRECTED)
        for outbound in document["networking"].get("outbound", ()):
            outbound["address"] = "127.0.0.2"


def proxy_key(query: Query) -> ResourceKey:
    return ResourceKey("Dataplane", query["mesh"], query["name"])


def find(memo: Memo, query: Query) -> ResourceKey:
    """By what Kuma's paths call its type; a legacy policy goes by what it is today."""
    known = (*list_policies(memo, query["mesh"]), *list_services(memo, query["mesh"]))
    kind = query["collection"].removeprefix("mesh")
    (found,) = [key for key in known if key.name == query["name"] and collection(key.type).removeprefix("mesh") == kind]
    return found


def reachability(compiled: Compiled, query: Query) -> Answer:
    keys = {service: ResourceKey("Dataplane", "default", name) for service, name in query["dataplanes"].items()}
    layouts = {service: show_layout(compiled.memo, key) for service, key in keys.items()}
    return {
        "reachable": {
            service: [ref(one["kri"])["name"] for one in layout["outbounds"]] for service, layout in layouts.items()
        }
    }


def layout(compiled: Compiled, query: Query) -> Answer:
    """Without the services that Kuma's generator makes of Dataplanes: it does not run in the examples."""
    shown = show_layout(compiled.memo, proxy_key(query))
    inbounds, outbounds = (
        [{**one, "ref": ref(one["kri"])} for one in shown[part]] for part in ("inbounds", "outbounds")
    )
    written = {one.name for key, one in compiled.resources.resources.items() if key.type in SERVICE_TYPES}
    return {"inbounds": inbounds, "outbounds": [one for one in outbounds if one["ref"]["name"] in written]}


def ref(kri: str) -> Mapping[str, str]:
    """Names of services of 2.x have underscores of their own."""
    _, short, _, zone, _, rest = kri.split("_", 5)
    name, _, section = rest.rpartition("_")
    return {"type": TYPES[short], "zone": zone, "name": name, "section": section}


def chosen(compiled: Compiled, query: Query) -> Answer:
    found = [one["name"] for one in show_chosen(compiled.memo, find(compiled.memo, query))["items"]]
    asked = dict(one.split("=") for one in query.get("params", "").split("&") if one)
    found = [name for name in found if asked.get("name", "") in name]
    start = int(asked.get("offset", 0))
    return {"dataplanes": found[start : start + int(asked.get("size", len(found)))]}


def hostnames(compiled: Compiled, query: Query) -> Answer:
    """A service that is of no zone is shown as one of a zone of its own name."""
    found = show_hostnames(compiled.memo, find(compiled.memo, query))["items"]
    return {
        "hostnames": [
            {"hostname": one["hostname"], "zones": [zone["name"] for zone in one["zones"]] or [query["name"]]}
            for one in found
        ]
    }


def rules(compiled: Compiled, query: Query) -> Answer:
    shown = show_rules(compiled.memo, proxy_key(query), compiled.resources.sources)["rules"]
    return {"rules": [rules_of(one) for one in shown if any(one.get(part) for part in PARTS)]}


PARTS = ("proxyRule", "fromRules", "inboundRules", "toResourceRules")


def rules_of(shown: Mapping[str, Any]) -> Answer:
    found: dict[str, Any] = {"type": shown["type"]}
    if "proxyRule" in shown:
        found["proxyRule"] = {"conf": stripped(shown["proxyRule"]["conf"]), "origins": names(shown["proxyRule"])}
    found["inboundRules"] = [
        {"inbound": one["inbound"], "rules": [{**rule, "origins": origins(rule)} for rule in one["rules"]]}
        for one in shown["inboundRules"]
    ]
    found["toResourceRules"] = [
        {
            "resource": {"type": one["resourceMeta"]["type"], "name": one["resourceMeta"]["name"]},
            "section": one["resourceSectionName"],
            "conf": one["conf"],
            "origins": origins(one),
        }
        for one in shown["toResourceRules"]
    ]
    return found


def stripped(conf: Any) -> Any:
    """The examples have texts without the line break that ends them."""
    if isinstance(conf, Mapping):
        return {key: stripped(value) for key, value in conf.items()}
    if isinstance(conf, Sequence) and not isinstance(conf, str):
        return [stripped(one) for one in conf]
    return conf.strip() if isinstance(conf, str) else conf


def names(rule: Mapping[str, Any]) -> Answer:
    return [{"name": one["resourceMeta"]["name"]} for one in rule["origin"]]


def origins(rule: Mapping[str, Any]) -> Answer:
    return [{"name": one["resourceMeta"]["name"], "ruleIndex": one["ruleIndex"]} for one in rule["origin"]]


ANSWERS: Mapping[str, Callable[[Compiled, Query], Answer]] = {
    "dataplane.layout": layout,
    "dataplane.rules": rules,
    "meshservice.dataplanes": chosen,
    "policy.dataplanes": chosen,
    "reachability": reachability,
    "service.hostnames": hostnames,
}
