"""One answer out of Envoy's metrics and those of every application."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from compiler.dataplane.bootstrap import AdminAddress, UnixSocket
from compiler.dataplane.http_client import Question, ask
from compiler.dataplane.metrics.document import Application, Wanted
from compiler.dataplane.metrics.exposition import Family, join_families, read_families
from compiler.dataplane.metrics.selection import select

SOCKET = "meshmetric.sock"
APPLICATION_LABEL = "application"
"""Two applications have metrics of one name, the memory of their processes say."""

_ANSWER_SECONDS = 10.0
_OK = 200
_ACCEPT = {"accept": "text/plain;version=0.0.4"}

log = structlog.get_logger("dataplane")


@dataclass(frozen=True, slots=True)
class Places:
    """Where Envoy's admin interface is, and the folder of its sockets."""

    admin: AdminAddress
    work_dir: Path

    @property
    def applications(self) -> UnixSocket:
        return UnixSocket(self.work_dir / SOCKET)


async def collect(wanted: Wanted, places: Places) -> tuple[Family, ...]:
    """Whoever does not answer is left out and told of; what the others say still counts."""
    found = await asyncio.gather(
        _ask_envoy(wanted, places), *(_ask_application(one, places) for one in wanted.applications)
    )
    return join_families(_labelled(families, wanted) for families in found)


async def _ask_envoy(wanted: Wanted, places: Places) -> tuple[Family, ...]:
    used = "" if wanted.sidecar.include_unused else "&usedonly"
    text = await _get(places.admin, f"/stats?format=prometheus&text_readouts{used}", "envoy")
    return tuple(select(read_families(text), wanted.sidecar))


async def _ask_application(application: Application, places: Places) -> tuple[Family, ...]:
    text = await _get(places.applications, application.path, application.name or application.path)
    families = read_families(text)
    if not application.name:
        return families
    return tuple(_with_labels(family, {APPLICATION_LABEL: application.name}) for family in families)


async def _get(place: AdminAddress, path: str, name: str) -> str:
    try:
        answer = await ask(place, Question(path, _ACCEPT), _ANSWER_SECONDS)
    except OSError as error:
        log.warning("metrics are missing", source=name, reason=str(error) or type(error).__name__)
        return ""
    if answer.status != _OK:
        log.warning("metrics are missing", source=name, status=answer.status)
        return ""
    return answer.body.decode(errors="replace")


def _labelled(families: Iterable[Family], wanted: Wanted) -> tuple[Family, ...]:
    return tuple(_with_labels(family, dict(wanted.extra_labels)) for family in families)


def _with_labels(family: Family, labels: dict[str, str]) -> Family:
    return replace(family, samples=[sample.with_labels(labels) for sample in family.samples])
