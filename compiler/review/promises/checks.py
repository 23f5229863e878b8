"""The result of one promise that a repository makes of itself: a route test, or an invariant."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of promise it is."""

    ROUTE = "route"
    INVARIANT = "invariant"


@dataclass(frozen=True, slots=True)
class Result:
    """Whether a promise is kept. `message` is the first counter-example in a sentence, empty where it is kept.

    `detail` are the lines that explain it: what was expected, what came, and the file and line that decided.
    """

    name: str
    file: str
    line: int
    passed: bool
    message: str = ""
    detail: tuple[str, ...] = ()
    kind: Kind = Kind.ROUTE
    skipped: bool = False
    """It was not judged, for the reason in `message`: neither kept nor broken."""

    @property
    def failed(self) -> bool:
        return not self.passed and not self.skipped


def count_failed(results: Sequence[Result]) -> int:
    return sum(result.failed for result in results)
