"""What is packed while it is made, and unpacked while it is read, is what was written."""

import pickle
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.review.kept.image import UnreadableImageError
from compiler.review.kept.packing import Packing, Unpacking

LARGE = 3 * 1024 * 1024


def pack(*pieces: bytes) -> bytes:
    with Packing() as packing:
        for piece in pieces:
            packing.write(piece)
    return packing.packed()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 60)))
def test_whatever_is_written_is_read_however_much_at_once(pieces: list[bytes], sizes: list[int]) -> None:
    content, file = b"".join(pieces), Unpacking(pack(*pieces))
    for size in sizes:
        assert file.read(size) == content[:size]
        content = content[size:]
    assert file.read(LARGE) == content
    assert file.read(1) == b""


def test_what_is_larger_than_is_packed_at_once_is_one_all_the_same() -> None:
    values = [bytes([number % 7]) * 1000 + str(number).encode() for number in range(LARGE // 500)]
    with Packing() as packing:
        pickle.dump(values, packing, pickle.HIGHEST_PROTOCOL)
        pickle.dump("and more", packing, pickle.HIGHEST_PROTOCOL)
    packed = packing.packed()
    assert len(packed) < LARGE
    reader = pickle.Unpickler(Unpacking(packed))
    assert (reader.load(), reader.load()) == (values, "and more")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_what_was_harmed_is_not_read(at: int, byte: int, cut: bool) -> None:
    packed = pack(b"some content" * 20)
    at %= len(packed)
    with pytest.raises(UnreadableImageError):
        Unpacking(packed[:at] if cut else bytes([*packed[:at], packed[at] ^ byte, *packed[at + 1 :]]))


def test_a_reader_of_less_than_a_pickle_says_so() -> None:
    content = pickle.dumps(["a" * 100])
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        pickle.Unpickler(Unpacking(pack(content[:20]))).load()
    with pytest.raises(pickle.UnpicklingError, match="a line"):
        pickle.Unpickler(Unpacking(pack(b"cos\nmkdir\n."))).load()


def test_no_thread_is_left_where_the_writer_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        _fail()
    assert "packing" not in {thread.name for thread in threading.enumerate()}


def _fail() -> None:
    with Packing() as packing:
        packing.write(b"half")
        assert "packing" in {thread.name for thread in threading.enumerate()}
        raise ZeroDivisionError
