"""Headers to be set, added and removed, in the one form that the newer policies have for them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler.resources.findings import Finding
from compiler.resources.legacy.conversion import unsayable
from compiler.resources.legacy.said import Said, given

_MOST: Final = 16
_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]{1,256}")


@dataclass(frozen=True, slots=True)
class Header:
    """One header; `append` adds its value to what is there."""

    name: str
    value: str
    append: bool
    pointer: str

    @property
    def said(self) -> Said:
        return Said({"name": self.name.lower(), "value": self.value}, self.pointer)


def modify_headers(
    headers: Sequence[Header], removed: Sequence[Said], pointer: str, found: list[Finding]
) -> Said | None:
    """None where nothing is to be done; names are told apart without regard to case."""
    counts = Counter([header.name.lower() for header in headers] + [name.value.lower() for name in removed])
    for name, count in counts.items():
        if count > 1:
            found.append(unsayable(pointer, f"a newer policy can change {name} in one way only, not in {count}"))
        if not _NAME.fullmatch(name):
            found.append(unsayable(pointer, f"{name[:64]!r} is not the name of a header"))
    lists: dict[str, list[Any]] = {
        "set": [header.said for header in headers if not header.append],
        "add": [header.said for header in headers if header.append],
        "remove": [name.with_value(name.value.lower()) for name in removed],
    }
    if any(len(entries) > _MOST for entries in lists.values()):
        found.append(unsayable(pointer, f"a newer policy sets, adds or removes {_MOST} headers at most"))
    parts = given({name: entries or None for name, entries in lists.items()})
    return Said(parts, pointer) if parts else None
