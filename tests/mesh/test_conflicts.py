"""Routes that say different things of the same requests are told of, and whatever is edited, as from nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.mesh.checks.conflicts import ROUTE_CONFLICT
from compiler.pipeline import Compiler
from compiler.source.tree import SourceTree
from tests.review.meshes import STRICT, proxy
from tests.trees import SCHEMAS, tree_of

PROXIES = (
    proxy("web", "10.0.0.1", outbound="api"),
    proxy("web-2", "10.0.0.2", "web", outbound="api"),
    proxy("batch", "10.0.0.3", outbound="api"),
    proxy("api", "10.0.0.4"),
)


class Route(NamedTuple):
    caller: str
    path: str
    conf: str


def write(routes: Sequence[Route]) -> SourceTree:
    documents = [
        f"type: MeshHTTPRoute\nmesh: shop\nname: route-{at}\nspec:\n"
        f"  targetRef: {{kind: MeshService, name: {one.caller}}}\n"
        f"  to:\n  - targetRef: {{kind: MeshService, name: api}}\n    rules:\n"
        f"    - matches: [{{path: {{type: Exact, value: {one.path}}}}}]\n      default: {{{one.conf}}}\n"
        for at, one in enumerate(routes)
    ]
    return tree_of({f"{at:03}.yaml": text for at, text in enumerate((STRICT, *PROXIES, *documents))})


def tint(colour: str) -> str:
    header = f"set: [{{name: x-tint, value: {colour}}}]"
    return f"filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{{header}}}}}]"


RED, BLUE = tint("red"), tint("blue")


def conflicts(compiler: Compiler, routes: Sequence[Route]) -> list[tuple[str, str]]:
    """Of each that is told the route, and the other that it names."""
    found = [one for one in compiler.compile(write(routes)).diagnostics if one.code == ROUTE_CONFLICT]
    return sorted((one.subject.name if one.subject else "", one.message.split("'")[1]) for one in found)


def test_both_are_told_where_a_proxy_has_both() -> None:
    one, other = Route("web", "/a", RED), Route("web", "/a", BLUE)
    assert conflicts(Compiler(SCHEMAS), [one, other]) == [("route-0", "route-1"), ("route-1", "route-0")]
    assert conflicts(Compiler(SCHEMAS), [one, one]) == []
    assert conflicts(Compiler(SCHEMAS), [one, other._replace(path="/b")]) == []
    assert conflicts(Compiler(SCHEMAS), [one, other._replace(caller="batch")]) == []
    assert len(conflicts(Compiler(SCHEMAS), [one, other, one])) == 4


callers, paths = st.sampled_from(["web", "batch"]), st.sampled_from(["/a", "/b"])
route = st.builds(Route, callers, paths, st.sampled_from([RED, BLUE]))
states = st.lists(st.lists(route, max_size=4), min_size=2, max_size=4)


@settings(max_examples=40, deadline=None)
@given(states)
def test_an_edit_finds_what_a_compile_from_nothing_finds(history: list[list[Route]]) -> None:
    compiler = Compiler(SCHEMAS)
    for routes in history:
        expected = conflicts(Compiler(SCHEMAS), routes)
        assert conflicts(compiler, routes) == expected
        differing = {
            (f"route-{at}", f"route-{to}")
            for at, one in enumerate(routes)
            for to, other in enumerate(routes)
            if one[:2] == other[:2] and one.conf != other.conf
        }
        assert set(expected) == differing
