"""Hints for words that are nearly right."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A question that names the nearest known word, None where nothing is near; case is no difference."""
    words = {candidate.lower(): candidate for candidate in sorted(known)}
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return f"did you mean {words[near[0]]}?" if near else None


def one_of(words: Iterable[object], limit: int = 12) -> str:
    """The words as a sentence lists them, cut where there are too many."""
    texts = [str(word) for word in words]
    if len(texts) > limit:
        return ", ".join(texts[:limit]) + " and others"
    return " or ".join(part for part in (", ".join(texts[:-1]), texts[-1]) if part) if texts else "nothing"
