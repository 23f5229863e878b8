"""The server over each of its transports, one after the other."""

from typing import Any

from compiler.xds.server import XdsServer
from compiler.xds.sources import ConfigSource
from compiler.xds.transports import TRANSPORTS

chosen = next(iter(TRANSPORTS))
"""What the fixture `carried` sets for a test."""


def make_server(source: ConfigSource, **settings: Any) -> XdsServer:
    return XdsServer(source, carry=TRANSPORTS[chosen], **settings)
