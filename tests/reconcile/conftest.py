"""Repositories, daemons and proxies that are gone when a test ends."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.reconcile.daemon import Daemon, Repository, options_for
from tests.reconcile.proxy import Proxy


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def start(repository: Repository, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    with ExitStack() as stack:

        def begin(**changed: object) -> Daemon:
            places = {"repo": str(repository.path), "data": str(tmp_path / "data")}
            wanted = {**places, **changed}
            daemon = Daemon(options_for(str(wanted.pop("repo")), Path(str(wanted.pop("data"))), **wanted))
            stack.callback(daemon.kill)
            return daemon

        yield begin


@pytest.fixture
def connect() -> Iterator[Callable[..., Proxy]]:
    with ExitStack() as stack:

        def begin(daemon: Daemon, node: str, refuses: frozenset[str] = frozenset()) -> Proxy:
            proxy = Proxy(daemon.where["xds"], node, refuses)
            stack.callback(proxy.close)
            return proxy

        yield begin
