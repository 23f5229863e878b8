"""A page for each type of resource, made from its schema: `python -m tools.reference FOLDER [--check]`.

A field says `x-here` in its schema where this compiler does otherwise than Kuma; what is refused is told by the
compiler itself.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from compiler.resources.later import refused_fields
from compiler.resources.schema import find_schemas

INDEX: Final = "README.md"
_ENVELOPE: Final = frozenset(
    {"type", "mesh", "name", "labels", "creationTime", "modificationTime", "kri", "status", "apiVersion", "kind"}
)
_HEAD: Final = """\
# Resources

Made from the schemas by `make docs`. Where a field differs from Kuma's, it says so; what differs beyond fields is in
[compatibility](../compatibility.md).

| type | what it is | here |
|---|---|---|
"""
_WORKS: Final = "works"
_IDLE: Final = "without effect, and warned of"
IDLE_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("GlobalSecret", "MeshGatewayConfig", "Workload"), _IDLE),
    "MeshGatewayInstance": f"read by `meshwright inject`; in a mesh's repository {_IDLE}",
}
"""Types that no snapshot depends on, and what becomes of them."""
_REFUSED: Final = "refused: `not-supported-yet`"
_BOUNDS: Final = ("minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")

Schema = Mapping[str, Any]


class Field(NamedTuple):
    """One row: the path of a field, what it says, what it may be, and what becomes of it here."""

    path: str
    says: str
    shape: str
    here: str


def main(folder: str, *flags: str) -> int:
    """Write the pages and remove those of types that are gone; with `--check`, say what would be written."""
    pages = make_pages(read_schemas())
    target = Path(folder)
    stale = [path for path in sorted(target.glob("*.md")) if path.name not in pages]
    wrong = [name for name, text in pages.items() if _text(target / name) != text]
    if "--check" in flags:
        for name in (*wrong, *(path.name for path in stale)):
            print(f"{folder}/{name} is not what the schemas say: run `make docs`")
        return int(bool(wrong or stale))
    target.mkdir(parents=True, exist_ok=True)
    for name in wrong:
        (target / name).write_text(pages[name], encoding="utf-8")
    for path in stale:
        path.unlink()
    return 0


def read_schemas() -> Mapping[str, Schema]:
    return {path.name: json.loads(path.read_bytes()) for path in sorted(find_schemas().glob("*.json"))}


def make_pages(schemas: Mapping[str, Schema]) -> Mapping[str, str]:
    types = [name for name in schemas if name[:1].isupper()]
    pages = {f"{name.removesuffix('.json')}.md": _page(name, schemas) for name in types}
    return {INDEX: _index(schemas, types), **pages}


def _index(schemas: Mapping[str, Schema], types: list[str]) -> str:
    rows = []
    for name in types:
        kind = name.removesuffix(".json")
        state = IDLE_TYPES.get(kind, _WORKS)
        rows.append(f"| [{kind}]({kind}.md) | {_line(schemas[name]['description'])} | {state} |")
    return _HEAD + "\n".join(rows) + "\n"


def _page(name: str, schemas: Mapping[str, Schema]) -> str:
    kind, schema = name.removesuffix(".json"), schemas[name]
    forms = schema["definitions"]
    whole = forms.get("universal") or forms["kubernetes"]
    example = yaml.safe_dump(whole["examples"][0], sort_keys=False, width=100, default_flow_style=None)
    rows = [f"| `{field.path}` | {field.says} | {field.shape} | {field.here} |" for field in fields_of(name, schemas)]
    table = "| field | what it says | what it may be | here |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"# {kind}\n\n{_line(schema['description'])}\n\n```yaml\n{example}```\n\n{table}\n"


def fields_of(name: str, schemas: Mapping[str, Schema]) -> Iterator[Field]:
    """Every field of a type, by its path; entries of a list have `[]`, those of a free mapping `*`."""
    kind = name.removesuffix(".json")
    forms = schemas[name]["definitions"]
    whole = forms.get("universal") or forms["kubernetes"]
    refused = refused_fields(kind)
    for field in _fields(whole, name, schemas, "", {}):
        bare = field.path.removeprefix("spec.").replace("[]", ".*")
        hidden = any(bare == one or bare.startswith(f"{one}.") for one in refused)
        here = _REFUSED if hidden else IDLE_TYPES.get(kind, field.here)
        yield field._replace(here=here)


def _fields(
    schema: Schema, home: str, schemas: Mapping[str, Schema], path: str, told: dict[int, str]
) -> Iterator[Field]:
    """What is told already is not told again; `told` has the path of the field that it was told of."""
    schema, home = _resolve(schema, home, schemas)
    told.setdefault(id(schema), path)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _fields(part, home, schemas, path, told)
    for key, value in schema.get("properties", {}).items():
        if path or key not in _ENVELOPE:
            yield from _field(value, home, schemas, f"{path}.{key}" if path else key, told)
    if isinstance(schema.get("items"), dict):
        yield from _inside(schema["items"], home, schemas, f"{path}[]", told)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _inside(schema["additionalProperties"], home, schemas, f"{path}.*", told)


def _field(value: Schema, home: str, schemas: Mapping[str, Schema], path: str, told: dict[int, str]) -> Iterator[Field]:
    found, where = _resolve(value, home, schemas)
    says = _line(value.get("description") or found.get("description", ""))
    here = value.get("x-here") or found.get("x-here")
    earlier = told.get(id(found)) if "properties" in found else None
    shape = f"as `{earlier}`" if earlier else _shape(found, where, schemas)
    yield Field(path, says, shape, f"differs: {_line(here)}" if here else _WORKS)
    if earlier is None:
        yield from _fields(value, home, schemas, path, told)


def _inside(
    value: Schema, home: str, schemas: Mapping[str, Schema], path: str, told: dict[int, str]
) -> Iterator[Field]:
    found, _ = _resolve(value, home, schemas)
    if told.get(id(found), path) == path or "properties" not in found:
        yield from _fields(value, home, schemas, path, told)


def _resolve(schema: Schema, home: str, schemas: Mapping[str, Schema]) -> tuple[Schema, str]:
    """Where a reference leads, and the file that it is in."""
    while "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#")
        home = file or home
        schema = schemas[home]
        for step in pointer.split("/")[1:]:
            schema = schema[step]
    return schema, home


def _shape(schema: Schema, home: str, schemas: Mapping[str, Schema]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema or "oneOf" in schema:
        parts = (_resolve(part, home, schemas) for part in schema.get("anyOf") or schema["oneOf"])
        return " or ".join(dict.fromkeys(_shape(part, where, schemas) for part, where in parts))
    kind = schema.get("type", "any")
    kinds = " or ".join(kind) if isinstance(kind, list) else kind
    bounds = [f"{name} {schema[name]}" for name in _BOUNDS if name in schema]
    return f"{kinds} ({', '.join(bounds)})" if bounds else kinds


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
