"""Regular expressions, which Envoy has to read."""

from collections.abc import Iterator

from compiler.resources.expressions import refuse_expression
from compiler.resources.findings import BAD_VALUE, Finding


def check_expression(expression: str, pointer: str) -> Iterator[Finding]:
    """Envoy refuses the whole listener for one bad expression."""
    problem = refuse_expression(expression)
    if problem is not None:
        hint = "Envoy reads RE2: https://github.com/google/re2/wiki/Syntax"
        yield Finding(pointer, BAD_VALUE, f"the regular expression cannot be read: {problem}", hint)
