"""JUnit XML that every reader takes."""

from xml.etree import ElementTree as ET

from compiler.review.promises.checks import Kind, Result
from compiler.review.promises.junit import as_junit

KEPT = Result("it holds", "tests/a.yaml", 3, passed=True)
BROKEN = Result(
    "it <does> not", "tests/b.yaml", 7, False, "expected a & b", ("request: \x1b[31m", "came: ü"), Kind.INVARIANT
)


def test_each_file_is_a_suite_and_each_promise_a_case() -> None:
    root = ET.fromstring(as_junit((BROKEN, KEPT, KEPT)))
    assert root.attrib == {"name": "meshwright", "tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("tests/a.yaml", "2", "0"),
        ("tests/b.yaml", "1", "1"),
    ]
    case = root.findall("testsuite/testcase")[-1]
    assert case.attrib == {"name": "it <does> not", "classname": "tests/b.yaml", "file": "tests/b.yaml", "line": "7"}


def test_a_failure_is_the_counter_example_without_what_xml_cannot_hold() -> None:
    failure = ET.fromstring(as_junit((BROKEN,))).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.attrib == {"type": "invariant", "message": "expected a & b"}
    assert failure.text == "tests/b.yaml:7: expected a & b\nrequest: \ufffd[31m\ncame: ü"


def test_a_promise_that_is_kept_has_no_failure() -> None:
    assert ET.fromstring(as_junit((KEPT,))).find("testsuite/testcase/failure") is None


def test_no_promise_at_all_is_a_report_too() -> None:
    assert ET.fromstring(as_junit(())).attrib["tests"] == "0"
