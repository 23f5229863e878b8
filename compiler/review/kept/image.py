"""A compiler as bytes: all that it knows of the tree that it compiled last, so that another process goes on from there.

What is in it are values of the core, which does nothing but compute; no text of a document and no secret. Reading one
makes nothing but such values, whatever the bytes are. Every line of text, and every policy, is looked up anew.
"""

import copyreg
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, Protocol

from compiler.diagnostics import Code
from compiler.envoy.policy import Policy
from compiler.memo import Input, Memo, Query, Table
from compiler.mesh.checks.between import FINDINGS
from compiler.mesh.order import Origin
from compiler.mesh.policy import PolicyKind
from compiler.mesh.shape import Shape
from compiler.pipeline import Compiler
from compiler.policies import POLICIES
from compiler.resources.envelope import Envelope
from compiler.resources.findings import SECRET_IN_GIT, Finding
from compiler.resources.judge import Verdict
from compiler.resources.model import Policy as PolicySpec
from compiler.resources.page import Page
from compiler.resources.resource_set import Placement, Source
from compiler.review.access.edge import Edge
from compiler.snapshot.canonical import Rendered
from compiler.snapshot.files import Blob, Files
from compiler.snapshot.references import Links
from compiler.snapshot.snapshot import Snapshot
from compiler.source.document import Passage
from compiler.source.places import Place, Places
from compiler.source.tree import SourceTree

__all__ = ["SecretError", "UnreadableImageError", "read_image", "write_image"]

Reduced = tuple[Callable[..., object], tuple[object, ...]]


class UnreadableImageError(ValueError):
    """Bytes that are no image, or one of another program."""


class SecretError(ValueError):
    """What is to be written holds a secret."""


class _Written(Protocol):
    def write(self, content: bytes, /) -> object: ...


class _Read(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


def write_image(compiler: Compiler, find: Callable[[], object], file: _Written) -> None:
    """Of a compiler that compiled one tree, and that without an error; `find` is asked what else was made of it.

    Raises `SecretError` where a document holds a secret, whatever the repository says of such a mistake.
    """
    remembered = compiler.remembered()
    if any(finding.code == SECRET_IN_GIT for finding in _findings(remembered["pages"], compiler.memo)):
        raise SecretError("a document holds a secret")
    writer = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
    writer.dispatch_table = {**copyreg.dispatch_table, **_REDUCED}
    writer.dump(dict(remembered))
    writer.dump(find())


def _findings(pages: Iterable[Page], memo: Memo) -> Iterator[Finding]:
    """As they were found, before anybody weighs them; what a policy holds its own kind knows."""
    for page in pages:
        for _, verdict in page.documents:
            yield from verdict.findings
            for resource, _ in verdict.resources:
                if isinstance(resource.spec, PolicySpec):
                    yield from memo.ask(FINDINGS, resource.key)


def read_image(file: _Read, tree: SourceTree, like: Compiler) -> tuple[Compiler, Any]:
    """What was written: the compiler of that tree, set up as the other one, and what else was made of it.

    Raises `UnreadableImageError`.
    """
    compiler = Compiler(like.schemas, toolchain=like.toolchain, processes=like.processes, zone=like.zone)
    try:
        reader = _Reader(file, tree)
        remembered, found = reader.load(), reader.load()
        compiler.recall(remembered, tree, _tables())
    except (*_MISREAD, pickle.UnpicklingError) as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
    return compiler, found


_MISREAD: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a reader of pickles raises for bytes that are none, as its documentation warns."""


def _tables() -> Mapping[str, Table]:
    """Every table that a memo may hold, by name."""
    return {one.name: one for one in _constants() if isinstance(one, Input | Query)}


def _codes() -> Mapping[str, Code]:
    """Every code that a diagnostic may have, by its word."""
    return {one.word: one for one in _constants() if isinstance(one, Code)}


def _constants() -> Iterator[object]:
    """Those of all modules: whatever reaches a compiler is imported with it."""
    modules = [module for name, module in sys.modules.items() if name.startswith("compiler.")]
    return (one for module in modules for one in vars(module).values())


class _LaterPlaces(Places):
    """The places of a file whose text is read when somebody asks."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    @cached_property
    def documents(self) -> tuple[Place, ...]:
        return Places(self._read()).documents


class _Reader(pickle.Unpickler):
    """Makes values of the core, and of Python the few that hold nothing but other values."""

    def __init__(self, file: _Read, tree: SourceTree) -> None:
        super().__init__(file)
        self._tree = tree
        self._files = {file.blob: file for file in tree.files}
        self._places: dict[str, Places] = {}
        tables = _tables()
        finders: Mapping[type, Callable[..., object]] = {
            Passage: self._passage,
            PolicyKind: {policy.kind.type: policy.kind for policy in POLICIES}.__getitem__,
            Policy: {policy.kind.type: policy for policy in POLICIES}.__getitem__,
            Code: _codes().__getitem__,
            Input: tables.__getitem__,
            Query: tables.__getitem__,
        }
        self._finders = {(kind.__module__, kind.__qualname__): find for kind, find in finders.items()}

    def find_class(self, module: str, name: str) -> Any:
        """What tells one of these by its name stands for its type: the tree and this program have it already."""
        if (module, name) in self._finders:
            return self._finders[module, name]
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.startswith(_CORE) and "." not in name else None
        if not isinstance(found, type):
            raise UnreadableImageError(f"{module}.{name} is no value of the core")
        return found

    def _passage(self, file: str, blob: str, index: int) -> Passage:
        if blob not in self._places:
            source = self._files[blob]
            self._places[blob] = _LaterPlaces(lambda: self._tree.read(source))
        return Passage(file, blob, index, self._places[blob])


_PLAIN: Final = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("array", "_array_reconstructor"),
        ("array", "array"),
        ("compiler.review.access.edge", "Edge"),
        ("compiler.review.access.reaching", "Access"),
    }
)
_CORE: Final = (
    "compiler.diagnostics",
    "compiler.resources.",
    "compiler.mesh.",
    "compiler.envoy.",
    "compiler.policies.",
    "compiler.memo",
    "compiler.snapshot.",
)


def _without_text(passage: Passage) -> Reduced:
    return Passage, (passage.file, passage.blob, passage.index)


def _as_it_is(verdict: Verdict) -> Reduced:
    """What the one resource of a set stands for is in the memo too, and must be the very same."""
    return Verdict, (verdict.envelope, verdict.resources, verdict.findings)


def _calling(kind: type) -> Callable[[Any], Reduced]:
    """As a call, which is several times as quick as what dataclasses do to be pickled."""
    of = attrgetter(*(one.name for one in fields(kind)))
    return lambda value: (kind, of(value))


_NUMEROUS: Final = (
    Blob,
    Edge,
    Envelope,
    Links,
    Origin,
    Page,
    Placement,
    Rendered,
    Shape,
    Snapshot,
    Source,
)
_REDUCED: Final[Mapping[type, Callable[[Any], Reduced]]] = {
    Passage: _without_text,
    Verdict: _as_it_is,
    PolicyKind: lambda kind: (PolicyKind, (kind.type,)),
    Policy: lambda policy: (Policy, (policy.kind.type,)),
    Code: lambda code: (Code, (code.word,)),
    Input: lambda table: (Input, (table.name,)),
    Query: lambda table: (Query, (table.name,)),
    Files: lambda _: (Files, ()),
    **{kind: _calling(kind) for kind in _NUMEROUS},
}
