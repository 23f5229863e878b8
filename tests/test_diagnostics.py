"""Findings in an order that does not depend on how they were found, or on the run."""

from random import Random

from compiler.diagnostics import Code, Diagnostic, Position, Severity, Subject, sort_diagnostics

_CODE = Code("some-code", Severity.WARNING, "a code", "Of this test.")


def test_findings_at_one_place_are_in_one_order() -> None:
    """A DataplaneSet stands for many proxies, and one line of it is wrong for each of them."""
    place = Position("a.yaml", 3, 4)
    found = [
        Diagnostic(place, _CODE, "no", None, Subject("Dataplane", "m", f"web-{number:02}")) for number in range(50)
    ]
    found += [Diagnostic(place, _CODE, "no"), Diagnostic(place, _CODE, "no", "a hint")]
    expected = (*found[-2:], *found[:-2])
    for seed in range(5):
        shuffled = Random(seed).sample(found * 2, 2 * len(found))
        assert sort_diagnostics(shuffled) == expected
