"""A page for each diagnostic code, made from where it is declared: `python -m tools.codes FOLDER [--check]`."""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from types import ModuleType
from typing import Final

import compiler
from compiler.diagnostics import Code, Severity

INDEX: Final = "README.md"
_BEFORE_SETTINGS: Final = "compiler/source/tree.py"
_FIXED: Final = "It is found before `meshwright.yaml` is read, and cannot be changed there."
_CHANGING: Final = """\
In `meshwright.yaml`, at the root of the mesh repository (`error`, `warning` or `off`):

```yaml
severity:
  {word}: {other}
```"""
_OTHERS: Final = {Severity.ERROR: "warning", Severity.WARNING: "error", Severity.OFF: "warning"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A code and where it is declared; `file` is below the root of the project."""

    code: Code
    file: str
    name: str


class Misdeclared(Exception):
    """A code that nobody could document; the message says which and why."""


def main(folder: str, *flags: str) -> int:
    """Write the pages and remove those of codes that are gone; with `--check`, say what would be written."""
    try:
        pages = write_pages(declared_codes())
    except Misdeclared as wrong:
        print(wrong)
        return 1
    return _check(Path(folder), pages) if "--check" in flags else _write(Path(folder), pages)


def declared_codes() -> tuple[Declaration, ...]:
    """Every code of the compiler, by its word; raises Misdeclared for two of one word."""
    found = sorted(chain.from_iterable(map(_codes_of, _modules())), key=lambda one: (one.code.word, one.file))
    refuse_duplicates(found)
    return tuple(found)


def refuse_duplicates(declarations: Iterable[Declaration]) -> None:
    """The declarations come sorted by word."""
    for one, other in pairwise(declarations):
        if one.code.word == other.code.word:
            raise Misdeclared(f"{other.file}: {other.name}: {one.code.word!r} is declared in {one.file} already")


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.walk_packages(compiler.__path__, "compiler."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def _codes_of(module: ModuleType) -> Iterator[Declaration]:
    file = Path(str(module.__file__))
    place = file.relative_to(Path(compiler.__path__[0]).parent).as_posix()
    for constant in declarations_in(file.read_text(encoding="utf-8"), place):
        yield Declaration(getattr(module, constant), place, constant)


def declarations_in(text: str, place: str) -> tuple[str, ...]:
    """The constants that hold codes; raises Misdeclared where one is made elsewhere than in a constant of a module."""
    tree = ast.parse(text)
    named = {_constant(statement): statement for statement in tree.body if _constant(statement)}
    made = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.expr) and _makes_code(node)]
    if len(made) != len(named):
        raise Misdeclared(f"{place}: a code is a constant of its module (made in lines {', '.join(map(str, made))})")
    return tuple(named)


def _constant(statement: ast.stmt) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if _makes_code(value):
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as value) if _makes_code(value):
            return name
    return ""


def _makes_code(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="Code") | ast.Attribute(attr="Code")):
            return True
    return False


def write_pages(declarations: Iterable[Declaration]) -> Mapping[str, str]:
    """Texts by file name, with an index."""
    known = tuple(declarations)
    pages = {f"{one.code.word}.md": page_of(one) for one in known}
    return {INDEX: _index(known), **pages}


def page_of(declaration: Declaration) -> str:
    code, place = declaration.code, declaration.file
    weight = _FIXED if place == _BEFORE_SETTINGS else _CHANGING.format(word=code.word, other=_OTHERS[code.severity])
    return f"""\
<!-- Made by `make docs` from {place}; change it there. -->
# `{code.word}`

**{code.severity.value}**: {code.summary}.

{code.explanation}

## Its severity

{weight}

Declared in [`{place}`](../../{place}) as `{declaration.name}`. [All codes](README.md)
"""


def _index(declarations: Iterable[Declaration]) -> str:
    rows = (_row(one.code) for one in declarations)
    return "\n".join(
        (
            "<!-- Made by `make docs`; each line comes from the module that declares the code. -->",
            "# Diagnostic codes",
            "",
            "What `meshwright validate` prints in brackets. A word keeps its meaning for ever; how much it weighs is a",
            "repository's own choice, in `meshwright.yaml`.",
            "",
            "| code | severity | what it says |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _row(code: Code) -> str:
    summary = code.summary.replace("|", "\\|")
    return f"| [`{code.word}`]({code.word}.md) | {code.severity.value} | {summary} |"


def _write(folder: Path, pages: Mapping[str, str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for path in _surplus(folder, pages):
        path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{folder}: {len(pages) - 1} codes")
    return 0


def _check(folder: Path, pages: Mapping[str, str]) -> int:
    stale = [folder / name for name, text in pages.items() if not _holds(folder / name, text)]
    wrong = sorted({*stale, *_surplus(folder, pages)})
    for path in wrong:
        print(f"{path}: is not what the code declares; run `make docs`")
    return 1 if wrong else 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _surplus(folder: Path, pages: Mapping[str, str]) -> list[Path]:
    return [path for path in folder.glob("*.md") if path.name not in pages]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
