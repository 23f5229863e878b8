"""Pictures say what changed without colour too, stay small, and let nothing of a name through."""

import random
import re
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.review.access.edge import PASSTHROUGH, AccessDiff, Change, Edge
from compiler.review.access.layout import lay_out
from compiler.review.access.picture import draw_mermaid, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def edge(caller: str, service: str, **more) -> Edge:
    return Edge(f"shop/{caller}", service if "/" in service else f"shop/{service}", 8080, "http", **more)


KEPT = (edge("web", "api"), edge("api", "db"))
DIFF = AccessDiff((edge("web", "db"),), (edge("guest", "api", methods=("GET",)),), 2)


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


def lines(svg: str) -> Counter[str]:
    """Those between services, by what they are; the legend has none of them with a title."""
    paths = ET.fromstring(svg).iter(f"{SVG}path")
    return Counter(one.get("class") for one in paths if one.find(f"{SVG}title") is not None)


def test_added_and_removed_edges_are_told_apart_without_colour() -> None:
    svg = draw_svg(DIFF, KEPT)

    assert lines(svg) == {"line kept": 2, "line added": 1, "line removed": 1}
    assert {"+ :8080 http", "− :8080 http, GET", ":8080 http"} <= set(texts(svg))
    assert {"+ may call now", "− may no longer call", "as before"} <= set(texts(svg))
    assert texts(svg)[0] == "Who may call whom: 1 added, 1 removed, 2 as before"
    assert re.search(r"\.line\.removed\{[^}]*stroke-dasharray", svg)
    assert "prefers-color-scheme:dark" in svg


def test_a_pair_on_other_terms_has_a_mark_and_dashes_of_its_own() -> None:
    before, after = edge("web", "api"), edge("web", "api", identity=False)
    diff = AccessDiff(kept=1, changed=(Change((before,), (after,)),))
    svg = draw_svg(diff, [after, KEPT[1]])
    assert lines(svg) == {"line kept": 1, "line changed": 1}
    assert {"~ :8080 also without a certificate", "~ on other terms"} <= set(texts(svg))
    assert texts(svg)[0] == "Who may call whom: 1 changed, 1 as before"
    dashes = re.findall(r"\.line\.(?:removed|changed)\{[^}]*stroke-dasharray:([^}]*)\}", svg)
    assert len(set(dashes)) == 2

    chart = draw_mermaid(diff, [after, KEPT[1]])
    assert '-.->|"~ :8080 also without a certificate"|' in chart
    assert "linkStyle 0 stroke:#9a6700" in chart


def test_the_mesh_is_said_where_there_are_several() -> None:
    assert "web" in texts(draw_svg(DIFF, KEPT))
    assert "shop/web" in texts(draw_svg(DIFF, [*KEPT, Edge("other/a", "other/b", 1, "tcp")]))


def test_nothing_is_drawn_out_of_nothing() -> None:
    assert texts(draw_svg(AccessDiff())) == ["Nobody may call anybody"]
    assert texts(draw_svg(AccessDiff(kept=1), KEPT[:1]))[0] == "Who may call whom: nothing changed, 1 as before"
    assert texts(draw_svg(AccessDiff(kept=1)))[1] == "what stayed as it was is not drawn"
    assert draw_mermaid(AccessDiff()) == "flowchart LR\n"


def test_a_name_is_text_and_nothing_else() -> None:
    evil = 'x"]<script>&|]--> z'
    svg = draw_svg(AccessDiff((edge(evil, "api"),)), KEPT)
    assert evil in texts(svg)
    assert "<script" not in svg

    chart = draw_mermaid(AccessDiff((edge(evil, "api"),)), KEPT)
    assert "#60;script#62;" in chart
    assert not set(re.sub(r'"[^"]*"', "", chart)) & set("<&[]") - set("[]")
    assert [len(line.split('"')) for line in chart.splitlines() if "script" in line] == [3]


def test_mermaid_marks_and_colours_the_lines_that_changed() -> None:
    chart = draw_mermaid(DIFF, KEPT).splitlines()

    assert chart[0] == "flowchart LR"
    arrows = [line.strip() for line in chart if re.search(r"s\d+ [=.-]", line)]
    assert [re.sub(r"s\d+", "s", one) for one in arrows] == [
        's -.->|"− :8080 http, GET"| s',
        's ==>|"+ :8080 http"| s',
        's -->|":8080 http"| s',
        's -->|":8080 http"| s',
    ]
    assert [line.split(",")[0].strip() for line in chart if "linkStyle" in line] == [
        "linkStyle 1 stroke:#1a7f37",
        "linkStyle 0 stroke:#cf222e",
    ]


def test_of_a_large_mesh_the_neighbourhood_of_the_change_is_drawn_and_it_says_so() -> None:
    kept = [edge(f"a{at}", f"b{at}") for at in range(100)] + [edge("near", "api")]
    svg = draw_svg(AccessDiff((edge("web", "api"),), (), len(kept)), kept)

    assert lines(svg) == {"line added": 1, "line kept": 1}
    assert {"web", "api", "near"} <= set(texts(svg))
    assert "3 of 203 services are drawn: the change and its neighbours" in texts(svg)
    assert "%% 3 of 203 services are drawn" in draw_mermaid(AccessDiff((edge("web", "api"),)), kept)


def test_without_a_change_those_with_most_edges_are_drawn() -> None:
    kept = [edge(f"a{at}", "hub") for at in range(100)]
    svg = draw_svg(AccessDiff(), kept)
    assert "60 of 101 services are drawn: those with most edges" in texts(svg)
    assert lines(svg) == {"line kept": 59}


def test_a_change_of_everything_stays_within_what_github_draws() -> None:
    many = tuple(edge(f"s{one}", f"s{other}") for one in range(60) for other in range(60) if one != other)
    chart = draw_mermaid(AccessDiff(many))
    assert len(chart) < 50_000
    assert chart.count("==>") == 300
    assert "3240 more lines changed than are drawn" in chart


def test_calls_to_anywhere_are_drawn_where_they_are_new_and_counted_else() -> None:
    anywhere = [edge(name, PASSTHROUGH) for name in ("web", "api")]
    assert "not drawn: 2 services may call anything outside of the mesh, as before" in texts(
        draw_svg(DIFF, [*KEPT, *anywhere])
    )
    assert "anything outside" in texts(draw_svg(AccessDiff((anywhere[0],)), KEPT))


def test_labels_lie_on_no_box_and_boxes_on_no_other() -> None:
    root = ET.fromstring(draw_svg(DIFF, KEPT))
    rectangles = [
        [float(one.get(key, "")) for key in ("x", "y", "width", "height")]
        for one in root.iter(f"{SVG}rect")
        if one.get("x")
    ]
    assert len(rectangles) == 4 + 4
    for at, one in enumerate(rectangles):
        for other in rectangles[at + 1 :]:
            assert not all(one[k] < other[k] + other[k + 2] and other[k] < one[k] + one[k + 2] for k in (0, 1)), (
                one,
                other,
            )


names = st.sampled_from([f"n{at}" for at in range(12)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(names, names), max_size=30))
def test_every_graph_has_a_layout_without_boxes_on_each_other(arcs: list[tuple[str, str]]) -> None:
    nodes = {name for arc in arcs for name in arc}
    layout = lay_out(nodes, arcs)

    assert set(layout.columns) == set(layout.rows) == nodes
    assert lay_out(sorted(nodes, reverse=True), arcs[::-1]) == layout
    for column in set(layout.columns.values()):
        rows = sorted(layout.rows[name] for name in nodes if layout.columns[name] == column)
        assert all(other - one >= 0.999 for one, other in pairwise(rows))
    assert all(0 <= row <= layout.height for bends in layout.bends.values() for _, row in bends)
    assert layout.width <= 7


def test_a_chain_goes_from_left_to_right() -> None:
    assert lay_out("abc", [("a", "b"), ("b", "c"), ("a", "c")]).columns == {"a": 0, "b": 1, "c": 2}


def test_a_picture_is_the_same_every_time() -> None:
    rest = list(KEPT)
    random.Random(1).shuffle(rest)
    assert draw_svg(DIFF, rest) == draw_svg(DIFF, KEPT)
