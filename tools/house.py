"""The rules of this house that no other checker knows: `python -m tools.house`."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final

from compiler.policies import POLICIES

LONGEST_MODULE: Final = 500
LONGEST_FUNCTION: Final = 60
MOST_PUBLIC_NAMES: Final = 8

VAGUE: Final = frozenset(
    {"context", "data", "handler", "handlers", "helper", "helpers", "info", "manager", "processor", "util", "utils"}
)
"""Words in names of modules that do not say what is inside."""

SHORT: Final = frozenset({"cfg", "dp", "res"})
"""Abbreviations that stand for configuration, dataplane and resource or result."""

_MACHINE: Final = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|Users/\w+)/")
_EXCUSE: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<codes>\S*[^#]*)(?P<reason>#.*\w)?")
_JUDGED: Final = ("compiler/", "tools/", "benchmarks/")


@dataclass(frozen=True, slots=True, order=True)
class Breach:
    """A place where a rule does not hold; line 0 is the whole file."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"


@dataclass(frozen=True)
class Module:
    """One Python file; `path` is below the root, with slashes."""

    path: str
    text: str

    @cached_property
    def lines(self) -> Sequence[str]:
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        return tuple(ast.walk(ast.parse(self.text, self.path)))

    @property
    def is_judged(self) -> bool:
        """Ours to read; tests are freer."""
        return self.path.startswith(_JUDGED)


def main(root: str = ".") -> int:
    """1 where any rule is broken, each breach on a line of its own."""
    breaches = sorted(judge(read_files(Path(root)), [policy.kind.type for policy in POLICIES]))
    for breach in breaches:
        print(breach)
    print(f"house rules: {len(breaches)} broken" if breaches else "house rules: all kept")
    return 1 if breaches else 0


def read_files(root: Path) -> Mapping[str, str]:
    """All text that is in the repository, or would be after `git add`; a container's other owner is no obstacle."""
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: text for name in sorted(set(listed.split("\0"))) if (text := _read(root / name)) is not None}


def _read(path: Path) -> str | None:
    """None for what is no text, and for what was removed and not yet committed so."""
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except UnicodeDecodeError:
        return None


def judge(files: Mapping[str, str], policies: Sequence[str]) -> Iterator[Breach]:
    """All rules over all files; `policies` are the types that are compiled in."""
    modules = [Module(path, text) for path, text in files.items() if path.endswith(".py")]
    yield from chain.from_iterable(rule(module) for module in modules for rule in RULES)
    yield from chain.from_iterable(check_machine_paths(path, text) for path, text in files.items())
    yield from check_policies(files, policies)


def check_length(module: Module) -> Iterator[Breach]:
    """A module that outgrows its limit holds two."""
    if len(module.lines) > LONGEST_MODULE:
        yield Breach(module.path, 0, f"{len(module.lines)} lines; a module has at most {LONGEST_MODULE}")


def check_functions(module: Module) -> Iterator[Breach]:
    """Decorators and docstring count."""
    for function in _functions(module):
        first = min((one.lineno for one in function.decorator_list), default=function.lineno)
        length = (function.end_lineno or first) - first + 1
        if length > LONGEST_FUNCTION:
            sentence = f"{function.name} has {length} lines; a function has at most {LONGEST_FUNCTION}"
            yield Breach(module.path, function.lineno, sentence)


def check_opening(module: Module) -> Iterator[Breach]:
    """A listing of first lines is the map of a folder; tests are sentences by themselves."""
    is_test = PurePosixPath(module.path).name.startswith("test_")
    if module.text and not is_test and ast.get_docstring(ast.parse(module.text)) is None:
        yield Breach(module.path, 1, "the first line says what the module is for")


def check_words(module: Module) -> Iterator[Breach]:
    """A module is called after what is in it; nothing is abbreviated but the fields of Kuma's own documents."""
    stem = PurePosixPath(module.path).stem
    for word in sorted(VAGUE & set(stem.split("_"))):
        yield Breach(module.path, 0, f"{word!r} says nothing: name the module after what is in it")
    for line, name in _names(module):
        for word in sorted(SHORT & set(name.lower().split("_"))):
            yield Breach(module.path, line, f"{name}: {word!r} is written out here")


def check_excuses(module: Module) -> Iterator[Breach]:
    """Whoever silences a checker says which rule, and why; tests are not typed, and their names are sentences."""
    if not module.is_judged:
        return
    for number, line in enumerate(module.lines, 1):
        found = _EXCUSE.search(line)
        if found and not (found["codes"].strip() and found["reason"]):
            yield Breach(module.path, number, "a silenced rule has its code and, after another #, a reason")


def check_public_names(module: Module) -> Iterator[Breach]:
    """The package's front door stays small; ruff's RUF022 keeps every `__all__` sorted."""
    if module.path != "compiler/__init__.py":
        return
    names = [element for node in module.nodes if _is_all(node) for element in node.value.elts]  # type: ignore[attr-defined]  # _is_all says so
    if not names:
        yield Breach(module.path, 1, "the public names are listed in __all__")
    if len(names) > MOST_PUBLIC_NAMES:
        yield Breach(module.path, 1, f"{len(names)} public names; there are at most {MOST_PUBLIC_NAMES}")


def check_machine_paths(path: str, text: str) -> Iterator[Breach]:
    """What is written for everybody names no folder of one machine."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MACHINE.search(line):
            yield Breach(path, number, f"{found[0]} is a folder of somebody's machine")


def check_policies(files: Mapping[str, str], policies: Iterable[str]) -> Iterator[Breach]:
    """A policy is a module, a schema, a line in POLICIES, and cases; none of the four stands alone."""
    known = {word_of(type_): type_ for type_ in policies}
    for word, type_ in known.items():
        wanted = (_module_of(word, files), f"schemas/{type_}.json", f"tests/policies/cases/{word}.yaml")
        for path in wanted:
            if not files.get(path, "").strip():
                yield Breach(path, 0, f"{type_} is a policy and needs this file")
    for path in files:
        word = _policy_of(path)
        if word and word not in known:
            yield Breach(path, 0, "no policy of this name stands in POLICIES")


def word_of(type_: str) -> str:
    """`MeshHTTPRoute` is `mesh_http_route`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type_).lower()


def _module_of(word: str, files: Mapping[str, str]) -> str:
    """One that outgrew its file is a folder."""
    folder = f"compiler/policies/{word}/__init__.py"
    return folder if folder in files else f"compiler/policies/{word}.py"


def _policy_of(path: str) -> str:
    """The policy that a file belongs to by its place; "" for any other file."""
    found = re.match(r"compiler/policies/(mesh_\w+)(?:\.py|/)|tests/policies/cases/(\w+)\.yaml", path)
    return (found[1] or found[2]) if found else ""


def _functions(module: Module) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _names(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name


def _is_all(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple()):
            return True
    return False


RULES: Final[Sequence[Callable[[Module], Iterator[Breach]]]] = (
    check_length,
    check_functions,
    check_opening,
    check_words,
    check_excuses,
    check_public_names,
)

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
