"""The acceptance corpus where it is at hand: its cases, and its own comparison of meanings."""

import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
PROFILE = "2.14"


def cases(*families: str) -> Iterator[Any]:
    """As parameters of a test; none where the corpus is not at hand."""
    for family in families:
        manifest = CORPUS / family / "manifest.json"
        for case in json.loads(manifest.read_text())["cases"] if manifest.exists() else ():
            if PROFILE in case["versions"] and case["tier"] in "AB":
                yield pytest.param(case["dir"], id=case["dir"])


def expected(case: str) -> Any:
    return json.loads((CORPUS / case / "expected.json").read_text())


def texts(case: str, folder: str = "input") -> dict[str, str]:
    """By file name."""
    return {path.name: path.read_text() for path in sorted((CORPUS / case / folder).glob("*.yaml"))}


@cache
def runner() -> ModuleType:
    """The corpus' own comparison of meanings."""
    spec = importlib.util.spec_from_file_location("corpus_run_rules", CORPUS / "run_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
