"""Doors of zones for edits (`tests/edits.py`), what tells proxies of zones apart, and documents that no proxy reads."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.edited_policies import Document, only

ZONES = ("", "east", "west")
_zones = st.sampled_from(["east", "west"])
_services = st.sampled_from(["web", "api"])
_INGRESS: Document = {"type": "ZoneIngress", "port": 10001, "name": "zi"}
_EGRESS: Document = {"type": "ZoneEgress", "address": "10.6.0.10", "port": 10002, "name": "ze"}
_PLAIN: Document = {"port": 9000, "tags": {"kuma.io/service": "web"}}
_AT_THE_EGRESS: Document = {"kind": "Dataplane", "labels": {"kuma.io/listener-zoneegress": "enabled"}}
_FORMAT: Document = {"type": "Plain", "plain": "%KUMA_ZONE% %KUMA_SOURCE_SERVICE%"}


def _spec(kind: str, name: str, spec: st.SearchStrategy[Document], **others: st.SearchStrategy[object]) -> (
    st.SearchStrategy[Document]
):  # fmt: skip
    return only(type=st.just(kind), mesh=st.just("default"), name=st.just(name), spec=spec, **others)


_zoned = _zones.map(lambda zone: {"kuma.io/zone": zone})
_doors = only(
    type=st.just("Dataplane"),
    mesh=st.just("default"),
    name=st.just("door"),
    labels=st.builds(
        lambda zone, workload: {**zone, **({"kuma.io/workload": "door"} if workload else {})}, _zoned, st.booleans()
    ),
    networking=st.sampled_from(
        [{"listeners": found} for found in ([_INGRESS], [_EGRESS], [_INGRESS, _EGRESS])] + [{"inbound": [_PLAIN]}]
    ).map(lambda found: {"address": "10.6.0.9", **found}),
)
_of_zones = _spec(
    "MeshService",
    "of-zone",
    st.builds(
        lambda app, port: {
            "selector": {"dataplaneLabels": {"matchLabels": {"kuma.io/workload": app}}},
            "ports": [{"name": "first", "port": 80, "targetPort": port, "appProtocol": "http"}],
        },
        _services,
        st.sampled_from([9000, 9001, "main"]),
    ),
    labels=_zoned.map(lambda zone: {**zone, "of": "both"}),
)
_of_both = _spec(
    "MeshMultiZoneService",
    "of-both",
    st.sampled_from([{"of": "both"}, {"kuma.io/zone": "east"}]).map(
        lambda labels: {
            "selector": {"meshService": {"matchLabels": labels}},
            "ports": [{"name": "first", "port": 80, "appProtocol": "http"}],
        }
    ),
)
_at_the_door = _spec(
    "MeshTrafficPermission",
    "at-the-door",
    _services.map(
        lambda name: {
            "targetRef": {**_AT_THE_EGRESS, "sectionName": "ze"},
            "rules": [{"default": {"allow": [{"spiffeID": {"type": "Exact", "value": f"spiffe://default/{name}"}}]}}],
        }
    ),
)
_particular = _spec(
    "MeshTimeout",
    "particular",
    st.sampled_from(
        [
            {"kind": "Dataplane", "name": "proxy-0"},
            {"kind": "Dataplane", "labels": {"kuma.io/zone": "east"}},
            {"kind": "Dataplane", "labels": {"kuma.io/workload": "web"}},
            {"kind": "Dataplane", "labels": {"kuma.io/display-name": "many-1"}},
            _AT_THE_EGRESS,
            {"kind": "Mesh"},
        ]
    ).map(lambda top: {"targetRef": top, "to": [{"targetRef": {"kind": "Mesh"}, "default": {"idleTimeout": "8s"}}]}),
    labels=st.sampled_from([{}, {}, {"kuma.io/origin": "zone", "kuma.io/zone": "east"}]),
)
_naming = _spec(
    "MeshAccessLog",
    "naming",
    st.sampled_from(["/l", "/m"]).map(
        lambda path: {
            "to": [
                {
                    "targetRef": {"kind": "Mesh"},
                    "default": {"backends": [{"type": "File", "file": {"path": path, "format": _FORMAT}}]},
                }
            ]
        }
    ),
)
_elsewhere = st.builds(
    lambda kind, default: {
        "type": kind,
        "mesh": "other",
        "name": "elsewhere",
        "spec": {"to": [{"targetRef": {"kind": "Mesh"}, "default": default[kind]}]},
    },
    st.sampled_from(["MeshTimeout", "MeshRetry"]),
    st.just({"MeshTimeout": {"idleTimeout": "5s"}, "MeshRetry": {"tcp": {"maxConnectAttempt": 3}}}),
)
_spire = _spec(
    "MeshIdentity",
    "spire",
    st.sampled_from(["web", "api"]).map(
        lambda app: {
            "selector": {"dataplane": {"matchLabels": {"app": app}}},
            "spiffeID": {"trustDomain": "spire.mesh.local", "path": "/{{ .Mesh }}/sa"},
            "provider": {"type": "Spire", "spire": {}},
        }
    ),
)


ZONED: Mapping[str, st.SearchStrategy[Document]] = {
    "door": _doors,
    "of-zone": _of_zones,
    "of-both": _of_both,
    "at-the-door": _at_the_door,
    "particular": _particular,
    "naming": _naming,
    "elsewhere": _elsewhere,
    "spire": _spire,
    "west-address": _spec(
        "MeshZoneAddress",
        "west-1",
        st.sampled_from([30001, 30002]).map(lambda port: {"address": "203.0.113.5", "port": port}),
        labels=_zoned,
    ),
    "workload": _spec("Workload", "web", st.just({}), labels=st.sampled_from([{}, {"team": "one"}])),
    "container": st.sampled_from(["1", "2"]).map(
        lambda cpus: {
            "type": "ContainerPatch",
            "name": "big",
            "spec": {"sidecarPatch": [{"op": "replace", "path": "/resources/limits/cpu", "value": f'"{cpus}"'}]},
        }
    ),
    "global-secret": st.sampled_from([{}, {"team": "one"}]).map(
        lambda labels: {"type": "GlobalSecret", "name": "token", "labels": labels}
    ),
}
"""By the name of their file."""
