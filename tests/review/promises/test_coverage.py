"""Which routes no test touches."""

from compiler.review.promises.coverage import Coverage, measure
from compiler.review.promises.routing.answer import Ask, CannotTell
from compiler.review.promises.routing.engine import PythonEngine
from compiler.review.promises.routing.held import Fleet
from tests.review.route_meshes import Document, ask, documents, fleet_of, route

V1 = {"kind": "MeshServiceSubset", "name": "backend", "tags": {"version": "v1"}}
NOBODY = {"kind": "MeshService", "name": "nobody"}


def rules() -> list[Document]:
    return [
        {
            "matches": [
                {"path": {"type": "PathPrefix", "value": "/a"}, "method": "GET"},
                {
                    "path": {"type": "Exact", "value": "/b"},
                    "headers": [{"name": "x-beta", "type": "Exact", "value": "1"}],
                },
            ],
            "default": {"backendRefs": [V1 | {"weight": 1}, NOBODY | {"weight": 1}]},
        },
        {
            "matches": [
                {"path": {"type": "RegularExpression", "value": "/c.*"}},
                {
                    "path": {"type": "PathPrefix", "value": "/d"},
                    "queryParams": [{"name": "q", "type": "Exact", "value": "1"}],
                },
            ],
            "default": {},
        },
    ]


def cover(fleet: Fleet, *asks: Ask) -> Coverage:
    answers = PythonEngine(fleet).answer(asks)
    told = [(one, found) for one, found in zip(asks, answers, strict=True) if not isinstance(found, CannotTell)]
    return measure(fleet, told, lambda node, taken: (f"{node}:{taken.table}",))


def of_backend(coverage: Coverage) -> dict[str, bool]:
    return {one.match: one.touched for one in coverage.routes if one.service == "shop/backend"}


def test_without_tests_nothing_is_touched() -> None:
    coverage = cover(fleet_of(documents(route("r", rules()))))
    assert coverage.touched == 0
    assert coverage.untouched == coverage.routes
    assert of_backend(coverage) == {
        "GET /a/*": False,
        "/b x-beta=1": False,
        "~/c.*": False,
        "/d/* ?q=1": False,
        "/*": False,
    }


def test_a_prefix_is_touched_by_what_is_below_it_and_by_itself() -> None:
    fleet = fleet_of(documents(route("r", rules())))
    for path in ("/a", "/a/b"):
        touched = of_backend(cover(fleet, ask(path=path)))
        assert [match for match, one in touched.items() if one] == ["GET /a/*"]


def test_a_request_touches_the_route_that_took_it_and_no_other() -> None:
    fleet = fleet_of(documents(route("r", rules())))
    coverage = cover(fleet, ask(path="/b"), ask(path="/cd"), ask(path="/d?q=1"), ask("ledger"))
    assert of_backend(coverage) == {
        "GET /a/*": False,
        "/b x-beta=1": False,
        "~/c.*": True,
        "/d/* ?q=1": True,
        "/*": True,
    }
    assert [(one.service, one.touched) for one in coverage.routes if one.service == "shop/ledger"] == [
        ("shop/ledger", True)
    ]


def test_a_route_that_several_callers_have_is_one_line() -> None:
    coverage = cover(fleet_of(documents()), ask())
    (line,) = [one for one in coverage.routes if one.service == "shop/backend"]
    assert (line.callers, line.touched) == (("shop/batch", "shop/frontend"), True)


def test_services_that_do_not_speak_http_have_no_routes() -> None:
    assert "shop/db" not in {one.service for one in cover(fleet_of(documents())).routes}
