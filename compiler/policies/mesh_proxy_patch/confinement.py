"""What no proxy patch may reach unless the repository says so: files and sockets of the host, Envoy's admin, code."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.diagnostics import Code, Severity

REACHES_OUT: Final = Code(
    "patch-reaches-out",
    Severity.ERROR,
    "a proxy patch that reaches beyond the proxy",
    "Files, environment variables and sockets of the host, Envoy's admin interface, and code that Envoy would run "
    "(Lua, Wasm, Go, dynamic modules) are out of reach of whoever may write a proxy patch. A repository that wants "
    "them allows it by this code's severity.",
)

_FIELDS: Final[Mapping[str, str]] = {
    "filename": "a file of the proxy's host",
    "watcheddirectory": "a folder of the proxy's host",
    "environmentvariable": "an environment variable of the proxy",
    "pipe": "a socket of the proxy's host",
}
_TYPES: Final[Mapping[str, str]] = {
    ".lua.": "Lua code",
    ".wasm.": "Wasm code",
    ".golang.": "Go code",
    ".dynamic_modules.": "a dynamic module",
    ".exec.": "a command of the proxy's host",
}
_ADMIN_PORT: Final = 9901
_ADMIN: Final = f"Envoy's admin interface (port {_ADMIN_PORT} of the loopback)"
_LOOPBACK: Final = ("127.", "::1", "localhost")


def reaches(plain: Any) -> Iterator[str]:
    """What a value would reach, in words; names in either of the forms of protobuf's JSON."""
    if isinstance(plain, list):
        for one in plain:
            yield from reaches(one)
    if not isinstance(plain, Mapping):
        return
    if _is_admin(plain):
        yield _ADMIN
    for name, value in plain.items():
        if value and _field(name) in _FIELDS:
            yield _FIELDS[_field(name)]
        if name in ("@type", "type_url", "typeUrl") and isinstance(value, str):
            yield from (meaning for word, meaning in _TYPES.items() if word in value)
        yield from reaches(value)


def reached_by_path(path: str, value: Any) -> Iterator[str]:
    """What a JSON patch would reach: every step of its path may be the field that does; a port may come by itself."""
    steps = path.split("/")[1:]
    if value == _ADMIN_PORT and steps and _field(steps[-1]) == "portvalue":
        yield _ADMIN
    for step in reversed(steps):
        value = {step: value}
    yield from reaches(value)


def _field(name: object) -> str:
    return str(name).replace("_", "").lower()


def _is_admin(plain: Mapping[str, Any]) -> bool:
    address, port = plain.get("address"), plain.get("portValue", plain.get("port_value"))
    return isinstance(address, str) and address.startswith(_LOOPBACK) and port == _ADMIN_PORT
