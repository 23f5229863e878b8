"""What a reviewer is warned of, and what not."""

from pathlib import Path
from typing import Any

import pytest

from compiler.review.changes.draining import Drain, drained_by
from compiler.review.changes.tls import weakenings
from compiler.review.changes.weights import WEIGHTS
from compiler.review.plan import FieldChange, Kind, Plan, Weight
from tests.review.shop_edits import FASTER, MTLS, PERMISSIONS, SHOP, codes, edited, plan_of, service

PAGES = Path(__file__).parents[3] / "docs" / "risks"
PERMISSIVE = ("mesh.yaml", "type: builtin}", "type: builtin, mode: PERMISSIVE}")


def _messages(made: Plan, code: str) -> list[str]:
    return [risk.message for risk in made.risks if risk.code == code]


@pytest.mark.parametrize("code", WEIGHTS)
def test_every_risk_has_a_page_that_says_its_weight(code: str) -> None:
    page = (PAGES / f"{code}.md").read_text()
    assert page.startswith(f"# `{code}`\n\n**{WEIGHTS[code].value}**: ")
    assert f"[`{code}`]({code}.md) | {WEIGHTS[code].value} |" in (PAGES / "README.md").read_text()


def test_every_page_is_of_a_risk() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *WEIGHTS}


def test_a_shared_timeout_changes_a_default_and_no_more() -> None:
    assert codes(plan_of(edited(FASTER))) == {"changes-default"}


def test_of_a_proxy_that_is_new_no_default_changes() -> None:
    everywhere = PERMISSIONS.replace("{kind: Dataplane, labels: {app: backend}}", "{kind: Mesh}")
    allow = everywhere.replace("name: backend", "name: mailer").replace("shop/web", "shop/mailer")
    made = plan_of({**SHOP, "mailer.yaml": service("mailer", 1, "backend", place=4) + "---\n" + allow})
    risky = {group.kind for group in made.groups if any(one.code == "changes-default" for one in group.risks)}
    assert Kind.ADDED in {group.kind for group in made.groups}
    assert risky == {Kind.CHANGED}


def test_a_policy_for_one_service_is_no_default() -> None:
    assert codes(plan_of(edited(("retry.yaml", "numRetries: 2", "numRetries: 4")))) == set()


def test_a_removed_permission_closes_access_for_its_callers() -> None:
    made = plan_of({path: text for path, text in SHOP.items() if path != "permissions.yaml"})
    assert codes(made) == {"closes-access"}
    assert _messages(made, "closes-access") == ["shop/web may no longer call shop/backend:8080"]


def test_another_caller_opens_access_and_takes_nobody_elses() -> None:
    line = "      - spiffeID: {type: Exact, value: spiffe://shop/web}\n"
    made = plan_of(edited(("permissions.yaml", line, line + line.replace("web", "batch"))))
    assert codes(made) == {"opens-access"}
    assert _messages(made, "opens-access") == ["shop/batch may newly call shop/backend:8080"]


def test_optional_tls_weakens_opens_and_drains_everything() -> None:
    made = plan_of(edited(PERMISSIVE))
    assert codes(made) == {
        "weakens-tls",
        "opens-access",
        "rebuilds-listener",
        "changes-default",
        "touches-every-proxy",
    }
    assert _messages(made, "weakens-tls") == ["inbound 8080: takes plaintext from now on"]
    assert _messages(made, "rebuilds-listener") == ["at inbound 8080 all connections drain, TCP is closed"]
    assert any("without a certificate" in words for words in _messages(made, "opens-access"))


def test_required_tls_again_weakens_nothing() -> None:
    made = plan_of(SHOP, edited(PERMISSIVE))
    assert "weakens-tls" not in codes(made)
    assert "closes-access" in codes(made)


def test_no_tls_at_all_weakens_both_ends() -> None:
    made = plan_of(edited(("mesh.yaml", MTLS, "")))
    assert set(_messages(made, "weakens-tls")) == {
        "inbound 8080: takes plaintext from now on",
        "service backend: calls in plaintext from now on",
    }


def test_a_removed_proxy_and_a_removed_outbound_are_named() -> None:
    made = plan_of({**SHOP, "teams/web.yaml": service("web", 3, place=2)})
    assert _messages(made, "removes-proxy") == ["shop.web-4 would get no configuration any more"]
    (message,) = _messages(made, "removes-listener")
    assert message.startswith("on the way to service backend")


def test_a_service_without_its_last_endpoint_is_named() -> None:
    head = edited(("teams/backend.yaml", "networking:\n", "networking:\n"), base=SHOP)
    unready = head["teams/backend.yaml"].replace("port: 8080, tags", "port: 8080, state: NotReady, tags")
    made = plan_of({**head, "teams/backend.yaml": unready})
    assert _messages(made, "removes-endpoint-last") == ["no endpoint of service backend is left: every call fails"]


def test_a_cluster_is_rebuilt_for_any_field() -> None:
    made = plan_of(edited(("defaults.yaml", "connectionTimeout: 2s", "connectionTimeout: 1s")))
    assert codes(made) == {"changes-default", "rebuilds-cluster"}


def test_all_proxies_at_once_are_said_once() -> None:
    made = plan_of(edited(PERMISSIVE))
    assert _messages(made, "touches-every-proxy") == ["all 8 proxies change at once"]
    labels = [risk.code for one in made.groups for risk in one.risks]
    assert labels.count("touches-every-proxy") == 1


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("bytesPerProxy: 1000", "shop.cart-1 beyond the budget of 1,000 bytes a proxy, up to "),
        ("resourcesPerProxy: 2", "shop.cart-1 beyond the budget of 2 resources a proxy, up to 4"),
    ],
)
def test_a_proxy_beyond_its_budget_is_named(budgets: str, message: str) -> None:
    settings = {"meshwright.yaml": f"budgets: {{{budgets}}}\n"}
    base = {**SHOP, **settings}
    made = plan_of({**base, "teams/cart.yaml": service("cart", 1, place=4)}, base)
    (found,) = _messages(made, "exceeds-budget")
    assert found.startswith(message)


def test_a_proxy_that_was_beyond_its_budget_and_grows_no_further_is_not() -> None:
    base = {**SHOP, "meshwright.yaml": "budgets: {resourcesPerProxy: 1}\n"}
    assert "exceeds-budget" not in codes(plan_of(edited(FASTER, base=base), base))


OWNERSHIP = """\
ownership:
- {paths: ["**"], owners: ["@platform"]}
- {paths: [teams/web.yaml], owners: ["@web"]}
- {paths: [teams/batch.yaml], owners: ["@batch", "@platform"]}
"""


def test_a_file_that_changes_another_teams_proxies_is_named() -> None:
    base = {**SHOP, "meshwright.yaml": OWNERSHIP}
    made = plan_of(edited(FASTER, base=base), base)
    assert _messages(made, "crosses-ownership") == ["defaults.yaml of @platform changes proxies of @web"]


def test_a_team_that_changes_its_own_proxies_crosses_nothing() -> None:
    base = {**SHOP, "meshwright.yaml": OWNERSHIP}
    mine = ("teams/batch.yaml", "kuma.io/protocol: http", "kuma.io/protocol: tcp")
    assert "crosses-ownership" not in codes(plan_of(edited(mine, base=base), base))


def test_risks_stand_by_their_weight() -> None:
    weights = [risk.weight for risk in plan_of(edited(PERMISSIVE)).risks]
    assert weights == sorted(weights, key=tuple(Weight).index)


@pytest.mark.parametrize(
    ("kind", "path", "drained"),
    [
        (Kind.ADDED, "/filterChains/1", Drain.NOTHING),
        (Kind.REMOVED, "/filterChains/1", Drain.CHAIN),
        (Kind.CHANGED, "/filterChains/0/filters/0/typedConfig/statPrefix", Drain.CHAIN),
        (Kind.ADDED, "/defaultFilterChain", Drain.NOTHING),
        (Kind.CHANGED, "/defaultFilterChain/name", Drain.CHAIN),
        (Kind.ADDED, "/connectionBalanceConfig", Drain.NOTHING),
        (Kind.CHANGED, "/address/socketAddress/portValue", Drain.LISTENER),
        (Kind.ADDED, "/listenerFilters", Drain.LISTENER),
        (Kind.CHANGED, "/statPrefix", Drain.LISTENER),
    ],
)
def test_what_drains_is_what_envoy_was_seen_to_drain(kind: Kind, path: str, drained: Drain) -> None:
    assert drained_by([FieldChange(kind, path)]) is drained


def _chain(**context: Any) -> dict[str, Any]:
    typed = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", **context}
    return {"filterChains": [{"name": "mesh", "transportSocket": {"typedConfig": typed}}]}


_NAMES = {"defaultValidationContext": {"matchTypedSubjectAltNames": [{"sanType": "URI"}]}}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (_chain(requireClientCertificate=True), _chain(), ["asks callers for no certificate any more"]),
        (
            _chain(commonTlsContext={"tlsParams": {"tlsMinimumProtocolVersion": "TLSv1_3"}}),
            _chain(commonTlsContext={}),
            ["takes TLS 1.2 again"],
        ),
        (
            _chain(),
            _chain(commonTlsContext={"tlsParams": {"tlsMinimumProtocolVersion": "TLSv1_0"}}),
            ["takes TLS 1.0 again"],
        ),
        (
            _chain(commonTlsContext={"combinedValidationContext": _NAMES}),
            _chain(commonTlsContext={}),
            ["checks no certificate of its peer any more"],
        ),
        (
            _chain(commonTlsContext={"combinedValidationContext": _NAMES}),
            _chain(commonTlsContext={"combinedValidationContext": {}}),
            ["takes any name in its peer's certificate"],
        ),
        (_chain(), _chain(requireClientCertificate=True), []),
    ],
)
def test_less_tls_is_told_in_words(before: dict[str, Any], after: dict[str, Any], words: list[str]) -> None:
    assert list(weakenings("listeners", before, after)) == words


def _permission(name: str, service: str, caller: str) -> str:
    target = f"{{kind: Dataplane, labels: {{app: {service}}}}}" if service else "{kind: Mesh}"
    return (
        f"type: MeshTrafficPermission\nmesh: shop\nname: {name}\nspec:\n  targetRef: {target}\n"
        f"  rules:\n  - default:\n      allow:\n      - spiffeID: {caller}\n"
    )


EVERYONE = "{type: Prefix, value: 'spiffe://shop/'}"


def test_a_permission_for_callers_that_have_no_way_is_named() -> None:
    made = plan_of({**SHOP, "all.yaml": _permission("all", "", EVERYONE)})
    assert _messages(made, "widens-permission") == [
        "2 inbounds newly admit any caller of shop",
        "shop/backend:8080 newly admits any caller of shop",
    ]

    web = plan_of({**SHOP, "all.yaml": _permission("all", "web", EVERYONE)})
    assert _messages(web, "widens-permission") == ["shop/web:8080 newly admits any caller of shop"]
    assert "opens-access" not in codes(web)


def test_a_name_that_nobody_bears_yet_is_named_and_a_caller_that_opens_access_is_not() -> None:
    ghost = plan_of(
        {**SHOP, "more.yaml": _permission("more", "backend", "{type: Exact, value: 'spiffe://shop/ghost'}")}
    )
    assert _messages(ghost, "widens-permission") == ["shop/backend:8080 newly admits spiffe://shop/ghost"]

    some = plan_of(
        {**SHOP, "more.yaml": _permission("more", "backend", "{type: Prefix, value: 'spiffe://shop/team-'}")}
    )
    assert _messages(some, "widens-permission") == ["shop/backend:8080 newly admits spiffe://shop/team-*"]

    batch = plan_of(
        {**SHOP, "more.yaml": _permission("more", "backend", "{type: Exact, value: 'spiffe://shop/batch'}")}
    )
    assert codes(batch) == {"opens-access"}


def test_a_permission_that_says_the_same_or_less_widens_nothing() -> None:
    wide = {**SHOP, "all.yaml": _permission("all", "", EVERYONE)}
    assert "widens-permission" not in codes(plan_of(SHOP, wide))
    again = {**wide, "more.yaml": _permission("more", "web", "{type: Exact, value: 'spiffe://shop/batch'}")}
    assert "widens-permission" not in codes(plan_of(again, wide))


def test_a_pair_that_can_still_call_is_said_to_call_more_or_less() -> None:
    opened = _messages(plan_of(edited(PERMISSIVE)), "opens-access")
    assert opened == [
        (
            "shop/batch may newly call shop/backend:8080 past its own proxy, without a certificate, "
            "shop/web may call more of shop/backend:8080 (also without a certificate)"
        )
    ]
    closed = _messages(plan_of(SHOP, edited(PERMISSIVE)), "closes-access")
    assert closed == [
        (
            "shop/batch may no longer call shop/backend:8080 past its own proxy, without a certificate, "
            "shop/web may call less of shop/backend:8080 (only with a certificate now)"
        )
    ]


def _groups(made: Plan, code: str) -> list[tuple[str, ...]]:
    """The services of each group under which a risk stands."""
    return [one.services for one in made.groups if code in {risk.code for risk in one.risks}]


def test_access_is_the_doing_of_the_group_that_decided_it() -> None:
    """Each time the other side's proxies change too, for another reason."""
    permitted = ("permissions.yaml", "spiffe://shop/web}", "spiffe://shop/batch}")
    made = plan_of(edited(permitted, FASTER))
    assert _groups(made, "opens-access") == _groups(made, "closes-access") == [("shop/backend",)]

    head = {**SHOP, "teams/web.yaml": service("web", 4, place=2), "all.yaml": _permission("all", "backend", EVERYONE)}
    called = plan_of(head)
    assert ("shop/web",) in _groups(called, "closes-access")
    assert ("shop/backend",) in _groups(called, "opens-access")


def test_a_new_service_is_caused_by_its_permission_too() -> None:
    came = {
        **SHOP,
        "teams/web.yaml": service("web", 4, calls="backend pay", place=2),
        "teams/pay.yaml": service("pay", 1, place=5),
        "pay.yaml": _permission("pay", "pay", "{type: Exact, value: 'spiffe://shop/web'}"),
    }
    made = plan_of(came)
    (group,) = [one for one in made.groups if one.kind is Kind.ADDED]
    assert {cause.subject.name for cause in group.causes} == {"pay"}
    assert {cause.subject.type for cause in group.causes} == {"DataplaneSet", "MeshTrafficPermission"}
    assert "shop/web may newly call shop/pay:8080" in [risk.message for risk in group.risks]


def test_several_inbounds_are_told_as_such() -> None:
    more = "- {port: 9090, tags: {kuma.io/service: admin, kuma.io/protocol: http}}"
    base = edited(("teams/web.yaml", "- {port: 8080", f"{more}\n      - {{port: 8080"))
    made = plan_of(edited(PERMISSIVE, base=base), base)
    assert "2 inbounds: each takes plaintext from now on" in _messages(made, "weakens-tls")
    assert "at 2 inbounds all connections drain, TCP is closed" in _messages(made, "rebuilds-listener")


OPA = """\
type: MeshOPA
mesh: shop
name: it
spec:
  targetRef: {kind: Dataplane, labels: {app: backend}}
  default:
    authConfig: {onAgentFailure: Deny}
    appendPolicies: [{rego: {inlineString: "package shop"}}]
"""
FAULTS = """\
type: MeshFaultInjection
mesh: shop
name: it
spec:
  targetRef: {kind: Dataplane, labels: {app: backend}}
  rules:
  - default:
      http: [{abort: {httpStatus: 503, percentage: 100}}, {delay: {value: 2s, percentage: "2.5"}}]
"""
LIMIT = """\
type: MeshRateLimit
mesh: shop
name: it
spec:
  targetRef: {kind: Dataplane, labels: {app: backend}}
  rules: [{default: {local: {http: {requestRate: {num: 5, interval: 1s}}}}}]
"""


def test_an_agent_that_is_asked_no_more_is_told_and_its_own_socket_is_no_listener_that_goes() -> None:
    made = plan_of(SHOP, {**SHOP, "opa.yaml": OPA})
    assert _messages(made, "drops-authorization") == [
        "inbound 8080 of backend: nobody decides any more which requests may pass"
    ]
    assert "removes-listener" not in codes(made)


def test_an_agent_that_may_be_passed_over_is_told() -> None:
    made = plan_of({**SHOP, "opa.yaml": OPA.replace("Deny", "Allow")}, {**SHOP, "opa.yaml": OPA})
    words = "inbound 8080 of backend: requests pass where who decides about them does not answer"
    assert _messages(made, "drops-authorization") == [words]


def test_an_agent_that_is_newly_asked_drops_nothing() -> None:
    assert "drops-authorization" not in codes(plan_of({**SHOP, "opa.yaml": OPA}))


def test_new_faults_are_told_with_their_share_and_old_ones_are_not() -> None:
    made = plan_of({**SHOP, "faults.yaml": FAULTS})
    assert _messages(made, "injects-faults") == [
        "inbound 8080 of backend: 100 % of requests are answered with 503",
        "inbound 8080 of backend: 2.5 % of requests wait for 2s",
    ]
    more = plan_of({**SHOP, "faults.yaml": FAULTS.replace("2s", "3s")}, {**SHOP, "faults.yaml": FAULTS})
    assert _messages(more, "injects-faults") == ["inbound 8080 of backend: 2.5 % of requests wait for 3s"]
    assert "injects-faults" not in codes(plan_of(SHOP, {**SHOP, "faults.yaml": FAULTS}))


def test_a_limit_that_goes_is_told_and_one_that_changes_is_not() -> None:
    limited = {**SHOP, "limit.yaml": LIMIT}
    assert _messages(plan_of(SHOP, limited), "drops-limit") == ["inbound 8080 of backend: nothing is limited any more"]
    assert "drops-limit" not in codes(plan_of({**SHOP, "limit.yaml": LIMIT.replace("num: 5", "num: 9")}, limited))
    assert "drops-limit" not in codes(plan_of(limited))
