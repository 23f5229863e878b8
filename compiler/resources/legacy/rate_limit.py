"""RateLimit to MeshRateLimit: a limit for some callers becomes a rule that matches them.

A match may have tags, as no written one: by `from`, which knows tags, it would be passed over where there are `rules`,
those of another RateLimit as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.resources.findings import Finding, join
from compiler.resources.legacy.conversion import Conversion, Legacy, Surroundings, unsayable
from compiler.resources.legacy.headers import Header, modify_headers
from compiler.resources.legacy.inbound import by_destination, told_by_service
from compiler.resources.legacy.said import Said, given, pick


def convert_rate_limit(legacy: Legacy, _: Surroundings) -> Conversion:
    """Of HTTP, which is all that the legacy one limits."""
    found: list[Finding] = []
    at, http = join(legacy.pointer, "conf", "http"), legacy.content["conf"]["http"]
    rate = {"num": pick(http, at, "requests"), "interval": pick(http, at, "interval")}
    limit = Said(given({"requestRate": rate, "onRateLimit": _answer(http, at, found)}), at)
    policies = by_destination(legacy, "MeshRateLimit", {"local": {"http": limit}}, found)
    return Conversion(policies, tuple(found), () if told_by_service(legacy) else (_by_tags(legacy),))


def _by_tags(legacy: Legacy) -> Finding:
    message = "a written MeshRateLimit tells callers by their service alone, not by other tags"
    return unsayable(f"{legacy.pointer}/sources", message)


def _answer(http: Mapping[str, Any], at: str, found: list[Finding]) -> Said | None:
    if not http.get("onRateLimit"):
        return None
    answer, at = http["onRateLimit"], join(at, "onRateLimit")
    headers = modify_headers(tuple(_headers(answer, at)), (), join(at, "headers"), found)
    return Said(given({"status": pick(answer, at, "status"), "headers": headers}), at)


def _headers(answer: Mapping[str, Any], at: str) -> Iterator[Header]:
    for index, entry in enumerate(answer.get("headers", ())):
        yield Header(entry["key"], entry.get("value", ""), entry.get("append", True), join(at, "headers", index))
