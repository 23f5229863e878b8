"""Regular expressions, which Envoy has to read."""

from collections.abc import Iterator, Mapping

from compiler.resources.expressions import refuse_expression, refuse_substitution
from compiler.resources.findings import BAD_VALUE, Finding, join


def check_expression(expression: str, pointer: str) -> Iterator[Finding]:
    """Envoy refuses the whole listener for one bad expression."""
    problem = refuse_expression(expression)
    if problem is not None:
        hint = "Envoy reads RE2: https://github.com/google/re2/wiki/Syntax"
        yield Finding(pointer, BAD_VALUE, f"the regular expression cannot be read: {problem}", hint)


def check_substitution(written: Mapping[str, str], pointer: str) -> Iterator[Finding]:
    """A `pattern` and a `substitution` for what it matches; Envoy refuses the routes for either."""
    unreadable = tuple(check_expression(written["pattern"], join(pointer, "pattern")))
    yield from unreadable
    problem = None if unreadable else refuse_substitution(written["pattern"], written["substitution"])
    if problem is not None:
        yield Finding(join(pointer, "substitution"), BAD_VALUE, f"the substitution cannot be read: {problem}")
