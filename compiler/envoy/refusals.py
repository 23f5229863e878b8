"""What a proxy answers in place of the workload: statuses and headers that Envoy is able to give."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy.type.v3.http_status_pb2 import StatusCode

from compiler.diagnostics import Severity
from compiler.envoy.log_format import format_problems
from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, NO_EFFECT, Finding, join

TOO_MANY: Final = 429
_FIRST_ERROR: Final = 400


def limit_status(status: int) -> int:
    """Beyond a limit Envoy answers errors only: it makes 429 of anything below 400."""
    return status if status >= _FIRST_ERROR else TOO_MANY


def check_refusal(written: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    """What is answered beyond a limit: `status` and `headers`."""
    status, at = written.get("status", TOO_MANY), join(pointer, "status")
    if status < _FIRST_ERROR:
        yield Finding(at, NO_EFFECT, f"Envoy answers {TOO_MANY} in place of what is no error", "400 or more")
    else:
        yield from check_status(status, at)
    headers = written.get("headers") or {}
    for part in ("set", "add"):
        yield from _check_headers(headers.get(part) or (), join(pointer, "headers", part))
    yield from _check_overwritten(headers.get("set") or (), join(pointer, "headers", "set"))


def check_status(status: int, pointer: str) -> Iterator[Finding]:
    """Envoy refuses a number that its API has no word for."""
    if status not in StatusCode.values():
        yield Finding(pointer, BAD_VALUE, f"Envoy cannot answer {status}", "a status that HTTP defines, such as 403")


def _check_headers(headers: Any, pointer: str) -> Iterator[Finding]:
    """A value may hold commands, as those of logs do."""
    for index, header in enumerate(headers):
        if header["name"] == "host":
            yield Finding(join(pointer, index, "name"), BAD_VALUE, "the header host may not be changed")
        for _, sentence in format_problems(header["value"], extended=False):
            yield Finding(join(pointer, index, "value"), BAD_VALUE, f"the value {sentence}")


def _check_overwritten(headers: Any, pointer: str) -> Iterator[Finding]:
    names = [header["name"] for header in headers]
    for index, name in enumerate(names):
        if name in names[index + 1 :]:
            message = f"the header {name!r} is set again below: the last value counts"
            yield Finding(join(pointer, index, "name"), DUPLICATE_NAME, message, severity=Severity.WARNING)
