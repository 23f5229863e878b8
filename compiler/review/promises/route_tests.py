"""Route tests as a repository keeps them: documents under `tests/`, no part of the mesh (docs/route-tests.md)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from compiler.diagnostics import Checked, Diagnostic, Position, sort_diagnostics
from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, EXCLUSIVE_FIELDS, Finding, join
from compiler.resources.page import diagnose
from compiler.resources.schema import Schemas
from compiler.resources.settings import read_settings
from compiler.resources.values import Duration
from compiler.review.promises.routing.answer import Headers, is_own
from compiler.source.document import Document
from compiler.source.parse import parse
from compiler.source.tree import SourceTree

FOLDER: Final = "tests/"
_SCHEMA: Final = "route-tests"
_NANOSECONDS: Final = 10**9
Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the workload sends; `host` is empty where the test leaves it to the service's name."""

    to: str
    port: int | str | None = None
    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Share:
    """One place of a split."""

    weight: int
    service: str | None = None
    tags: Tags = ()
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of a request; what is None, or empty, is not checked. `timeout` is in seconds."""

    service: str | None = None
    tags: Tags = ()
    status: int | None = None
    denied: bool | None = None
    path: str | None = None
    host: str | None = None
    request_headers: Headers = ()
    without_request_headers: tuple[str, ...] = ()
    response_headers: Headers = ()
    without_response_headers: tuple[str, ...] = ()
    location: str | None = None
    timeout: float | None = None
    retries: int | None = None
    identity: str | None = None
    split: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteTest:
    """One test, and where each part of it was written."""

    name: str
    caller: str
    sent: Sent
    expected: Expected
    document: Document
    pointer: str
    answer_status: int = 200
    answer_headers: Headers = ()

    def position(self, *path: str) -> Position:
        return self.document.position(join(self.pointer, *path))


def read_route_tests(tree: SourceTree, schemas: Schemas) -> Checked[tuple[RouteTest, ...]]:
    """All tests of a tree in the order of their files. `paths` of meshwright.yaml is about the mesh; `ignore` holds.

    A document with a `type` is the mesh's, wherever it stands.
    """
    settings = read_settings(tree, schemas).value
    ignoring = replace(settings, paths=())
    files = tuple(file for file in tree.files if file.path.startswith(FOLDER) and ignoring.covers(file.path))
    parsed = parse(replace(tree, files=files, root=None))
    found = list(parsed.diagnostics)
    tests: list[RouteTest] = []
    for document in parsed.value:
        if not {"type", "apiVersion"} & document.value.keys():
            mistakes = tuple(_check(document, schemas))
            found += [diagnose(document, one, None) for one in mistakes]
            tests += [] if mistakes else _decode(document)
    return Checked(tuple(tests), sort_diagnostics((*found, *_twice(tests))))


def _check(document: Document, schemas: Schemas) -> Sequence[Finding]:
    if not schemas.accepts(_SCHEMA, document.value):
        return schemas.explain(_SCHEMA, document.value)
    tests: Any = document.value["tests"]
    return [finding for index, test in enumerate(tests) for finding in _check_test(test, join("/tests", index))]


def _check_test(test: Mapping[str, Any], pointer: str) -> Iterator[Finding]:
    expect = test["expect"]
    for name in ("requestHeaders", "withoutRequestHeaders", "responseHeaders", "withoutResponseHeaders"):
        for header in expect.get(name, ()):
            if is_own(header):
                message = f"every Envoy sets {header} by itself"
                yield Finding(join(pointer, "expect", name), BAD_VALUE, message, "a test cannot be about it")
    for name in test["request"].get("headers", ()):
        if is_own(name):
            hint = "give it as `host`" if name == "host" else "the engines send it by themselves"
            yield Finding(join(pointer, "request", "headers", name), BAD_VALUE, f"{name} cannot be sent", hint)
    for name in ("service", "tags", "status"):
        if "split" in expect and name in expect:
            message = f"{name} and split both say where requests go"
            hint = f"say {name} in each entry of split"
            yield Finding(join(pointer, "expect", name), EXCLUSIVE_FIELDS, message, hint, on_key=True)
    if "split" in expect and not any(one["weight"] for one in expect["split"]):
        yield Finding(join(pointer, "expect", "split"), BAD_VALUE, "all weights are 0", "give one of them a weight")


def _twice(tests: Sequence[RouteTest]) -> Iterator[Diagnostic]:
    """Reports tell tests apart by their names."""
    first: dict[str, RouteTest] = {}
    for test in tests:
        other = first.setdefault(test.name, test)
        if other is not test:
            message = f"a test of this name stands at {other.position('name')}"
            yield Diagnostic(test.position("name"), DUPLICATE_NAME, message, "say what is different here")


def _decode(document: Document) -> list[RouteTest]:
    tests: Any = document.value["tests"]
    return [_decode_test(document, join("/tests", index), test) for index, test in enumerate(tests)]


def _decode_test(document: Document, pointer: str, test: Mapping[str, Any]) -> RouteTest:
    request, answer = test["request"], test.get("answer", {})
    sent = Sent(
        to=request["to"],
        port=request.get("port"),
        method=request.get("method", "GET"),
        path=request.get("path", "/"),
        host=request.get("host", ""),
        headers=_headers(request.get("headers")),
    )
    return RouteTest(
        name=test["name"],
        caller=test["from"],
        sent=sent,
        expected=_expected(test["expect"]),
        document=document,
        pointer=pointer,
        answer_status=answer.get("status", 200),
        answer_headers=_headers(answer.get("headers")),
    )


def _expected(expect: Mapping[str, Any]) -> Expected:
    timeout = expect.get("timeout")
    return Expected(
        service=expect.get("service"),
        tags=_pairs(expect.get("tags")),
        status=expect.get("status"),
        denied=expect.get("denied"),
        path=expect.get("path"),
        host=expect.get("host"),
        request_headers=_headers(expect.get("requestHeaders")),
        without_request_headers=tuple(expect.get("withoutRequestHeaders", ())),
        response_headers=_headers(expect.get("responseHeaders")),
        without_response_headers=tuple(expect.get("withoutResponseHeaders", ())),
        location=expect.get("location"),
        timeout=Duration.parse(timeout) / _NANOSECONDS if timeout is not None else None,
        retries=expect.get("retries"),
        identity=expect.get("identity"),
        split=tuple(_share(one) for one in expect.get("split", ())),
    )


def _share(share: Mapping[str, Any]) -> Share:
    return Share(share["weight"], share.get("service"), _pairs(share.get("tags")), share.get("status"))


def _pairs(mapping: Mapping[str, str] | None) -> Tags:
    return tuple(sorted(mapping.items())) if mapping else ()


def _headers(mapping: Mapping[str, str] | None) -> Headers:
    return tuple(mapping.items()) if mapping else ()
