"""Documents and their findings, as tests write and read them."""

from collections.abc import Mapping
from functools import cache
from textwrap import dedent
from typing import Any

from compiler.diagnostics import Checked, Diagnostic
from compiler.resources.resource_set import ResourceSet
from compiler.resources.schema import Schemas
from compiler.resources.validate import validate
from compiler.source.document import Document
from compiler.source.parse import parse_file

MESH = """
type: Mesh
name: default
"""


@cache
def schemas() -> Schemas:
    return Schemas.load()


def documents(text: str, file: str = "mesh.yaml") -> tuple[Document, ...]:
    parsed = parse_file(file, str(hash(text)), dedent(text).encode())
    assert not parsed.failed, parsed.diagnostics
    return parsed.value


def check(text: str) -> Checked[ResourceSet]:
    """Of documents as written, without a Mesh of their own."""
    return validate(documents(text), schemas())


def findings(text: str) -> list[tuple[str, str]]:
    """Code and path of all that is wrong with documents of the mesh `default`."""
    return [(str(found.code), found.path) for found in diagnostics(text)]


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    return validate((*documents(MESH, "default.yaml"), *documents(text)), schemas()).diagnostics


def the_only(text: str) -> Diagnostic:
    [found] = diagnostics(text)
    return found


def policy(kind: str, spec: str) -> str:
    """A policy of mesh `default` with this spec, which is written without indentation."""
    lines = "".join(f"  {line}\n" for line in dedent(spec).strip().splitlines())
    return f"type: {kind}\nmesh: default\nname: p\nspec:\n{lines}"


def dataplane(networking: str) -> str:
    lines = "".join(f"  {line}\n" for line in dedent(networking).strip().splitlines())
    return f"type: Dataplane\nmesh: default\nname: d\nnetworking:\n{lines}"


def accepted(kind: str, value: Mapping[str, Any]) -> bool:
    """The verdict of both validators, which are the same."""
    fast, slow = schemas().accepts(kind, value), not schemas().explain(kind, value)
    assert fast is slow
    return fast


def mistakes(text: str) -> list[tuple[str, str]]:
    """Code and path of all that is wrong with documents of the mesh `default`, but for what comes later."""
    return [(code, path) for code, path in findings(text) if code != "not-supported-yet"]
