"""A model of Envoy's ADS client as it was measured: partial application on NACK, claims from before it, warming.

A resource's body is JSON here: what it refers to, and whether Envoy would refuse it (`semantic` or `outer`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from compiler.xds.events import DeltaRequest, Request, Response, SotwRequest
from compiler.xds.served import CDS, ECDS, EDS, LDS, RDS, SDS, Resource

WHOLE = (CDS, LDS)
NAMED = (EDS, SDS, ECDS, RDS)
REFUSED = "Error adding/updating"

Body = Mapping[str, object]


def make(name: str, content: object, *, bad: str = "", exclusive: str | None = None, **refs: Iterable[str]) -> Resource:
    """`refs` are names by type: `routes`, `extensions`, `secrets` of a listener, `clusters` of a route."""
    body = {"name": name, "content": content, "bad": bad, "exclusive": exclusive}
    body |= {kind: sorted(names) for kind, names in refs.items()}
    encoded = json.dumps(body, sort_keys=True).encode()
    return Resource(name, sha256(encoded).hexdigest()[:8], encoded, exclusive)


def read(resource: Resource) -> Body:
    body: Body = json.loads(resource.body)
    return body


def list_refs(body: Body, kind: str) -> tuple[str, ...]:
    names = body.get(kind, ())
    assert isinstance(names, list | tuple)
    return tuple(names)


@dataclass
class ModelEnvoy:
    """`applied` is what it runs; `accepted` what it claims on its next stream, which after a NACK is not the same."""

    full_state: bool
    applied: dict[str, dict[str, Body]] = field(default_factory=lambda: {url: {} for url in (*WHOLE, *NAMED)})
    accepted: dict[str, dict[str, str]] = field(default_factory=lambda: {url: {} for url in (*WHOLE, *NAMED)})
    accepted_version: dict[str, str] = field(default_factory=dict)
    active: dict[str, Body] = field(default_factory=dict)
    warming: set[str] = field(default_factory=set)
    usable: set[str] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=lambda: {url: set() for url in NAMED})
    nonces: dict[str, str] = field(default_factory=dict)
    withheld: list[tuple[str, str | None]] = field(default_factory=list)
    outbox: list[Request] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    nacks: list[Response] = field(default_factory=list)
    received: list[Response] = field(default_factory=list)

    def connect(self) -> None:
        """All that it subscribes to is said again, with what it claims to have."""
        self.outbox.clear()
        self.withheld.clear()
        self.nonces.clear()
        self.opened.clear()
        for url in WHOLE:
            self._open(url)
        for url in NAMED:
            if self.names[url]:
                self._open(url)

    def receive(self, response: Response) -> None:
        self.received.append(response)
        url = response.type_url
        bodies = {resource.name: read(resource) for resource in response.resources}
        error = self._apply(url, response, bodies)
        self.nonces[url] = response.nonce
        if error is not None:
            self.nacks.append(response)
        else:
            self._note_accepted(response)
        if url == CDS and self.warming:
            self.withheld.append((response.nonce, error))
        else:
            self._answer(url, response.nonce, error)
        self._release()
        self._resubscribe()

    def give_up_warming(self) -> None:
        """After its 15 seconds a cluster is used with the endpoints that it has."""
        self.usable |= self.warming
        self.warming.clear()
        self._release()

    def find_dangling(self) -> list[tuple[str, str, str]]:
        """Routes in use that lead to a cluster which is not there: requests fail."""
        return [
            (listener, route, cluster)
            for listener, body in self.active.items()
            for route in list_refs(body, "routes")
            for cluster in list_refs(self.applied[RDS].get(route, {}), "clusters")
            if cluster not in self.usable
        ]

    # Applying.

    def _apply(self, url: str, response: Response, bodies: Mapping[str, Body]) -> str | None:
        if any(body["bad"] == "outer" for body in bodies.values()):
            return "Proto constraint validation failed"
        if url in WHOLE:
            return self._apply_whole(url, response, bodies)
        return self._apply_named(url, bodies)

    def _apply_whole(self, url: str, response: Response, bodies: Mapping[str, Body]) -> str | None:
        removals = self.applied[url].keys() - bodies.keys() if self.full_state else response.removals
        for name in removals:
            self._remove(url, name)
        errors = [name for name, body in bodies.items() if not self._add(url, name, body)]
        return f"{REFUSED} {errors}" if errors else None

    def _apply_named(self, url: str, bodies: Mapping[str, Body]) -> str | None:
        for name, body in bodies.items():
            if name not in self.names[url]:
                continue
            if body["bad"]:
                return f"{REFUSED} {name}"
            self.applied[url][name] = body
            if url == EDS and name in self.warming:
                self.warming.discard(name)
                self.usable.add(name)
        self._activate()
        return None

    def _add(self, url: str, name: str, body: Body) -> bool:
        if self.applied[url].get(name) == body:
            return True
        taken = any(
            other != name and each["exclusive"] == body["exclusive"] and body["exclusive"] is not None
            for other, each in self.applied[url].items()
        )
        if body["bad"] or taken:
            return False
        self.applied[url][name] = body
        if url == CDS:
            self.warming.add(name)
        self._activate()
        return True

    def _remove(self, url: str, name: str) -> None:
        self.applied[url].pop(name, None)
        if url == CDS:
            self.warming.discard(name)
            self.usable.discard(name)
        else:
            self.active.pop(name, None)

    def _activate(self) -> None:
        """A listener that waits for its routes or filters leaves its predecessor in place."""
        for name, body in self.applied[LDS].items():
            routes, extensions = list_refs(body, "routes"), list_refs(body, "extensions")
            if all(each in self.applied[RDS] for each in routes) and all(
                each in self.applied[ECDS] for each in extensions
            ):
                self.active[name] = body

    # Asking and answering.

    def _note_accepted(self, response: Response) -> None:
        url, accepted = response.type_url, self.accepted[response.type_url]
        self.accepted_version[url] = response.version
        accepted.update({each.name: each.version for each in response.resources})
        for name in response.removals:
            accepted.pop(name, None)

    def _open(self, url: str) -> None:
        self.opened.add(url)
        names = tuple(sorted(self.names.get(url, ())))
        if self.full_state:
            self.outbox.append(SotwRequest(url, names, self.accepted_version.get(url, "")))
            return
        claims = {name: version for name, version in self.accepted[url].items() if url in WHOLE or name in names}
        self.outbox.append(DeltaRequest(url, names, claims=claims))

    def _answer(self, url: str, nonce: str, error: str | None) -> None:
        if self.full_state:
            names = tuple(sorted(self.names.get(url, ())))
            self.outbox.append(SotwRequest(url, names, self.accepted_version.get(url, ""), nonce, error))
        else:
            self.outbox.append(DeltaRequest(url, nonce=nonce, error=error))

    def _release(self) -> None:
        """The ACK of clusters waits until they are warm; several are merged in the state-of-the-world protocol."""
        if self.warming:
            return
        answers = self.withheld[-1:] if self.full_state else self.withheld
        for nonce, error in answers:
            self._answer(CDS, nonce, error)
        self.withheld = []

    def _resubscribe(self) -> None:
        listeners = (*self.applied[LDS].values(), *self.active.values())
        wanted = {
            EDS: set(self.applied[CDS]),
            RDS: {name for body in listeners for name in list_refs(body, "routes")},
            ECDS: {name for body in listeners for name in list_refs(body, "extensions")},
            SDS: {name for body in listeners for name in list_refs(body, "secrets")},
        }
        for url, names in wanted.items():
            self._change_names(url, names)

    def _change_names(self, url: str, names: set[str]) -> None:
        added, dropped = names - self.names[url], self.names[url] - names
        self.names[url] = names
        for name in dropped:
            self.applied[url].pop(name, None)
            self.accepted[url].pop(name, None)
        if not added and not dropped:
            return
        if url not in self.opened:
            self._open(url)
        elif self.full_state:
            version, nonce = self.accepted_version.get(url, ""), self.nonces.get(url, "")
            self.outbox.append(SotwRequest(url, tuple(sorted(names)), version, nonce))
        else:
            self.outbox.append(DeltaRequest(url, tuple(sorted(added)), tuple(sorted(dropped))))
