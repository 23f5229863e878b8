"""Answers lead from the verdict to the lines that decide, for yes and for no."""

from compiler.pipeline import Compiler
from compiler.review.access.reaching import find_edges
from compiler.review.access.why import Answer, Party, Step, find_party, may_call
from compiler.review.versions import Versions
from tests.review.access.test_reaching import ROUTE, TRANSPARENT
from tests.review.meshes import PERMISSIVE, PLAIN, SHOP, STRICT, allow, proxy, version_of
from tests.trees import SCHEMAS

PERMISSION = allow("p", "api", "web")


def ask(caller: str, service: str, *texts: str) -> Answer:
    versions = Versions(Compiler(SCHEMAS))
    version = version_of(*texts, versions=versions)
    parties = [find_party(version.snapshots, name) for name in (caller, service)]
    answer = may_call(
        versions,
        version,
        *(found[0] if found else Party(name) for found, name in zip(parties, (caller, service), strict=True)),
    )
    if not service.startswith("external/"):
        edges = {(edge.caller, edge.service) for edge in find_edges(version.snapshots) if edge.proxied}
        assert answer.allowed == ((answer.caller, answer.service) in edges)
    assert answer.reason.count(": ") < 3
    return answer


def lines(step: Step) -> list[str]:
    return [f"{one.file}:{one.line}" for one in step.documents]


def test_yes_names_the_way_and_the_line_of_the_permission() -> None:
    answer = ask("web", "api", STRICT, *SHOP, PERMISSION)

    assert (
        answer.reason == "shop/web may call shop/api on :8080 http (MeshTrafficPermission p admits spiffe://shop/web)"
    )
    assert answer.warning == ""
    (trace,) = answer.traces
    assert [(step.proxy, step.type) for step in trace.steps] == [
        ("shop.web", "listeners"),
        ("shop.web", "routes"),
        ("shop.web", "clusters"),
        ("shop.api-1", "listeners"),
        ("shop.api-1", "extensions"),
    ]
    outbound, _, cluster, inbound, verdict = trace.steps
    assert lines(outbound) == ["001.yaml:9"]
    assert cluster.says == "connects by mutual TLS, to spiffe://shop/api"
    assert lines(cluster) == ["000.yaml:4"]
    assert lines(inbound) == ["003.yaml:7"]
    assert verdict.says == "lets it in by kri_mtp_shop___p_"
    assert lines(verdict) == ["005.yaml:7"]


def test_no_names_the_permissions_that_admit_others() -> None:
    answer = ask("guest", "api", STRICT, *SHOP, PERMISSION)

    assert answer.reason == (
        "shop/guest may not call shop/api: port 8080 refuses it: "
        "no MeshTrafficPermission admits spiffe://shop/guest (p admits others)"
    )
    assert lines(answer.traces[0].steps[-1]) == ["005.yaml:7"]
    assert answer.traces[0].edges == ()


def test_without_any_permission_nobody_is_admitted() -> None:
    assert "no MeshTrafficPermission admits anyone, so not spiffe://shop/web" in ask("web", "api", STRICT, *SHOP).reason


def test_a_denial_is_named_with_its_line() -> None:
    answer = ask("guest", "api", STRICT, *SHOP, allow("a", "api", "guest", action="Deny"), PERMISSION)

    assert answer.reason.endswith("refuses it: MeshTrafficPermission a denies spiffe://shop/guest")
    assert lines(answer.traces[0].steps[-1]) == ["005.yaml:7"]


def test_who_is_admitted_but_has_no_outbound_is_told_so() -> None:
    answer = ask("batch", "api", STRICT, *SHOP, proxy("batch", "10.0.0.9"), allow("p", "api", "batch"))

    assert answer.reason == "shop/batch may not call shop/api: it has no outbound for it, though it would be admitted"
    assert [(one.type, one.name) for one in answer.documents] == [
        ("Dataplane", "batch"),
        ("MeshTrafficPermission", "p"),
    ]


def test_trimming_is_told_with_what_trims() -> None:
    listed = ask("web", "api", STRICT, TRANSPARENT % ", reachableServices: [other]", SHOP[2], PERMISSION)
    assert listed.reason.endswith("it is not among its reachableServices (other), though it would be admitted")
    assert listed.documents[0].line == 8

    automatic = STRICT + "routing: {autoReachable: true}\n"
    answer = ask("web", "api", automatic, TRANSPARENT % "", SHOP[2])
    assert answer.reason.endswith(
        "the mesh gives a proxy only what permissions let it call, and no permission admits it"
    )
    assert (answer.documents[0].file, answer.documents[0].line) == ("000.yaml", 5)


def test_a_port_in_plaintext_does_not_help_a_proxy_that_speaks_tls() -> None:
    answer = ask("guest", "api", PERMISSIVE, *SHOP, PERMISSION)

    assert not answer.allowed
    assert answer.reason.startswith("shop/guest may not call shop/api: port 8080 refuses it: no MeshTrafficPermission")
    assert answer.warning == "only past its own proxy does it get in: :8080 http is open in plaintext, to anyone"
    assert [step.says for step in answer.traces[0].steps[-2:]] == [
        "refuses it: no MeshTrafficPermission admits spiffe://shop/guest (p admits others)",
        "takes plaintext from anyone, whoever calls",
    ]
    plain = ask("guest", "api", PLAIN, *SHOP)
    assert plain.allowed
    assert plain.reason.endswith(":8080 http, in plaintext, by anyone (Mesh shop has no mutual TLS)")

    admitted = ask("web", "api", PERMISSIVE, *SHOP, PERMISSION)
    assert admitted.reason.endswith("on :8080 http (MeshTrafficPermission p admits spiffe://shop/web)")
    assert admitted.warning == ":8080 http is open in plaintext, to anyone"


def test_who_opens_a_port_in_plaintext_is_who_says_so() -> None:
    mode = "type: MeshTLS\nmesh: shop\nname: open\nspec: {rules: [{default: {mode: Permissive}}]}\n"
    for documents, found in (
        ((PERMISSIVE,), ["Mesh shop: has mutual TLS, permissive"]),
        ((STRICT, mode), ["MeshTLS open: has mutual TLS, permissive"]),
        (
            (PERMISSIVE, mode.replace("mode: Permissive", "tlsVersion: {min: TLS12}")),
            ["Mesh shop: has mutual TLS, permissive"],
        ),
    ):
        step = ask("guest", "api", *documents, *SHOP, PERMISSION).traces[0].steps[-1]
        assert step.says == "takes plaintext from anyone, whoever calls"
        assert [str(one).partition(" ")[2] for one in step.documents] == found


def test_an_outbound_that_leads_nowhere_is_not_said_to_be_missing() -> None:
    nowhere = ROUTE % "backendRefs: [{kind: MeshService, name: nobody}]"
    answer = ask("web", "api", STRICT, *SHOP, nowhere, PERMISSION)
    assert "its calls end at kri_msvc_shop___api_, whose routes lead to no cluster" in answer.reason
    assert [one.type for one in answer.documents] == ["Dataplane", "MeshHTTPRoute", "MeshTrafficPermission"]

    elsewhere = ROUTE % "backendRefs: [{kind: MeshService, name: guest}]"
    assert "its calls are routed to shop/guest" in ask("web", "api", STRICT, *SHOP, elsewhere, PERMISSION).reason

    unready = [text.replace("port: 8080,", "port: 8080, state: NotReady,") for text in SHOP[2:]]
    assert "its outbound leads to no endpoint" in ask("web", "api", STRICT, SHOP[0], *unready, PERMISSION).reason


def test_the_proxy_that_was_asked_about_is_named() -> None:
    assert ask("web", "api-1", STRICT, *SHOP, PERMISSION).reason.startswith("shop/web may call shop.api-1 on :8080")
    assert ask("api-2", "web", STRICT, *SHOP).reason.startswith("shop.api-2 may not call shop/web: ")


def test_a_mesh_service_is_the_workloads_that_it_leads_to() -> None:
    """Its name is in no certificate and no workload."""
    snapshots = version_of(STRICT, SELECTED, *BOUND).snapshots
    assert find_party(snapshots, "database") == (Party("shop/db", frozenset({"shop.db"})),)
    assert find_party(snapshots, "shop/database") == find_party(snapshots, "database")
    assert find_party(snapshots, "other/database") == find_party(snapshots, "datab") == ()


def test_what_is_outside_can_be_asked_about() -> None:
    assert ask("web", "external/passthrough", STRICT, TRANSPARENT % "", SHOP[2]).allowed


def test_a_name_is_a_workload_a_proxy_or_a_service() -> None:
    snapshots = version_of(STRICT, *SHOP).snapshots
    assert (
        find_party(snapshots, "api")
        == find_party(snapshots, "shop/api")
        == (Party("shop/api", frozenset({"shop.api-1", "shop.api-2"})),)
    )
    assert (
        find_party(snapshots, "api-1")
        == find_party(snapshots, "shop.api-1")
        == (Party("shop/api", frozenset({"shop.api-1"})),)
    )
    labelled = SHOP[2].replace("name: api-1", "name: api-1\nlabels: {kuma.io/workload: backend}")
    found = find_party(version_of(STRICT, labelled).snapshots, "api")
    assert found == (Party("shop/backend", frozenset({"shop.api-1"})),)
    assert find_party(snapshots, "nobody") == ()


SELECTED = """\
type: MeshService
mesh: shop
name: database
labels: {kuma.io/env: universal}
spec:
  selector: {dataplaneTags: {app: db}}
  ports: [{port: 6432, targetPort: 8080, appProtocol: tcp}]
"""
BOUND = (
    proxy("db", "10.0.0.7", protocol="tcp", more=", app: db").replace("name: db", "name: db\nlabels: {app: db}"),
    proxy("web", "10.0.0.1")
    + "  outbound: [{port: 10001, backendRef: {kind: MeshService, name: database, port: 6432}}]\n",
)


def test_who_is_gone_calls_nobody() -> None:
    assert ask("nobody", "api", STRICT, *SHOP).reason.endswith("there is no nobody any more")
