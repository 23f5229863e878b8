from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.resources.addresses import parse_address

WRITTEN = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.lists(st.integers(0, 300).map(str), min_size=3, max_size=5).map(".".join),
    st.text("0123456789abf:.%/ \n٣", max_size=20),
)
ODD = [
    "",
    "01.2.3.4",
    "1.2.3.4\n",
    "1.2.3.٤",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "FD00:0::1",
    "a.host",
    "0.0.0.0",
    "240.0.0.1",
]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def agrees(text: str) -> bool:
    expected, found = _parse(text), parse_address(text)
    if expected is None or found is None:
        return expected is None and found is None
    special = expected.is_loopback or expected.is_unspecified or expected.is_reserved
    return tuple(found) == (str(expected), expected.version, expected.is_loopback, special)


@given(text=WRITTEN)
def test_an_address_is_what_pythons_own_reader_makes_of_it(text: str) -> None:
    assert agrees(text)


@pytest.mark.parametrize("text", ODD)
def test_an_odd_address_is_too(text: str) -> None:
    assert agrees(text)


def test_two_spellings_of_one_address_are_equal() -> None:
    assert parse_address("fd00::1") == parse_address("FD00:0:0::1") != parse_address("fd00::2")
