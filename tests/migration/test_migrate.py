"""A repository in the older dialect, and the same in the newer one."""

import json
from itertools import product
from pathlib import Path
from textwrap import dedent

import pytest

from compiler.cli.exits import FINE, FOUND, USAGE
from compiler.cli.main import run
from compiler.migration.effect import compare
from compiler.migration.migrate import Migration, migrate, migrated_tree
from compiler.pipeline import Compiler
from compiler.resources.later import LEGACY_TYPES
from compiler.resources.settings import Settings
from tests.schematic import contents
from tests.trees import SCHEMAS, tree_of

MESH = """
type: Mesh
name: default
mtls: {enabledBackend: ca, backends: [{name: ca, type: builtin}]}
---
type: Dataplane
mesh: default
name: web-1
labels: {kuma.io/service: web}
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound: [{port: 9000, tags: {kuma.io/service: backend}}]
---
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 10.0.0.2
  inbound: [{port: 80, tags: {kuma.io/service: backend, kuma.io/protocol: http, version: v1}}]
"""
TIMEOUT = """
# slow, since March
type: Timeout
mesh: default
name: slow
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {connectTimeout: 3s, http: {requestTimeout: 7s}}
"""
LEGACY = f"""{TIMEOUT}---
type: TrafficPermission
mesh: default
name: web-to-backend
sources: [{{match: {{kuma.io/service: web}}}}]
destinations: [{{match: {{kuma.io/service: backend}}}}]
---
type: Retry
mesh: default
name: again
sources: [{{match: {{kuma.io/service: web}}}}]
destinations: [{{match: {{kuma.io/service: backend}}}}]
conf: {{http: {{numRetries: 3, retriableStatusCodes: [503]}}, tcp: {{maxConnectAttempts: 2}}}}
---
type: CircuitBreaker
mesh: default
name: breaker
sources: [{{match: {{kuma.io/service: web}}}}]
destinations: [{{match: {{kuma.io/service: '*'}}}}]
conf: {{detectors: {{totalErrors: {{consecutive: 3}}}}, thresholds: {{maxConnections: 7}}}}
---
type: TrafficRoute
mesh: default
name: canary
sources: [{{match: {{kuma.io/service: web}}}}]
destinations: [{{match: {{kuma.io/service: backend}}}}]
conf:
  http:
  - match: {{path: {{exact: /v1}}}}
    destination: {{kuma.io/service: backend, version: v1}}
  destination: {{kuma.io/service: backend}}
"""
NEWER = """type: MeshTimeout
mesh: default
name: both
spec:
  targetRef: {kind: MeshSubset, tags: {kuma.io/service: web}}
  from: [{targetRef: {kind: Mesh}, default: {idleTimeout: 3s}}]
  to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 4s}}]
"""
FOREIGN = "apiVersion: v1\nkind: ConfigMap   # not ours\ndata: {a:   b}\n"


def _migrate(files: dict[str, str]) -> Migration:
    return migrate(tree_of(files), Settings(), SCHEMAS)


def _after(files: dict[str, str]) -> dict[str, str]:
    return files | {change.path: change.after for change in _migrate(files).changes}


def _differing(policies: str, mesh: str = MESH) -> list[str]:
    return [one.message for one in _migrate({"mesh.yaml": mesh, "policies.yaml": policies}).differing]


def test_a_legacy_policy_that_gave_way_to_newer_ones_is_named() -> None:
    """Written they hold together: whom a permission for all lets in is let in."""
    [said] = _differing(LEGACY + "---\n" + NEWER)
    assert said.startswith("where newer ones such as MeshTimeout both hold it gives way")
    assert _differing(LEGACY) == []


@pytest.mark.parametrize(
    ("name", "skipped", "told"),
    [("zzz", "", True), ("aaa", "", False), ("zzz", "[MeshTimeout]", False), ("zzz", "['*']", False)],
)
def test_a_policy_for_everything_that_the_mesh_has_its_own_of_is_named(name: str, skipped: str, *, told: bool) -> None:
    everything = "[{match: {kuma.io/service: '*'}}]"
    policy = f"type: Timeout\nmesh: default\nname: {name}\nsources: {everything}\ndestinations: {everything}\n"
    mesh = "type: Mesh\nname: default\n" + (f"skipCreatingInitialPolicies: {skipped}\n" if skipped else "")
    found = _differing(policy + "conf: {connectTimeout: 3s}\n", mesh)
    assert [one.startswith("MeshTimeout mesh-timeout-all-default,") for one in found] == [True] * told


@pytest.mark.parametrize("text", [LEGACY, NEWER, LEGACY + "---\n" + NEWER.replace("service: web", "service: backend")])
def test_what_is_compiled_stays_the_same(text: str) -> None:
    tree = tree_of({"mesh.yaml": MESH, "policies.yaml": text})
    migration = migrate(tree, Settings(), SCHEMAS)
    assert [change.path for change in migration.changes] == ["policies.yaml"]
    effect = compare(tree, migrated_tree(tree, migration), SCHEMAS)
    assert (effect.errors, effect.differing) == ("", ())


def test_the_policies_have_an_effect_at_all() -> None:
    """Without it the test before this one would prove nothing."""
    before, after = (tree_of({"mesh.yaml": MESH, "policies.yaml": text}) for text in (LEGACY, "# none\n"))
    assert len(compare(before, after, SCHEMAS).differing) == 2


def test_a_second_migration_changes_nothing() -> None:
    files = {"mesh.yaml": MESH, "policies.yaml": LEGACY + "---\n" + NEWER}
    assert _migrate(_after(files)).changes == ()


def test_no_legacy_policy_is_left() -> None:
    after = _after({"mesh.yaml": MESH, "policies.yaml": LEGACY})["policies.yaml"]
    types = [line.partition(": ")[2] for line in after.splitlines() if line.startswith("type: ")]
    assert all(kind.startswith("Mesh") for kind in types)
    assert len(types) == 5


def test_what_is_not_concerned_keeps_every_byte() -> None:
    text = f"{FOREIGN}---\n{TIMEOUT.strip()}\n---   # last\n{FOREIGN}"
    [change] = _migrate({"mesh.yaml": MESH, "a.yaml": text}).changes
    assert change.after.startswith(f"{FOREIGN}---\n# slow, since March\ntype: MeshTimeout\n")
    assert change.after.endswith(f"---   # last\n{FOREIGN}")


def test_incoming_and_outgoing_traffic_are_two_policies_and_tags_are_labels_where_they_are_the_same() -> None:
    after = _after({"mesh.yaml": MESH, "a.yaml": NEWER})["a.yaml"]
    assert after.count("kind: Dataplane\n    labels:\n      kuma.io/service: web") == 2
    assert "name: both-inbound" in after
    assert "rules:" in after
    assert "from:" not in after


def test_tags_that_no_dataplane_has_as_labels_stay_and_are_named() -> None:
    files = {"mesh.yaml": MESH.replace("labels: {kuma.io/service: web}\n", ""), "a.yaml": NEWER}
    migration = _migrate(files)
    assert "kind: MeshSubset" in migration.changes[0].after
    assert any("no Dataplane has the labels" in remark.message for remark in migration.kept)


def test_what_cannot_be_said_stays_and_is_named_with_its_place() -> None:
    text = LEGACY.replace(
        "- match: {path: {exact: /v1}}",
        "- match: {path: {exact: /v1}, method: {prefix: P}}",
    )
    migration = _migrate({"mesh.yaml": MESH, "policies.yaml": text})
    assert "type: TrafficRoute" in migration.changes[0].after
    [named] = [remark for remark in migration.kept if "method" in remark.message]
    assert named.position.file == "policies.yaml"
    assert text.splitlines()[named.position.line - 1].strip().startswith("- match:")


def test_a_limit_that_is_compiled_and_cannot_be_written_stays_and_is_named() -> None:
    limit = "type: RateLimit\nmesh: default\nname: limit\nsources:\n- match: {kuma.io/service: web, version: v1}\n"
    limit += "destinations: [{match: {kuma.io/service: backend}}]\nconf: {http: {requests: 1, interval: 1m}}\n"
    migration = _migrate({"mesh.yaml": MESH, "limit.yaml": limit})
    assert migration.changes == ()
    [named] = [remark for remark in migration.kept if remark.position.file == "limit.yaml"]
    assert (named.position.line, "by their service alone" in named.message) == (5, True)
    [change] = _migrate({"mesh.yaml": MESH, "limit.yaml": limit.replace(", version: v1", "")}).changes
    assert "type: MeshRateLimit" in change.after


def test_a_log_is_written_with_the_backend_of_its_mesh() -> None:
    mesh = MESH.replace(
        "mtls:", "logging: {defaultBackend: f, backends: [{name: f, type: file, conf: {path: /tmp/a}}]}\nmtls:", 1
    )
    log = LEGACY.partition("---\n")[0].replace("type: Timeout", "type: TrafficLog").partition("conf:")[0]
    after = _after({"mesh.yaml": mesh, "a.yaml": log})["a.yaml"]
    assert "type: MeshAccessLog" in after
    assert "path: /tmp/a" in after


PERMISSION = """
type: MeshTrafficPermission
mesh: default
name: one
spec:
  from: [{targetRef: {kind: MeshService, name: web}, default: {action: ALLOWED}}]
"""


def test_permissions_become_rules_only_where_none_of_the_mesh_refuses() -> None:
    allowing, refusing = (PERMISSION.replace("ALLOWED", action) for action in ("Allow", "Deny"))
    assert "value: spiffe://default/web" in _after({"mesh.yaml": MESH, "a.yaml": allowing})["a.yaml"]
    files = {"mesh.yaml": MESH, "a.yaml": allowing, "b.yaml": refusing.replace("name: one", "name: two")}
    assert _migrate(files).changes == ()
    assert len(_migrate(files).kept) == 3


ADDING_UP = "of from the more specific policy decides, and rules add up: "
PASSED_OVER = "from is passed over where there are rules"
SHOWN = "rules tell callers by their certificates, and "
LEGACY_PERMISSION = LEGACY.split("---\n")[1].replace("web-to-backend", "old")


def _kept(*documents: str) -> list[str]:
    """Of the first document: why it stays `from`."""
    files = {f"{number}.yaml": document for number, document in enumerate(documents)}
    kept = _migrate({"mesh.yaml": MESH, **files}).kept
    return [one.message for one in kept if one.position.file == "0.yaml"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (PERMISSION.replace("ALLOWED", "Deny"), f"{ADDING_UP}MeshTrafficPermission two says Deny"),
        (
            PERMISSION.replace("ALLOWED", "AllowWithShadowDeny"),
            f"{ADDING_UP}MeshTrafficPermission two says AllowWithShadowDeny",
        ),
        (
            PERMISSION.replace("ALLOWED", "Allow").replace(
                "MeshService, name: web", "MeshSubset, tags: {kuma.io/service: web, version: v1, team: a}"
            ),
            f"{SHOWN}MeshTrafficPermission two tells them by team, version, which none shows",
        ),
        (
            PERMISSION.replace("ALLOWED", "Allow").replace("MeshService, name: web", "Mesh, proxyTypes: [Sidecar]"),
            f"{SHOWN}MeshTrafficPermission two tells them by proxyTypes, which none shows",
        ),
        (
            PERMISSION.replace("from: [{targetRef: {kind: MeshService, name: web}, ", "rules: [{").replace(
                "action: ALLOWED", "allow: [{spiffeID: {type: Exact, value: spiffe://default/web}}]"
            ),
            f"{PASSED_OVER}, as MeshTrafficPermission two has: as rules it would hold beside them",
        ),
        (LEGACY_PERMISSION, f"{ADDING_UP}TrafficPermission old refuses whom it does not name"),
        (
            LEGACY_PERMISSION.replace("service: web", "service: web, version: '*'"),
            "TrafficPermission old stays and is from, which is passed over where there are rules",
        ),
    ],
)
def test_why_a_permission_stays_names_the_one_in_its_way(other: str, reason: str) -> None:
    allowing = PERMISSION.replace("ALLOWED", "Allow")
    assert _kept(allowing, other.replace("name: one", "name: two")) == [reason]


def test_a_permission_that_is_in_its_own_way_is_named_itself() -> None:
    refusing = PERMISSION.replace("ALLOWED", "Deny")
    assert _kept(refusing, refusing.replace("name: one", "name: two")) == [
        f"{ADDING_UP}MeshTrafficPermission one says Deny"
    ]
    assert _kept(refusing.replace("name: one", "name: two"), refusing) == [
        f"{ADDING_UP}MeshTrafficPermission two says Deny"
    ]


TWO_IDLE = """type: Timeout
mesh: default
name: two
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf:
  tcp: {idleTimeout: 1h}
  http:
    requestTimeout: 1s
    idleTimeout: 2h
"""


def test_what_validate_finds_too_has_the_same_place() -> None:
    tree = tree_of({"mesh.yaml": MESH, "policies.yaml": TWO_IDLE})
    validated = {(one.message, one.position) for one in Compiler(SCHEMAS).compile(tree).diagnostics}
    remarks = {(one.message, one.position) for one in migrate(tree, Settings(), SCHEMAS).differing}
    assert remarks
    assert remarks <= validated


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yaml").write_text(dedent(MESH))
    (tmp_path / "policies.yaml").write_text(LEGACY)
    return tmp_path


def test_without_being_told_it_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", str(repository)]) == FINE
    shown = capsys.readouterr()
    assert "+type: MeshTimeout" in shown.out
    assert "stays the same, byte for byte" in shown.err
    assert (repository / "policies.yaml").read_text() == LEGACY


def test_check_fails_until_it_is_written(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "--check", str(repository)]) == FOUND
    assert run(["migrate", "--write", str(repository)]) == FINE
    assert run(["migrate", "--check", str(repository)]) == FINE
    assert "type: Timeout" not in (repository / "policies.yaml").read_text()
    assert sorted(path.name for path in repository.iterdir()) == ["mesh.yaml", "policies.yaml"]
    assert "Traceback" not in capsys.readouterr().err


FORMS = (".yaml", ".json")
EVERYTHING = """
type: Mesh
name: default
logging: {defaultBackend: f, backends: [{name: f, type: file, conf: {path: /tmp/log}}]}
tracing: {defaultBackend: d, backends: [{name: d, type: datadog, conf: {address: datadog, port: 8126}}]}
"""


@pytest.mark.parametrize(("kind", "ending"), list(product(sorted(LEGACY_TYPES), FORMS)))
def test_what_is_written_is_canonical(tmp_path: Path, kind: str, ending: str) -> None:
    example = contents(f"{kind}.json")["definitions"]["universal"]["examples"][0]
    for field, backend in (("TrafficLog", "f"), ("TrafficTrace", "d")):
        if kind == field:
            example = {**example, "conf": {"backend": backend}}
    above, file = "" if ending == ".json" else "# above\n", tmp_path / f"one{ending}"
    (tmp_path / "mesh.yaml").write_text(EVERYTHING)
    file.write_text(f"{above}{json.dumps(example)}\n")
    run(["fmt", str(tmp_path)])
    before = file.read_text()
    assert run(["migrate", "--write", str(tmp_path)]) == FINE
    assert file.read_text() != before
    assert file.read_text().startswith(above)
    assert run(["fmt", "--check", str(tmp_path)]) == FINE


def test_documents_around_a_written_one_stay_canonical(repository: Path) -> None:
    (repository / "policies.yaml").write_text(f"{LEGACY}---\n# foreign\n{FOREIGN}---\n{NEWER}")
    run(["fmt", str(repository)])
    assert run(["migrate", "--write", str(repository)]) == FINE
    assert run(["fmt", "--check", str(repository)]) == FINE
    assert "---\n# foreign\n" in (repository / "policies.yaml").read_text()


def test_write_and_check_exclude_each_other(repository: Path) -> None:
    assert run(["migrate", "--write", "--check", str(repository)]) == USAGE
