"""Metrics of the 2.x form: what a proxy offers to Prometheus (kuma-core §2.1)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.checks.expressions import check_expression
from compiler.resources.checks.lists import repeated, without_effect
from compiler.resources.findings import EXCLUSIVE_FIELDS, MISSING_FIELD, NOT_SUPPORTED_YET, Finding, join

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


def check_scraping(conf: Mapping[str, Any], pointer: str, *, secured: bool) -> Iterator[Finding]:
    """Who scrapes would need a certificate of the mesh: Kuma gives one to a Prometheus with a proxy of its own.

    Without mutual TLS there is none to ask for.
    """
    wanted = conf.get("tls", {}).get("mode", "" if conf.get("skipMTLS") else _MUTUAL)
    if wanted == _MUTUAL and secured:
        at = next((join(pointer, name) for name in ("tls", "skipMTLS") if name in conf), pointer)
        message = "metrics cannot be scraped by the mesh's mutual TLS"
        yield Finding(at, NOT_SUPPORTED_YET, message, "set tls.mode: providedTLS, or disabled", on_key=True)
