from hypothesis import given
from hypothesis import strategies as st

from compiler.mesh.calls import Permission, PermissionEntry, Principal
from compiler.mesh.http_route import RouteMatch
from compiler.mesh.order import Origin
from compiler.mesh.permission import ALLOW, DENY, SHADOW, admits, contains, register
from compiler.mesh.value import UriMatch
from compiler.resources.model import ResourceKey

ORIGIN = Origin("kri", ResourceKey("MeshTrafficPermission", "default", "one"), "/rules/0")
URIS = st.sampled_from(["a/1", "a/2", "b/1", "b/2"])
MATCHES = st.one_of(URIS.map(UriMatch), st.sampled_from(["a", "b", "a/"]).map(lambda uri: UriMatch(uri, prefix=True)))
PRINCIPALS = st.builds(
    Principal,
    present=st.lists(MATCHES, max_size=2).map(tuple),
    absent=st.one_of(st.just(()), st.lists(MATCHES, max_size=1).map(tuple)),
)
ENTRIES = st.builds(PermissionEntry, PRINCIPALS, st.sampled_from([ALLOW, DENY, SHADOW]), st.just(ORIGIN))


@given(entries=st.lists(ENTRIES, max_size=6).map(tuple), shown=st.frozensets(URIS))
def test_the_first_entry_that_matches_decides(entries: tuple[PermissionEntry, ...], shown: frozenset[str]) -> None:
    first = next((entry for entry in entries if contains(entry.principal, shown)), None)
    assert register(Permission(entries)).admits(shown) == (first is not None and first.action != DENY)


def test_a_denial_that_comes_first_stands_against_whoever_else_the_caller_is() -> None:
    entries = [
        PermissionEntry(Principal(present=(UriMatch("a/1"),)), DENY, ORIGIN),
        PermissionEntry(Principal(present=(UriMatch("a/2"),)), ALLOW, ORIGIN),
    ]
    known = register(Permission(tuple(entries)))
    assert known.admits(frozenset({"a/2"}))
    assert not known.admits(frozenset({"a/1", "a/2"}))


def test_what_is_said_of_some_requests_lets_the_caller_reach_the_service() -> None:
    get = (RouteMatch(method="GET"),)
    web = Principal((UriMatch("spiffe://shop/web"),))
    allowed = PermissionEntry(web, ALLOW, ORIGIN, get)
    denied = PermissionEntry(Principal(), DENY, ORIGIN, get)
    assert admits(Permission((allowed,)), ["spiffe://shop/web"])
    assert admits(Permission((denied, allowed)), ["spiffe://shop/web"])
    assert not admits(Permission((denied,)), ["spiffe://shop/web"])
    assert not admits(Permission((PermissionEntry(web, DENY, ORIGIN), allowed)), ["spiffe://shop/web"])
