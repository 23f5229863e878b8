"""Which proxy is told which secret."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compiler.envoy.names import authority_secret, identity_secret
from compiler.identity import secrets
from compiler.identity.authority import Authority, AuthorityName, IdentityError, create_authority, write_authority
from compiler.identity.leaf import Leaf
from compiler.reconcile.identities import ServedIdentities, load_authorities
from compiler.snapshot.image.served import ServedGeneration, ServedProxy
from compiler.snapshot.names import NodeId, SecretName
from compiler.xds.served import Resource

IDENTITY = SecretName(identity_secret("shop"), "builtin", ("spiffe://shop/web",))
TRUST = SecretName(authority_secret("shop"), "builtin")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("shop", "ca-1", now=datetime.now(UTC))


def test_authorities_are_known_by_the_mesh_that_they_name(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path / "ca.pem", authority)
    source = f"file:{tmp_path / 'ca.pem'}"
    assert list(load_authorities([source])) == [AuthorityName("shop")]
    with pytest.raises(IdentityError, match="two authorities"):
        load_authorities([source, source])


def test_a_proxy_is_told_what_its_snapshot_names_and_another_is_not(authority: Authority) -> None:
    identities = _serving(authority, {"web": (IDENTITY, TRUST), "plain": ()})
    assert _get(identities, "shop.web", IDENTITY.name) is not None
    assert _get(identities, "shop.web", TRUST.name) is not None
    for node, name in (("shop.plain", IDENTITY.name), ("shop.stranger", IDENTITY.name), ("shop.web", "other")):
        assert _get(identities, node, name) is None


def test_a_generation_that_names_less_takes_the_secret_away(authority: Authority) -> None:
    identities = _serving(authority, {"web": (IDENTITY,)})
    identities.serve(_generation({"web": ()}))
    assert _get(identities, "shop.web", IDENTITY.name) is None


def test_the_same_proxy_gets_the_same_bytes_again_and_another_lifetime_tells_everyone(authority: Authority) -> None:
    identities = _serving(authority, {"web": (IDENTITY,)})
    told: list[str | None] = []
    stop = identities.subscribe(told.append)
    before = _get(identities, "shop.web", IDENTITY.name)
    identities.serve(_generation({"web": (IDENTITY,)}))
    identities.rotate_due()
    again = _get(identities, "shop.web", IDENTITY.name)
    assert before is not None
    assert again is not None
    assert (again.version, again.body) == (before.version, before.body)
    assert told == []
    shorter = SecretName(IDENTITY.name, IDENTITY.authority, IDENTITY.uris, 24 * 3600)
    identities.serve(_generation({"web": (shorter,)}))
    assert told == [None]
    stop()
    identities.serve(_generation({"web": (IDENTITY,)}))
    assert told == [None]


def test_certificates_made_ahead_are_the_ones_that_are_handed_out(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"web-{number}" for number in range(20)]
    asked = _serving(authority, dict.fromkeys(names, (IDENTITY,)))
    expected = [_get(asked, f"shop.{name}", IDENTITY.name) for name in names]
    ahead = _serving(authority, dict.fromkeys(names, (IDENTITY,)))
    turns = 1
    while ahead.issue_some():
        turns += 1
    assert 1 < turns < len(names)
    monkeypatch.setattr(secrets, "issue_in_epoch", _issue_nothing)
    assert [_get(ahead, f"shop.{name}", IDENTITY.name) for name in names] == expected


def test_nothing_is_made_ahead_for_who_has_left(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = _serving(authority, {"web": (IDENTITY,)})
    identities.serve(_generation({}))
    monkeypatch.setattr(secrets, "issue_in_epoch", _issue_nothing)
    assert not identities.issue_some()


def test_a_proxy_whose_names_changed_is_told_and_the_others_are_not(authority: Authority) -> None:
    identities = _serving(authority, {"web": (IDENTITY,), "other": (IDENTITY,)})
    told: list[str | None] = []
    identities.subscribe(told.append)
    before = _get(identities, "shop.web", IDENTITY.name)
    renamed = SecretName(IDENTITY.name, IDENTITY.authority, ("spiffe://shop/renamed",))
    identities.serve(_generation({"web": (renamed,), "other": (IDENTITY,)}))
    assert told == ["shop.web"]
    assert _get(identities, "shop.web", IDENTITY.name) != before


def test_a_lifetime_that_cannot_be_kept_stops_nobodys_certificates(authority: Authority) -> None:
    hopeless = SecretName(IDENTITY.name, IDENTITY.authority, IDENTITY.uris, 1)
    identities = _serving(authority, {"web": (hopeless,)})
    assert _get(identities, "shop.web", IDENTITY.name) is not None


def test_a_mesh_without_an_authority_is_named() -> None:
    assert ServedIdentities({}).troubles == ()
    identities = ServedIdentities({})
    identities.serve(_generation({"web": (IDENTITY,)}))
    assert identities.troubles == ("no authority for mesh shop: its proxies get no certificates; start with --ca",)
    identities.serve(_generation({"web": ()}))
    assert identities.troubles == ()


class Clock:
    """Stands in for the steady clock."""

    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_a_proxy_is_told_once_in_each_epoch_and_not_after_it_has_gone(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "moment", datetime.now(UTC))
    monkeypatch.setattr("compiler.reconcile.identities.SteadyClock", Clock)
    identities, told = _serving(authority, {"web": (IDENTITY,), "other": (IDENTITY,), "plain": ()}), list[str | None]()
    identities.subscribe(told.append)
    identities.rotate_due()
    for _ in range(3):
        Clock.moment += timedelta(hours=16)
        identities.rotate_due()
        identities.rotate_due()
    assert sorted(map(str, told)) == ["shop.other"] * 3 + ["shop.web"] * 3
    identities.serve(_generation({"web": (IDENTITY,)}))
    identities.serve(_generation({"web": (IDENTITY,), "other": (IDENTITY,)}))
    told.clear()
    identities.rotate_due()
    for _ in range(2):
        Clock.moment += timedelta(hours=16)
        identities.rotate_due()
    assert sorted(map(str, told)) == ["shop.other", "shop.other", "shop.web", "shop.web"]


def test_a_rotation_between_a_proxys_coming_and_its_planning_is_not_missed(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "moment", datetime.now(UTC))
    monkeypatch.setattr("compiler.reconcile.identities.SteadyClock", Clock)
    identities, told = _serving(authority, {"web": (IDENTITY,)}), list[str | None]()
    identities.subscribe(told.append)
    Clock.moment += timedelta(hours=16)
    identities.rotate_due()
    assert told == ["shop.web"]


def _serving(authority: Authority, proxies: dict[str, tuple[SecretName, ...]]) -> ServedIdentities:
    identities = ServedIdentities({AuthorityName("shop"): authority})
    identities.serve(_generation(proxies))
    return identities


def _generation(proxies: dict[str, tuple[SecretName, ...]]) -> ServedGeneration:
    served = {
        f"shop.{name}": ServedProxy(NodeId("shop", "", name, name), "d", {}, secrets)
        for name, secrets in proxies.items()
    }
    return ServedGeneration(1, None, "d", served)


def _get(identities: ServedIdentities, node: str, name: str) -> Resource | None:
    return identities.get(node, name)


def _issue_nothing(*_: object) -> Leaf:
    raise AssertionError("a certificate was issued")
