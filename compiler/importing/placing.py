"""In which file each resource goes: by mesh and type, one file a resource or one file a type."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Any, Final

from compiler.importing.layout import Layout
from compiler.importing.writing import LARGEST_FILE, size_of
from compiler.resources.envelope import read_envelope

ROOT: Final = "mesh"
"""The folder of `init`'s layout that holds what belongs to no team."""

_UNSAFE: Final = re.compile(r"[^a-z0-9._-]")
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
"""What no file of Windows can be called, whatever its ending."""
_LONGEST_NAME: Final = 200

Typed = tuple[str, Mapping[str, Any]]
"""A document with its type."""


def place(values: Sequence[Typed], layout: Layout) -> Mapping[str, Sequence[Typed]]:
    """Files by path, whatever the order of the stream: names that would share a file are told apart by number.

    A type that no file holds has one for each resource, whatever the layout: a resource never moves between parts.
    """
    ordered = sorted(values, key=lambda one: (_folder(*one), _name(*one), str(read_envelope(*one).key)))
    together = _fitting(ordered) if layout is Layout.TYPE else frozenset()
    files: dict[str, list[Typed]] = {}
    taken: set[str] = set()
    for kind, value in ordered:
        if _folder(kind, value) in together:
            files.setdefault(f"{_folder(kind, value)}.yaml", []).append((kind, value))
        else:
            path = _free(f"{_folder(kind, value)}/{_name(kind, value)}", taken)
            taken.add(path.lower())
            files[f"{path}.yaml"] = [(kind, value)]
    return files


def _fitting(values: Iterable[Typed]) -> frozenset[str]:
    """Folders whose resources are small enough together for one file."""
    sizes: Counter[str] = Counter()
    for kind, value in values:
        sizes[_folder(kind, value)] += size_of(value) + len("---\n")
    return frozenset(folder for folder, size in sizes.items() if size <= LARGEST_FILE)


def _free(path: str, taken: Iterable[str]) -> str:
    """On a Mac two names that differ in case only are one file."""
    numbered = chain((path,), (f"{path}-{number}" for number in count(2)))
    return next(one for one in numbered if one.lower() not in taken)


def _folder(kind: str, value: Mapping[str, Any]) -> str:
    """A Mesh stands among what is in it."""
    envelope = read_envelope(kind, value)
    mesh = envelope.name if kind == "Mesh" else envelope.mesh
    return "/".join((ROOT, *((_safe(mesh),) if mesh else ()), _safe(kind, keep_case=True)))


def _name(kind: str, value: Mapping[str, Any]) -> str:
    """A namespace other than the system's tells apart what else has one name."""
    envelope = read_envelope(kind, value)
    apart = envelope.namespace and not envelope.is_of_system and envelope.kubernetes
    return _safe(f"{envelope.name}.{envelope.namespace}" if apart else envelope.name)


def _safe(name: str, *, keep_case: bool = False) -> str:
    """Never hidden, never above its folder; what it cannot hold becomes `_`."""
    plain = name if keep_case else name.lower()
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "_", plain) if keep_case else _UNSAFE.sub("_", plain)
    name = cleaned.lstrip(".")[:_LONGEST_NAME] or "_"
    return f"_{name}" if _DEVICES.fullmatch(name) else name
