"""The names of services for what runs beside Envoy (docs/dataplane-run.md): a document on a socket of the proxy's own.

It comes by a route, so that a new service changes no listener.
"""

import json
from collections.abc import Sequence
from typing import Final

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from compiler.envoy.told import document_listener, document_routes
from compiler.mesh.proxy import NameRecord

NAME: Final = "system_dynamicconfig_dns"
SOCKET: Final = "dns.sock"
_PATH: Final = "/dns"
_TTL_SECONDS: Final = 30


def names_listener() -> Listener:
    return document_listener(NAME, SOCKET)


def names_routes(records: Sequence[NameRecord]) -> RouteConfiguration:
    return document_routes(NAME, _PATH, _document(records))


def _document(records: Sequence[NameRecord]) -> str:
    entries = [{"name": record.name, "ips": [record.address]} for record in records]
    return json.dumps({"schemaVersion": 1, "records": entries, "ttl": _TTL_SECONDS}, separators=(",", ":"))
