"""A small shop in files, edits of it, and their plan."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from compiler.diagnostics import Checked
from compiler.pipeline import Compiler
from compiler.resources.schema import find_schemas
from compiler.review.changes.plan_json import render_json
from compiler.review.changes.planning import NO_TREE, make_plan
from compiler.review.plan import Group, Plan
from compiler.review.versions import Versions
from tests.trees import SCHEMAS, tree_of

Files = Mapping[str, str]

MTLS = "mtls:\n  enabledBackend: ca\n  backends:\n  - {name: ca, type: builtin}\n"
MESH = f"type: Mesh\nname: shop\n{MTLS}"
DEFAULTS = """\
type: MeshTimeout
mesh: shop
name: defaults
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default:
      connectionTimeout: 2s
      http: {requestTimeout: 10s}
---
type: MeshCircuitBreaker
mesh: shop
name: defaults
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {connectionLimits: {maxConnections: 512}}
"""
PERMISSIONS = """\
# Who may call the backend.
type: MeshTrafficPermission
mesh: shop
name: backend
spec:
  targetRef: {kind: Dataplane, labels: {app: backend}}
  rules:
  - default:
      allow:
      - spiffeID: {type: Exact, value: spiffe://shop/web}
"""
RETRY = """\
type: MeshRetry
mesh: shop
name: backend
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: backend}
    default: {http: {numRetries: 2}}
"""


def service(name: str, replicas: int, calls: str = "", place: int = 1, protocol: str = "http") -> str:
    """A DataplaneSet whose replicas are 127.1.<place>.1 and on, and which calls these services."""
    outbound = "".join(
        f"      - {{address: 127.9.9.9, port: {10001 + at},"
        f" backendRef: {{kind: MeshService, name: {one}, port: 8080}}}}\n"
        for at, one in enumerate(calls.split())
    )
    instances = "".join(
        f"  - {{name: '{one}', address: 127.1.{place}.{one}, zone: {'east' if one % 2 else 'west'}}}\n"
        for one in range(1, replicas + 1)
    )
    return (
        f"type: DataplaneSet\nmesh: shop\nname: {name}\nlabels: {{app: {name}}}\nspec:\n  template:\n    networking:\n"
        f"      inbound:\n      - {{port: 8080, tags: {{kuma.io/service: {name}, kuma.io/protocol: {protocol}}}}}\n"
        + (f"      outbound:\n{outbound}" if outbound else "")
        + f"  instances:\n{instances}"
    )


SHOP: Files = {
    "mesh.yaml": MESH,
    "zones.yaml": "type: Zone\nname: east\n---\ntype: Zone\nname: west\n",
    "defaults.yaml": DEFAULTS,
    "permissions.yaml": PERMISSIONS,
    "retry.yaml": RETRY,
    "teams/backend.yaml": service("backend", 3, place=1),
    "teams/web.yaml": service("web", 4, "backend", place=2),
    "teams/batch.yaml": service("batch", 1, "backend", place=3),
}


def edited(*edits: tuple[str, str, str], base: Files = SHOP) -> Files:
    """Each edit: a file, what stands in it, and what is to stand there."""
    files = dict(base)
    for path, old, new in edits:
        assert old in files[path], (path, old)
        files[path] = files[path].replace(old, new, 1)
    return files


FASTER = ("defaults.yaml", "requestTimeout: 10s", "requestTimeout: 5s")


def plan_of(head: Files, base: Files | None = SHOP) -> Plan:
    """Every plan that a test makes is of the published shape too."""
    before = NO_TREE if base is None else Checked(tree_of(base))
    made = make_plan(Versions(Compiler(SCHEMAS)), before, Checked(tree_of(head)), "main", "working tree")
    validator().validate(json.loads(render_json(made)))
    return made


@cache
def validator() -> Any:
    return jsonschema_rs.Draft7Validator(json.loads((find_schemas() / "plan.json").read_text()))


def titles(made: Plan) -> list[str]:
    return [one.title for one in made.groups]


def only(made: Plan) -> Group:
    (one,) = made.groups
    return one


def codes(made: Plan) -> set[str]:
    return {risk.code for risk in made.risks}


def behind(one: Group) -> list[str]:
    """Where the causes of a group stand."""
    return [f"{cause.file}:{cause.line}" for cause in one.causes]
