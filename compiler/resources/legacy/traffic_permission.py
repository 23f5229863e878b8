"""TrafficPermission to MeshTrafficPermission.

The permission for an inbound is the most specific one alone, so one that names its callers says no to all others: the
newer policies are merged, and without that whom a wider permission allows would be let in. That is why this is written
as `from`, of which the more specific policy decides, and not as `rules`, which add up; and tags that are no service are
in no SPIFFE ID.
"""

from typing import Any

from compiler.resources.findings import Finding
from compiler.resources.legacy.conversion import Conversion, Legacy, Policy, Surroundings, number
from compiler.resources.legacy.said import Said
from compiler.resources.legacy.selectors import read_proxies

_ALLOW = {"action": "Allow"}
_DENY = {"action": "Deny"}
_EVERYBODY = {"kind": "Mesh"}


def convert_traffic_permission(legacy: Legacy, _: Surroundings) -> Conversion:
    """One policy for each group of inbounds; a destination's tags are those of an inbound."""
    found: list[Finding] = []
    callers = read_proxies(legacy, "sources", found)
    entries: list[Any] = [{"targetRef": caller, "default": _ALLOW} for caller in callers]
    if not any(caller.value == _EVERYBODY for caller in callers):
        entries.insert(0, {"targetRef": _EVERYBODY, "default": _DENY})
    sources = Said(entries, f"{legacy.pointer}/sources")
    inbounds = read_proxies(legacy, "destinations", found)
    policies = [Policy("MeshTrafficPermission", {"targetRef": inbound, "from": sources}) for inbound in inbounds]
    return Conversion(number(policies), tuple(found))
