"""Templates of names: what `checks/templates.py` accepts, filled in (kuma-core §2.8, §2.9)."""

import re
from collections.abc import Mapping
from typing import Final

_PART: Final = re.compile(r"\{\{-?\s*(?:\.(?P<word>\w+)|\w+\s+\"(?P<label>[^\"]*)\")(?P<more>[^{}]*?)\s*-?\}\}")
_REPLACE: Final = re.compile(r'\|\s*replace\s+"([^"]*)"\s+"([^"]*)"')


def fill_template(template: str, words: Mapping[str, str], labels: Mapping[str, str]) -> str | None:
    """The text with each part's value; None where a label or word that it asks for is missing."""
    missing: list[str] = []

    def value_of(found: re.Match[str]) -> str:
        word, label = found["word"], found["label"]
        value = words.get(word) if word is not None else labels.get(label or "")
        if value is None:
            missing.append(word or label)
            return ""
        for old, new in _REPLACE.findall(found["more"]):
            value = value.replace(old, new)
        return value

    filled = _PART.sub(value_of, template)
    return None if missing else filled
