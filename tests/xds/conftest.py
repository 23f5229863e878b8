"""Tests that speak to the server over a socket run over each transport."""

import pytest

from compiler.xds.transports import TRANSPORTS
from tests.xds import carrying


@pytest.fixture(params=TRANSPORTS)
def carried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(carrying, "chosen", request.param)
    return str(request.param)
