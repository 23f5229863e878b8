"""What is remembered of blobs, and for how long."""

from compiler.source.blobs import BlobCache


def test_a_blob_is_found_until_it_is_dropped() -> None:
    cache: BlobCache[str] = BlobCache()
    cache.keep("a", 1, "made of a")
    assert (cache.find("a"), cache.find("b")) == ("made of a", None)
    cache.keep("a", 1, "made again")
    assert cache.find("a") == "made again"


def test_the_longest_unused_is_dropped_first() -> None:
    cache: BlobCache[int] = BlobCache(max_bytes=2 * 1100)
    for number, blob in enumerate("ab"):
        cache.keep(blob, 50, number)
    cache.find("a")
    cache.keep("c", 50, 2)
    assert [cache.find(blob) for blob in "abc"] == [0, None, 2]


def test_a_blob_that_is_kept_twice_counts_once() -> None:
    cache: BlobCache[int] = BlobCache(max_bytes=2 * 1100)
    for _ in range(9):
        cache.keep("a", 50, 0)
    cache.keep("b", 50, 1)
    assert [cache.find(blob) for blob in "ab"] == [0, 1]


def test_a_blob_that_alone_exceeds_the_bound_is_not_kept() -> None:
    cache: BlobCache[int] = BlobCache(max_bytes=2000)
    cache.keep("a", 2000, 0)
    assert cache.find("a") is None
    cache.keep("b", 50, 1)
    assert cache.find("b") == 1


def test_even_empty_blobs_cannot_be_kept_for_ever() -> None:
    cache: BlobCache[int] = BlobCache(max_bytes=100_000)
    for number in range(1000):
        cache.keep(str(number), 0, number)
    assert cache.find("0") is None
