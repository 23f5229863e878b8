"""What a collector must hold beyond its schema (kuma-core §2.10)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.diagnostics import Code, Severity
from compiler.resources.checks.addresses import check_address
from compiler.resources.findings import EXCLUSIVE_FIELDS, NO_EFFECT, Finding, join

UNVERIFIED: Final = Code(
    "unverified-peer",
    Severity.WARNING,
    "TLS to a server whose certificate nobody checks",
    "The connection is encrypted, but a commit does not know which authorities a proxy trusts, so whoever answers at "
    "the address is believed. Send to a collector beside the proxy, or through a service of the mesh.",
)
_TLS_PORT: Final = 443


def check_backend(backend: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """Only http has paths, and nothing of a workload's environment counts."""
    endpoint, at = backend.get("endpoint", {}), join(pointer, "endpoint")
    yield from check_address(endpoint.get("address", ""), join(at, "address"))
    if backend.get("protocol", "grpc") == "grpc" and endpoint.get("path"):
        message = "path goes with protocol http only"
        yield Finding(join(at, "path"), EXCLUSIVE_FIELDS, message, "take it out", on_key=True)
    if backend.get("protocol") == "http" and endpoint.get("port") == _TLS_PORT:
        yield Finding(join(at, "port"), UNVERIFIED, "by http on port 443 TLS is spoken, to whoever answers")
    yield from _check_environment(backend.get("env", {}), join(pointer, "env"))


def _check_environment(environment: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """A commit alone decides where spans, logs and metrics go."""
    mode = environment.get("mode", "Optional")
    if mode == "Required":
        message = "no variable of a workload is looked at, and nothing else may count: nothing is sent to this backend"
        yield Finding(join(pointer, "mode"), NO_EFFECT, message, "write endpoint, and mode Disabled")
    elif environment and mode != "Disabled":
        message = "no variable of a workload is looked at: a commit alone says where the collector is"
        yield Finding(pointer, NO_EFFECT, message, "write mode Disabled, or take env out", on_key=True)
