"""Metrics of the 2.x form: what a proxy offers to Prometheus (kuma-core §2.1)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.checks.expressions import check_expression
from compiler.resources.checks.lists import repeated, without_effect
from compiler.resources.findings import EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join

_MUTUAL: Final = "activeMTLSBackend"
_MODES: Final[Mapping[bool, str]] = {True: "disabled", False: _MUTUAL}
"""What `skipMTLS` says, in the words of `tls.mode`."""


def check_prometheus(conf: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Of a Mesh's backend, or of the Dataplane that has its own."""
    if "skipMTLS" in conf and "tls" in conf and conf["tls"].get("mode", _MUTUAL) != _MODES[conf["skipMTLS"]]:
        message = "skipMTLS and tls differ: tls is the newer form"
        yield Finding(pointer, EXCLUSIVE_FIELDS, message, "keep tls", on_key=True)
    yield from without_effect(conf, pointer, ("tags",))
    applications = conf.get("aggregate", ())
    yield from repeated([one["name"] for one in applications], join(pointer, "aggregate"), "name", "name")
    for index, one in enumerate(applications):
        if one.get("enabled", True) and not one.get("port"):
            at = join(pointer, "aggregate", index)
            yield Finding(at, MISSING_FIELD, f"metrics of {one['name']!r} need a port", "add port")
    yield from check_expression(conf.get("envoy", {}).get("filterRegex", ""), join(pointer, "envoy", "filterRegex"))
