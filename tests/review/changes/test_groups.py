"""What a reviewer is shown as one change."""

from compiler.review.plan import Kind
from tests.review.shop_edits import FASTER, SHOP, behind, edited, only, plan_of, service, titles


def test_a_shared_timeout_is_one_group_of_all_callers() -> None:
    found = only(plan_of(edited(FASTER)))
    assert found.title == "request timeout of service backend: 10s → 5s"
    assert found.proxies == ("shop.batch-1", "shop.web-1", "shop.web-2", "shop.web-3", "shop.web-4")
    assert found.services == ("shop/batch", "shop/web")
    assert found.zones == ("east", "west")


def test_a_new_replica_is_one_group_of_its_callers_and_itself() -> None:
    made = plan_of({**SHOP, "teams/backend.yaml": service("backend", 4, place=1)})
    changed, added = made.groups
    assert changed.title == "endpoints of service backend: 127.1.1.4:8080 comes"
    assert len(changed.proxies) == 5
    assert (added.kind, added.title) == (Kind.ADDED, "proxy backend-4 of service backend comes")
    assert [cause.kind for cause in added.causes] == [Kind.CHANGED]


def test_replicas_that_come_together_are_one_group() -> None:
    made = plan_of({**SHOP, "teams/cart.yaml": service("cart", 5, "backend", place=4)})
    found = only(made)
    assert (found.kind, found.title, len(found.proxies)) == (Kind.ADDED, "5 proxies of service cart come", 5)
    assert {change.name for change in found.changes if change.type == "listeners"} == {
        "self_inbound_dp_8080",
        "kri_msvc_shop___backend_8080",
    }
    assert all(change.after is None for change in found.changes)


def test_removed_proxies_stand_first() -> None:
    made = plan_of({path: text for path, text in edited(FASTER).items() if path != "teams/batch.yaml"})
    assert [one.kind for one in made.groups] == [Kind.REMOVED, Kind.CHANGED]
    assert made.groups[0].title == "proxy batch-1 of service batch goes"


def test_the_same_edit_of_many_services_is_one_group() -> None:
    more = {f"teams/s{number}.yaml": service(f"s{number}", 1, place=10 + number) for number in range(6)}
    calls = " ".join(["backend", *(f"s{number}" for number in range(6))])
    base = {**SHOP, **more, "teams/web.yaml": service("web", 4, calls, place=2)}
    found = only(plan_of(edited(FASTER, base=base), base))
    assert found.title == "request timeout of 7 services: 10s → 5s"
    (change,) = found.changes
    assert len(change.alike) == 6
    assert len(found.proxies) == 5


def test_two_edits_are_two_groups_though_the_proxies_are_the_same() -> None:
    made = plan_of(edited(("defaults.yaml", "maxConnections: 512", "maxConnections: 100"), FASTER))
    assert sorted(titles(made)) == [
        "max connections of service backend: 512 → 100",
        "request timeout of service backend: 10s → 5s",
    ]
    assert len({behind(one)[0] for one in made.groups}) == 2


def test_one_edit_of_one_service_is_one_group_whatever_it_touches() -> None:
    made = plan_of(edited(("teams/batch.yaml", "kuma.io/protocol: http", "kuma.io/protocol: tcp")))
    assert {change.type for one in made.groups for change in one.changes} >= {"listeners", "clusters", "routes"}
    assert len(made.groups) == 1


def test_a_traffic_split_is_told_by_its_weights() -> None:
    versions = service("backend", 3, place=1).replace("protocol: http", "protocol: http, version: v1")
    route = """\
type: MeshHTTPRoute
mesh: shop
name: split
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: backend}
    rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      default:
        backendRefs:
        - {kind: MeshServiceSubset, name: backend, tags: {version: v1}, weight: 100}
        - {kind: MeshServiceSubset, name: backend, tags: {version: v2}, weight: 0}
"""
    second = service("canary", 1, place=5).replace("service: canary", "service: backend, version: v2")
    base = {**SHOP, "teams/backend.yaml": versions, "teams/canary.yaml": second, "route.yaml": route}
    head = edited(("route.yaml", "weight: 100", "weight: 90"), ("route.yaml", "weight: 0}", "weight: 10}"), base=base)
    found = only(plan_of(head, base))
    assert found.title == "traffic split of service backend: 100 → 90/10"
    again = edited(("route.yaml", "weight: 90", "weight: 50"), ("route.yaml", "weight: 10}", "weight: 50}"), base=head)
    assert only(plan_of(again, head)).title == "traffic split of service backend changes"


def test_a_permission_is_a_change_at_the_service() -> None:
    found = only(plan_of(edited(("permissions.yaml", "shop/web}", "shop/batch}"))))
    assert found.title == "permissions of inbound 8080 of backend change"
    assert found.services == ("shop/backend",)


def test_two_endpoints_that_change_places_are_counted() -> None:
    head = {**SHOP, "teams/backend.yaml": service("backend", 3, place=7)}
    assert "endpoints of service backend: 3 go, 3 come" in titles(plan_of(head))


def test_an_endpoint_that_changes_its_zone_moves() -> None:
    head = edited(("teams/backend.yaml", "127.1.1.2, zone: west", "127.1.1.2, zone: east"))
    assert set(titles(plan_of(head))) == {
        "endpoints of service backend: 127.1.1.2:8080 moves",
        "zone of shop.backend-2: west → east",
    }


def test_callers_of_every_zone_are_one_group_though_each_prefers_its_own_endpoints() -> None:
    local = {**SHOP, "mesh.yaml": f"{SHOP['mesh.yaml']}routing: {{localityAwareLoadBalancing: true}}\n"}
    made = plan_of({**local, "teams/backend.yaml": service("backend", 4, place=1)}, local)
    (changed,) = [one for one in made.groups if one.kind is Kind.CHANGED]
    assert changed.title == "endpoints of service backend: 127.1.1.4:8080 comes"
    assert len(changed.proxies) == 5


def test_a_renamed_service_is_another_identity() -> None:
    head = edited(("teams/batch.yaml", "kuma.io/service: batch", "kuma.io/service: mailer"))
    assert titles(plan_of(head)) == ["identity batch → mailer"]


def test_a_route_that_leads_elsewhere_says_where() -> None:
    route = """\
type: MeshHTTPRoute
mesh: shop
name: split
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: backend}
    rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      default: {backendRefs: [{kind: MeshService, name: backend}]}
"""
    base = {**SHOP, "teams/second.yaml": service("second", 1, place=5), "route.yaml": route}
    other = "backendRefs: [{kind: MeshService, name: second, port: 8080}]"
    head = edited(("route.yaml", "backendRefs: [{kind: MeshService, name: backend}]", other), base=base)
    assert titles(plan_of(head, base)) == ["service backend is routed to service second"]


def test_a_permission_of_a_tcp_service_is_told_by_its_name() -> None:
    base = {**SHOP, "teams/backend.yaml": service("backend", 3, place=1, protocol="tcp")}
    more = f"{base['permissions.yaml']}---\n" + base["permissions.yaml"].replace("name: backend", "name: more").replace(
        "shop/web}", "shop/batch}"
    )
    assert titles(plan_of({**base, "permissions.yaml": more}, base)) == [
        "permission more of inbound 8080 of backend changes"
    ]
