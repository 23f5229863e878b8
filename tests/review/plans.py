"""Plans made by hand: every part of one, with values that try to leave where they are printed."""

from dataclasses import replace

from compiler.diagnostics import Code, Diagnostic, Position, Severity, Subject
from compiler.review.access.edge import AccessDiff, Edge
from compiler.review.plan import (
    Blast,
    Cause,
    Count,
    FieldChange,
    Group,
    Kind,
    Plan,
    ResourceChange,
    Revision,
    Risk,
    Size,
    Weight,
)

BROKEN = Code("bad-value", Severity.ERROR, "a value that cannot be", "It cannot be.")
TIMEOUT = Cause(Kind.CHANGED, Subject("MeshTimeout", "shop", "all"), "mesh/defaults.yaml", 12, "1a2b3c4d5e" * 4, "Ann")
GONE = Cause(Kind.REMOVED, Subject("Dataplane", "shop", "batch-1"), "teams/batch.yaml", 1, side="base")
HIGH = Risk("removes-listener", Weight.HIGH, "one proxy loses a listener")
LOW = Risk("changes-default", Weight.LOW, "a timeout of the whole mesh changes")
ROUTE = FieldChange(Kind.CHANGED, "/virtualHosts/0/routes/0/route/timeout", "15s", "5s")

REMOVED = Group(
    Kind.REMOVED,
    "proxy shop.batch-1 is removed",
    ("shop.batch-1",),
    ("shop/batch",),
    ("east",),
    (ResourceChange(Kind.REMOVED, "listeners", "inbound", before={"name": "inbound"}),),
    (HIGH,),
    (GONE,),
)
CHANGED = Group(
    Kind.CHANGED,
    "request timeout of backend: 15s → 5s",
    tuple(f"shop.web-{number}" for number in range(14)),
    ("shop/web",),
    ("east", "west"),
    (ResourceChange(Kind.CHANGED, "routes", "backend", (ROUTE,), ({"op": "replace", "path": "/x", "value": 1},)),),
    (LOW,),
    (TIMEOUT,),
)
PLAN = Plan(
    base=Revision("main", "a" * 40, f"sha1:{'1' * 40}"),
    head=Revision("working tree", None, f"sha1:{'2' * 40}"),
    blast=Blast(Count(15, 212), Count(2, 40), Count(2, 3), Count(1, 1), removed=1),
    groups=(REMOVED, CHANGED),
    access=AccessDiff(
        (Edge("shop/web", "shop/pay", 8080, "http", ("GET",)),), (Edge("shop/batch", "shop/db", 5432),), 9
    ),
    before=Size(212, 1_204_000, {"listeners": 400, "routes": 300}),
    after=Size(211, 1_210_000, {"listeners": 398, "routes": 300}),
    documents=(TIMEOUT, GONE),
)
NOTHING = replace(
    PLAN,
    head=replace(PLAN.head, digest=PLAN.base.digest),
    blast=Blast(Count(0, 212), Count(0, 40), Count(0, 3), Count(0, 1)),
    groups=(),
    access=AccessDiff(kept=10),
    after=PLAN.before,
    documents=(),
)
EVIL = "</script><script>alert(1)</script> ``` @everyone ::error:: | <b> \x1b[31m\n- 0 of 0 proxies change"


def evil() -> Plan:
    """Text of a commit that would like to be more than text, wherever a plan carries text."""
    field = FieldChange(Kind.CHANGED, f"/a/{EVIL}", EVIL, {"deep": EVIL})
    change = ResourceChange(Kind.CHANGED, "routes", EVIL, (field,))
    added = ResourceChange(Kind.ADDED, "clusters", EVIL, after={EVIL: EVIL})
    cause = replace(TIMEOUT, file=EVIL, author=EVIL, subject=Subject("MeshTimeout", "shop", EVIL))
    group = Group(
        Kind.CHANGED, EVIL, (EVIL,), (EVIL,), (EVIL,), (change, added), (replace(LOW, message=EVIL),), (cause,)
    )
    finding = Diagnostic(Position(EVIL, 1, 1), BROKEN, EVIL)
    edges = AccessDiff((Edge(EVIL, EVIL, 1, "http", (EVIL,), (EVIL,)),), ())
    return replace(PLAN, groups=(group,), documents=(cause,), findings=(finding,), access=edges)


def many(number: int) -> Plan:
    """As many groups, each with a risk at a line of its own."""
    groups = tuple(
        replace(
            CHANGED,
            title=f"change {index}",
            risks=(replace(HIGH, message=f"risk {index}"),),
            causes=(replace(TIMEOUT, line=index + 1),),
        )
        for index in range(number)
    )
    return replace(PLAN, groups=groups)
