"""What legacy documents become: always what the newer types accept, and the same as somebody would write by hand."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from compiler.resources.checks import check_content
from compiler.resources.envelope import normalise, read_envelope
from compiler.resources.findings import join
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.legacy.conversion import Conversion, Surroundings
from compiler.resources.legacy.convert import CONVERTERS, TARGETS, convert, write_documents
from tests.resources.build import schemas
from tests.schematic import part

BACKENDS = Surroundings(
    logging={"defaultBackend": "f", "backends": [{"name": "f", "type": "file", "conf": {"path": "/tmp/log"}}]},
    tracing={
        "defaultBackend": "z",
        "backends": [{"name": "z", "type": "zipkin", "sampling": 12.5, "conf": {"url": "http://zipkin:9411/api"}}],
    },
    protocols={"backend": "http", "db": "tcp"},
)


PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
ONE_SIDED = ("ProxyTemplate", "TrafficTrace", "VirtualOutbound")
ANYTHING = [{"match": {"kuma.io/service": name}} for name in ("*", "backend", "db", "frontend")]
TAGGED = [{"match": {"kuma.io/service": "frontend", "version": "v1"}}, {"match": {"kuma.io/service": "*", "zone": "e"}}]
FAULTY = [{"match": {"kuma.io/protocol": "http", **each["match"]}} for each in ANYTHING + TAGGED]
SELECTORS = {
    (kind, side): FAULTY
    if (kind, side) == ("FaultInjection", "destinations")
    else ANYTHING
    if kind == "VirtualOutbound" or (side == "destinations" and kind not in ("TrafficPermission", "RateLimit"))
    else ANYTHING + TAGGED
    for kind in LEGACY_TYPES
    for side in ("selectors", "sources", "destinations")
}
SERVICE = {"name": "service", "tagKey": "kuma.io/service"}
NAMES = [
    {"host": "{{.service}}.mesh", "port": "80", "parameters": [SERVICE]},
    {"host": "{{.service}}.{{.z}}.mesh", "port": "{{.p}}", "parameters": [SERVICE, {"name": "z"}, {"name": "p"}]},
    {
        "host": "{{.s}}.{{.z}}.mesh",
        "port": "1",
        "parameters": [{"name": "s", "tagKey": "kuma.io/service"}, {"name": "z", "tagKey": "kuma.io/zone"}],
    },
]


def mend(kind: str, conf: dict[str, Any]) -> dict[str, Any]:  # noqa: C901  # a branch a type
    match kind:
        case "CircuitBreaker" if not conf.get("detectors"):
            conf["thresholds"] = {"maxConnections": 1}
        case "Retry":
            for one in (conf.get("http", {}), conf.get("grpc", {})):
                one.get("backOff", {})["baseInterval"] = "1s"
        case "FaultInjection":
            for name, field, value in (
                ("delay", "value", "1s"),
                ("abort", "httpStatus", 500),
                ("responseBandwidth", "limit", "5000bps"),
            ):
                if name in conf:
                    conf[name] = {"percentage": 12.5, field: value, **conf[name]}
        case "RateLimit":
            conf["http"] = {"requests": 1, **conf.get("http", {}), "interval": "1m"}
        case "TrafficRoute":
            for one in conf.get("http", ()):
                one.setdefault("match", {})
                _mend_goal(one)
            _mend_goal(conf)
        case "ProxyTemplate":
            conf["resources"] = [
                {**one, "resource": f"'@type': {CLUSTER}\nname: a"} for one in conf.get("resources", ())
            ]
            conf["modifications"] = [_mend_change(one) for one in conf.get("modifications", ())]
    return conf


CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def _mend_change(one: dict[str, Any]) -> dict[str, Any]:
    ((kind, change),) = one.items()
    change.pop("value", None)
    if change["operation"] != "remove":
        change["value"] = "name: a"
    if change["operation"] == "add":
        change.pop("match", None)
    elif change["operation"] in ("addBefore", "addAfter", "patch") and kind.endswith("Filter"):
        change["match"] = {**change.get("match", {}), "name": "a"}
    return one


def _mend_goal(one: dict[str, Any]) -> None:
    """Says where calls go once, matches something, and changes the path and the host in one way."""
    one.setdefault("destination", {"kuma.io/service": "db"})
    if one.get("split"):
        del one["destination"]
        for share in one["split"]:
            share["destination"]["kuma.io/service"] = "db"
            share["weight"] += 1
    else:
        one["destination"]["kuma.io/service"] = "backend"
    if "match" in one or "modify" in one:
        one["match"] = {**one.get("match", {}), "path": {"prefix": "/v1"}}
    for part_of, least in (("path", {"rewritePrefix": "/v2"}), ("host", {"value": "a.b"})):
        if len(one.get("modify", {}).get(part_of, {"": ""})) != 1:
            one["modify"][part_of] = least
    ring = one.get("loadBalancer", {}).get("ringHash", {})
    ring.pop("minRingSize", None)


def test_every_legacy_type_has_a_converter() -> None:
    assert set(CONVERTERS) == set(TARGETS) == set(LEGACY_TYPES)


@st.composite
def legacy_documents(draw: st.DrawFn, kind: str) -> Mapping[str, Any]:
    """Anything that the schema accepts, mended where Kuma would refuse it."""
    sides = ("selectors",) if kind in ONE_SIDED else ("sources", "destinations")
    content: dict[str, Any] = {
        side: draw(st.lists(st.sampled_from(SELECTORS[kind, side]), min_size=1)) for side in sides
    }
    if kind == "VirtualOutbound":
        content["conf"] = draw(st.sampled_from(NAMES))
    elif kind != "TrafficPermission":
        content["conf"] = mend(kind, json.loads(json.dumps(draw(part(kind, "conf")))))
    if draw(st.booleans()):
        metadata = {"name": "one", "labels": draw(st.sampled_from([{}, {"team": "a"}]))}
        return {"apiVersion": "kuma.io/v1alpha1", "kind": kind, "mesh": "m", "metadata": metadata, "spec": content}
    return {"type": kind, "mesh": "m", "name": "one", **content}


def _convert(value: Mapping[str, Any], surroundings: Surroundings) -> tuple[Any, Conversion]:
    """Skips what Kuma refuses, and what no newer policy can say."""
    kind = value.get("kind") or value["type"]
    normal = normalise(kind, value)
    envelope = read_envelope(kind, normal)
    content = envelope.content(normal)
    assume(not any(found.refuses for found in check_content(kind, content, envelope.prefix)))
    return envelope, convert(envelope, content, surroundings)


def _pointers(value: Any, at: str = "") -> Iterator[str]:
    yield at
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        yield from _pointers(each, join(at, key))


def _exists(value: Any, pointer: str) -> bool:
    for segment in pointer.split("/")[1:]:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            if int(name) >= len(value):
                return False
            value = value[int(name)]
        elif name in value:
            value = value[name]
        else:
            return False
    return True


@pytest.mark.parametrize("kind", sorted(LEGACY_TYPES))
def test_whatever_is_right_becomes_what_the_newer_type_accepts_each_part_with_its_place(kind: str) -> None:
    """But for what is compiled and not written down."""
    tried = []

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(legacy_documents(kind))
    def check(value: Mapping[str, Any]) -> None:
        envelope, conversion = _convert(value, BACKENDS)
        for found in conversion.findings:
            assert _exists(value, found.pointer) or _exists(value, found.pointer.rpartition("/")[0])
        assume(not any(found.refuses for found in conversion.findings))
        for one in write_documents(envelope, conversion):
            for pointer in _pointers(one.value["spec"]):
                assert _exists(value, one.placement.locate(pointer)), pointer
            assert one.type in TARGETS[kind]
            if one.type in schemas().known and not conversion.unwritten:
                assert schemas().explain(one.type, one.value) == ()
                content = read_envelope(one.type, one.value).content(one.value)
                assert [found for found in check_content(one.type, content, "/spec") if found.refuses] == []
            tried.append(one.type)

    check()
    assert tried
