"""Durations and percentages."""

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.resources.values import Duration, Percentage, decode
from tests.resources.test_schemas import CONTENTS

SECOND = 10**9
DEFINITIONS = CONTENTS["definitions"]["definitions"]
WRITTEN = jsonschema_rs.Draft7Validator(DEFINITIONS["duration"])


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0s", 0),
        ("0", 0),
        ("1h30m", 5400 * SECOND),
        ("250ms", SECOND // 4),
        ("1.5s", 3 * SECOND // 2),
        (".5s", SECOND // 2),
        ("1d", 86400 * SECOND),
        ("1w", 604800 * SECOND),
        ("10y", 315360000 * SECOND),
        ("-1s", -SECOND),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    assert Duration.parse(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "5S", "1h30", "١s"[:1]])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


@given(
    st.from_regex(DEFINITIONS["duration"]["pattern"].replace("^", "", 1), fullmatch=True).filter(
        lambda text: "$" not in text
    )
)
def test_what_the_schema_accepts_can_be_read(text: str) -> None:
    if WRITTEN.is_valid(text):
        assert Duration.parse(text) >= 0


@given(st.integers(0, 10**18))
def test_a_duration_is_written_as_it_is_read(nanoseconds: int) -> None:
    assert Duration.parse(str(Duration(nanoseconds))) == nanoseconds


@given(st.decimals(0, 100, places=3))
def test_a_percentage_keeps_its_digits(number: object) -> None:
    assert Percentage.parse(str(number)) == number
    assert decode(Percentage, str(number)) == number
