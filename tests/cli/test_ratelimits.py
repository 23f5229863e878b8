"""`meshwright inspect ratelimits`: the configuration of services of rate limits."""

from pathlib import Path

import pytest
import yaml

from compiler.cli.exits import FINE, FOUND
from compiler.cli.main import run
from tests.policies.harness import FOLDER

_LIMIT = """\
type: MeshGlobalRateLimit
mesh: default
name: limit
spec:
  targetRef: {kind: MeshService, name: frontend}
  from:
  - targetRef: {kind: Mesh}
    default:
      http: {requestRate: {num: 100, interval: 1s}}
      backend: {rateLimitService: {url: "http://10.9.9.9:8081"}}
"""
_EXPECTED = {
    "domain": "default",
    "descriptors": [
        {
            "key": "kuma.io/service",
            "value": "frontend",
            "descriptors": [
                {"key": "inbound", "value": "http", "rate_limit": {"unit": "second", "requests_per_unit": 100}}
            ],
        }
    ],
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "mesh.yaml").write_text((FOLDER / "plain" / "tags.yaml").read_text())
    (folder / "limit.yaml").write_text(_LIMIT)
    return folder


def test_the_configuration_of_every_domain_is_printed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "ratelimits", str(repository)]) == FINE
    assert yaml.safe_load(capsys.readouterr().out) == [_EXPECTED]


def test_each_domain_has_a_file_and_every_run_the_same_bytes(repository: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert run(["inspect", "ratelimits", str(repository), "--out", str(tmp_path / name)]) == FINE
    first, second = (tmp_path / name / "default.yaml" for name in ("first", "second"))
    assert yaml.safe_load(first.read_text()) == _EXPECTED
    assert first.read_bytes() == second.read_bytes()


def test_a_repository_with_mistakes_has_no_configuration(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "limit.yaml").write_text(_LIMIT.replace("interval: 1s", "interval: 2s"))
    assert run(["inspect", "ratelimits", str(repository)]) == FOUND
    assert "1s, 1m, 1h or 24h" in capsys.readouterr().out
