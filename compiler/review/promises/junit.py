"""Results as JUnit XML, which every CI system shows beside the change."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from compiler.review.promises.checks import Result, count_failed

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no form for."""


def as_junit(results: Sequence[Result]) -> str:
    """One suite a file; a promise that is broken is a failure, with its counter-example as text."""
    root = ET.Element("testsuites", {"name": "meshwright", **_counts(results)})
    for file in sorted({result.file for result in results}):
        found = [result for result in results if result.file == file]
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), **_counts(found)})
        for result in found:
            _add_case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Iterable[Result]) -> dict[str, str]:
    found = list(results)
    skipped = sum(result.skipped for result in found)
    return {"tests": str(len(found)), "failures": str(count_failed(found)), "errors": "0", "skipped": str(skipped)}


def _add_case(suite: ET.Element, result: Result) -> None:
    file = _clean(result.file)
    names = {"name": _clean(result.name), "classname": file, "file": file, "line": str(result.line)}
    case = ET.SubElement(suite, "testcase", names)
    if result.skipped:
        ET.SubElement(case, "skipped", {"message": _clean(result.message)})
    if result.failed:
        failure = ET.SubElement(case, "failure", {"type": result.kind.value, "message": _clean(result.message)})
        failure.text = _clean("\n".join((f"{result.file}:{result.line}: {result.message}", *result.detail)))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
