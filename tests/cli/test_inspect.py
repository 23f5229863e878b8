"""`meshwright inspect`: proxies, policies and services by name."""

import json
from pathlib import Path

import pytest

from tests.cli.command import meshwright, refuses, repository

MESH = """\
type: Mesh
name: default
---
type: Dataplane
mesh: default
name: web
networking:
  address: 10.0.0.1
  inbound: [{port: 80, tags: {kuma.io/service: frontend}}]
---
type: MeshTimeout
mesh: default
name: slow
spec: {to: [{targetRef: {kind: Mesh}, default: {idleTimeout: 9s}}]}
---
type: MeshRetry
mesh: default
name: slow
spec: {to: [{targetRef: {kind: Mesh}, default: {tcp: {maxConnectAttempt: 2}}}]}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("inspected") / "mesh", {"mesh.yaml": MESH})


def test_a_proxys_layout_is_printed(mesh: Path) -> None:
    shown = json.loads(meshwright("inspect", "dataplane", "web", mesh, "--type", "layout").stdout)
    assert [one["port"] for one in shown["inbounds"]] == [80]


def test_a_policy_is_named_with_its_type_where_two_have_the_name(mesh: Path) -> None:
    refuses(meshwright("inspect", "policy", "slow", mesh), 1, "name its type")
    shown = json.loads(meshwright("inspect", "policy", "MeshRetry/slow", mesh).stdout)
    assert [one["name"] for one in shown["dataplanes"]["items"]] == ["web"]


def test_a_service_that_only_a_dataplane_offers_is_shown(mesh: Path) -> None:
    done = meshwright("inspect", "service", "frontend", mesh, "--output", "yaml")
    assert "total: 1" in done.stdout, done.stderr


def test_a_name_with_a_slip_is_guessed(mesh: Path) -> None:
    refuses(meshwright("inspect", "service", "frontent", mesh), 1, "frontend")
