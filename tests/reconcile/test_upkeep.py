"""Certificates are made ahead of the proxies that a generation brings, and nobody wakes for none."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compiler.envoy.names import identity_secret
from compiler.identity import secrets
from compiler.identity.authority import AuthorityName, create_authority
from compiler.identity.leaf import Leaf, issue_in_epoch
from compiler.reconcile import upkeep
from compiler.reconcile.deliverable import Deliverables
from compiler.reconcile.identities import ServedIdentities
from compiler.reconcile.upkeep import Upkeep
from compiler.snapshot.image.served import ServedGeneration, ServedProxy
from compiler.snapshot.names import NodeId, SecretName
from compiler.state.sqlite import SqliteState
from compiler.xds.server import XdsServer
from compiler.xds.sources import CurrentGeneration

IDENTITY = SecretName(identity_secret("shop"), "builtin", ("spiffe://shop/web",))


class Watched(ServedIdentities):
    """Counts how often it is asked to make some."""

    turns = 0

    def issue_some(self) -> bool:
        self.turns += 1
        return super().issue_some()


def test_certificates_are_made_ahead_after_each_generation_and_in_between_nothing_wakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(upkeep, "_BREATH", 0.0)
    issued: list[str] = []

    def issue(authority: object, node: str, *rest: object) -> Leaf:
        issued.append(node)
        return issue_in_epoch(authority, node, *rest)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(secrets, "issue_in_epoch", issue)
    identities = Watched({AuthorityName("shop"): create_authority("shop", "ca-1", now=datetime.now(UTC))})
    current, state = CurrentGeneration(), SqliteState(tmp_path / "state.db")
    keeping = Upkeep(XdsServer(current), current, identities, Deliverables(), state)

    async def follow_generations() -> None:
        issuing = asyncio.create_task(keeping.issue_ahead())
        for names in (["web"], ["web", *(f"more-{number}" for number in range(20))]):
            identities.serve(_generation(names))
            keeping.note_generation()
            await _until_quiet(identities)
            assert sorted(issued) == sorted(f"shop.{name}" for name in names)
            before = identities.turns
            await asyncio.sleep(0.02)
            assert identities.turns == before
        issuing.cancel()

    asyncio.run(follow_generations())
    state.close()


async def _until_quiet(identities: Watched) -> None:
    before = -1
    while identities.turns != before:
        before = identities.turns
        await asyncio.sleep(0.05)


def _generation(names: list[str]) -> ServedGeneration:
    proxies = {f"shop.{name}": ServedProxy(NodeId("shop", "", name, name), "d", {}, (IDENTITY,)) for name in names}
    return ServedGeneration(len(names), None, f"d{len(names)}", proxies)
