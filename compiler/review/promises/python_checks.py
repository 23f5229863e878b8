"""Invariants in Python: functions `test_…(mesh)` of `invariants/*.py`, over envoy-data-plane's dataclasses.

They are the repository's own tests, and run as tests do: with all that Python may. Whoever runs them trusts them. What
they print goes to stderr, for stdout is the report.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any, Final

from compiler.envoy.resources import ResourceType
from compiler.review.access.edge import Edge
from compiler.review.promises.checks import Kind, Result
from compiler.review.promises.judging import Mesh
from compiler.snapshot import typed
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.snapshot import Snapshot

FOLDER: Final = "invariants/"
_SUFFIX: Final = ".py"
_SKIPPED: Final = frozenset({"Skipped", "SkipTest"})
"""What `pytest.skip` and `unittest` raise, told by name: neither is needed to run a check."""


@dataclass(frozen=True)
class Proxy:
    """One proxy's snapshot; resources are dataclasses by name, decoded when they are first looked at."""

    node: str
    _snapshot: Snapshot = field(repr=False)
    _decoded: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def mesh(self) -> str:
        return self._snapshot.node.mesh

    @property
    def zone(self) -> str:
        return self._snapshot.node.zone

    @property
    def service(self) -> str:
        return self._snapshot.node.workload

    @property
    def listeners(self) -> Mapping[str, Any]:
        return self._of(ResourceType.LISTENER)

    @property
    def routes(self) -> Mapping[str, Any]:
        return self._of(ResourceType.ROUTE)

    @property
    def clusters(self) -> Mapping[str, Any]:
        return self._of(ResourceType.CLUSTER)

    @property
    def endpoints(self) -> Mapping[str, Any]:
        return self._of(ResourceType.ENDPOINT)

    @property
    def extensions(self) -> Mapping[str, Any]:
        return self._of(ResourceType.EXTENSION)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names; what they stand for is in no snapshot."""
        return tuple(one.name for one in self._snapshot.secrets)

    def _of(self, kind: ResourceType) -> Mapping[str, Any]:
        return {name: self._decode(one) for name, one in self._snapshot.resources.get(kind, {}).items()}

    def _decode(self, rendered: Rendered) -> Any:
        """Proxies share what they have in common."""
        if rendered.version not in self._decoded:
            self._decoded[rendered.version] = typed.load(rendered)
        return self._decoded[rendered.version]


@dataclass(frozen=True)
class View:
    """What a check is handed: every proxy, and who may call whom."""

    _mesh: Mesh = field(repr=False)

    @cached_property
    def proxies(self) -> tuple[Proxy, ...]:
        decoded: dict[str, Any] = {}
        return tuple(Proxy(node, one, decoded) for node, one in sorted(self._mesh.snapshots.items()))

    @property
    def edges(self) -> tuple[Edge, ...]:
        return self._mesh.edges

    @staticmethod
    def unpack(packed: Any) -> Any:
        """What an Any holds: a filter's or a transport socket's own configuration."""
        return typed.unpack(packed)


def run_checks(sources: Mapping[str, str], mesh: Mesh) -> tuple[Result, ...]:
    """One result for each function, in the order of files and lines; a file that cannot be run is one that failed."""
    view = View(mesh)
    with redirect_stdout(sys.stderr):
        return tuple(result for file, text in sorted(sources.items()) for result in _run_file(file, text, view))


def _run_file(file: str, text: str, view: View) -> Iterator[Result]:
    space: dict[str, Any] = {"__name__": file.removesuffix(_SUFFIX).replace("/", "."), "__file__": file}
    before = sys.dont_write_bytecode
    try:
        sys.dont_write_bytecode = True
        exec(compile(text, file, "exec"), space)  # noqa: S102  # the repository's own test, which somebody asked to run
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever it raises, an exit too, the other files are run
        yield _ended(file, file, 1, error, text)
        return
    finally:
        sys.dont_write_bytecode = before
    for name, check in [*space.items()]:
        if name.startswith("test_") and callable(check) and getattr(check, "__module__", "") == space["__name__"]:
            yield _run(file, name, check, view, text)


def _run(file: str, name: str, check: Callable[[View], object], view: View, text: str) -> Result:
    line = check.__code__.co_firstlineno if hasattr(check, "__code__") else 1
    title = name.removeprefix("test_").replace("_", " ")
    if iscoroutinefunction(check):
        return _failed(title, file, line, TypeError("a check is a plain function: nobody awaits this one"), text)
    try:
        check(view)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a check fails by what it raises; an exit ends no more than it
        return _ended(title, file, line, error, text)
    return Result(title, file, line, passed=True, kind=Kind.INVARIANT)


def _ended(name: str, file: str, line: int, error: BaseException, text: str) -> Result:
    if type(error).__name__ in _SKIPPED:
        return Result(name, file, line, passed=False, message=str(error), kind=Kind.INVARIANT, skipped=True)
    return _failed(name, file, line, error, text)


def _failed(name: str, file: str, line: int, error: BaseException, text: str) -> Result:
    """At the check's own line that failed, with what stands there."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = frames[-1].lineno if frames and frames[-1].lineno else getattr(error, "lineno", None) or line
    lines = text.splitlines()
    written = lines[place - 1].strip() if place <= len(lines) else ""
    message = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    detail = (f"{file}:{place}: {written}",) if written else ()
    return Result(name, file, line, passed=False, message=message or written, detail=detail, kind=Kind.INVARIANT)
