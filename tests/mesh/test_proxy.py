"""The IR stands by itself: what a proxy holds is defined below it."""

from typing import get_type_hints

from compiler.mesh.gateways.front import GatewayListener
from compiler.mesh.proxy import Proxy
from compiler.mesh.zones.passing import ZoneGate


def test_everything_that_a_proxy_holds_is_known_where_the_proxy_is() -> None:
    """No import is for the type checker alone, so no two modules need each other."""
    hints = get_type_hints(Proxy)
    assert (hints["gateway"], hints["gates"]) == (tuple[GatewayListener, ...], tuple[ZoneGate, ...])
