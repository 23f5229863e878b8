"""A shop with five Envoys and a gateway with four, of each version; each test that shares them finds them as new."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.edge import Edge, open_edge
from tests.e2e.processes import Serve, find_envoys, refusals
from tests.e2e.shop import Shop, open_shop

VERSIONS = ("1.37", "1.40")
Record = Callable[[str, float], None]


def require_envoy(version: str) -> Path:
    binary = find_envoys().get(version)
    if binary is None:
        pytest.skip(f"NO ENVOY {version}: what this test shows is not shown here; `make test` installs both")
    return binary


def by_version(name: str) -> list[object]:
    """Parameters for what is done with both; all that is done with one stays in one process of a parallel run."""
    return [pytest.param(version, marks=pytest.mark.xdist_group(f"{name}-{version}")) for version in VERSIONS]


@pytest.fixture(params=by_version("envoy"))
def envoy_binary(request: pytest.FixtureRequest) -> Path:
    return require_envoy(request.param)


@pytest.fixture(scope="session", params=by_version("shop"))
def open_for_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    binary = require_envoy(request.param)
    folder = tmp_path_factory.mktemp("shop")
    with open_shop(folder) as shop:
        shop.start_envoys(binary, folder)
        yield shop


@pytest.fixture
def shop(open_for_all: Shop) -> Iterator[Shop]:
    """After the test: nothing was refused, nothing crashed, and nothing is sent while nothing happens."""
    open_for_all.reset()
    yield open_for_all
    require_peace(open_for_all.serve)


@pytest.fixture(scope="session", params=by_version("edge"))
def edge_for_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with open_edge(tmp_path_factory.mktemp("edge"), require_envoy(request.param)) as edge:
        yield edge


@pytest.fixture
def edge(edge_for_all: Edge) -> Iterator[Edge]:
    edge_for_all.reset()
    yield edge_for_all
    require_peace(edge_for_all.serve)


@pytest.fixture
def record(record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]) -> Record:
    """A measured number, in the output and in the JUnit report."""

    def note(name: str, value: float) -> None:
        record_property(name, round(value, 1))
        with capsys.disabled():
            sys.stderr.write(f"\n    measured: {name}: {value:,.1f}\n")

    return note


def require_peace(serve: Serve) -> None:
    """What must hold after every end-to-end test."""
    odd = [line for line in serve.log if line["event"] in {"text", "bug", "died"} or "exception" in line]
    assert not odd
    assert not refusals(serve.status()["proxies"])
