"""FaultInjection to MeshFaultInjection: callers are told by their certificates where those show what is asked."""

import re
from collections.abc import Mapping
from typing import Any, Final

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, unsayable
from compiler.resources.legacy.inbound import by_destination, by_tags, told_by_service
from compiler.resources.legacy.numbers import as_decimal
from compiler.resources.legacy.said import Said, given

_LIMIT: Final = re.compile("([0-9]+) ?([gmk]?)bps", re.IGNORECASE)
_UNITS: Final[Mapping[str, str]] = {"g": "Gbps", "m": "Mbps", "k": "kbps"}
_KILO: Final = 1000


def convert_fault_injection(legacy: Legacy, _: Surroundings) -> Conversion:
    """All faults of a policy act together, as before."""
    found: list[Finding] = []
    at, conf = join(legacy.pointer, "conf"), legacy.content["conf"]
    faults = given(
        {
            "delay": _fault(conf, at, "delay", "value"),
            "abort": _fault(conf, at, "abort", "httpStatus"),
            "responseBandwidth": _bandwidth(_fault(conf, at, "responseBandwidth", "limit"), found),
        }
    )
    write = by_destination if told_by_service(legacy) else by_tags
    return Conversion(write(legacy, "MeshFaultInjection", {"http": [Said(faults, at)]}, found), tuple(found))


def _fault(conf: Mapping[str, Any], at: str, name: str, field: str) -> Said | None:
    if name not in conf:
        return None
    fault, at = conf[name], join(at, name)
    percentage = Said(as_decimal(fault["percentage"]), join(at, "percentage"))
    return Said({"percentage": percentage, field: Said(fault[field], join(at, field))}, at)


def _bandwidth(fault: Said | None, found: list[Finding]) -> Said | None:
    """A newer policy's unit has its own case, and is kbps at least."""
    if fault is None:
        return None
    limit = fault.value["limit"]
    amount, unit = _LIMIT.fullmatch(limit.value).groups()  # type: ignore[union-attr]  # the schema's own pattern
    if unit:
        return fault.with_value(fault.value | {"limit": limit.with_value(f"{amount}{_UNITS[unit.lower()]}")})
    if int(amount) % _KILO:
        found.append(unsayable(limit.pointer, "a MeshFaultInjection counts in kbps", "write it in kbps"))
    return fault.with_value(fault.value | {"limit": limit.with_value(f"{int(amount) // _KILO}kbps")})
