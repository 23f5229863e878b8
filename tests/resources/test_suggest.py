"""Hints for words that are nearly right."""

from compiler.resources.suggest import did_you_mean, one_of


def test_the_nearest_word_is_suggested() -> None:
    assert did_you_mean("conectionTimeout", ["idleTimeout", "connectionTimeout"]) == "did you mean connectionTimeout?"
    assert did_you_mean("MESHSERVICE", ["Mesh", "MeshService"]) == "did you mean MeshService?"


def test_nothing_near_is_no_suggestion() -> None:
    assert did_you_mean("zzz", ["idleTimeout"]) is None
    assert did_you_mean("a", []) is None


def test_words_are_listed_as_a_sentence_lists_them() -> None:
    assert one_of(["a"]) == "a"
    assert one_of(["a", "b", "c"]) == "a, b or c"
    assert one_of([]) == "nothing"
    assert one_of(range(3), limit=2) == "0, 1 and others"
