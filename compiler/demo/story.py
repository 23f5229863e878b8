"""The demo from beginning to end: each step does one thing, says it in a sentence, and fails if it was not so."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from compiler.demo.calls import Calls
from compiler.demo.failure import require
from compiler.demo.page import Page, milliseconds
from compiler.demo.reconciler import Reconciler, digest_of, last_ack
from compiler.demo.remote import Pushed, Remote, git
from compiler.demo.shop import Workload
from compiler.demo.stage import PATIENCE, Stage
from compiler.demo.traffic import Answer, Caller, Watch, calling, count_connections, watching

SAMPLE: Final = 1000
"""Of so many answers, the share of a fifth is off by more than five points once in ten thousand runs."""
_SECONDS: Final = 10.0
_FILES_SHOWN: Final = 34
_ROUTES: Final = "teams/storefront/routes.yaml"
_PERMISSIONS: Final = "teams/platform/permissions.yaml"
_DEFAULTS: Final = "mesh/defaults.yaml"
_FRONTEND: Final = "          - spiffeID: {type: Exact, value: spiffe://shop/frontend}\n"
_STABLE: Final = {"v1}\n                weight: 100\n": "v1}\n                weight: 80\n"}
_CANARY: Final = {"v2}\n                weight: 0\n": "v2}\n                weight: 20\n"}


@dataclass(frozen=True)
class Story:
    """What the steps lean on; `first_digest` is what was served at the beginning."""

    page: Page
    stage: Stage
    remote: Remote
    reconciler: Reconciler
    first_digest: str

    @property
    def frontend(self) -> Workload:
        return self.stage.shop["frontend"]

    @property
    def newsletter(self) -> Workload:
        return self.stage.shop["newsletter-1"]

    def tell(self) -> None:
        """Every step; raises DemoFailed at the first that is not as it says."""
        calls = Calls(self.page, self.stage.shop)
        calls.succeed(self.frontend)
        calls.are_refused(self.newsletter)
        shift = self.traffic_shifts()
        self.permission_comes_and_goes()
        mistake = self.mistake_is_refused()
        self.revert_returns(shift, mistake)
        self.show_snapshots()

    def traffic_shifts(self) -> Pushed:
        self.page.step("A commit sends a fifth of the traffic to version 2")
        with self._live(self.frontend, lambda answer: answer.version == "v2") as watch:
            pushed = self.remote.edit(_ROUTES, _STABLE | _CANARY, "storefront: a fifth of the traffic to backend v2")
            effect = watch.wait_turned(_SECONDS)
        self._say_commit(pushed)
        self._measure(pushed, effect, "first answer of v2")
        share = self._share_of_v2()
        require(0.15 <= share <= 0.25, f"{share:.1%} of the answers came from v2, and not about 20 %")
        self.page.measure(f"share of v2 in {SAMPLE:,} answers", f"{share:.1%}")
        return pushed

    def _share_of_v2(self) -> float:
        with calling(self.frontend.outbounds["backend"]) as caller:
            answers = [caller.get() for _ in range(SAMPLE)]
        require(all(answer.status == 200 for answer in answers), "a request failed after the shift")
        return sum(answer.version == "v2" for answer in answers) / SAMPLE

    def permission_comes_and_goes(self) -> None:
        self.page.step("The newsletter is permitted to call the backend, and then no longer")
        before = digest_of(self.reconciler.status())
        with calling(self.newsletter.outbounds["backend"]) as caller:
            _warm(caller)
            opened = self._connections(self.newsletter)
            granted = self._grant(caller)
            withdrawn = self._withdraw(caller, granted)
        status = self.reconciler.wait_served(withdrawn.commit, _SECONDS)
        require(digest_of(status) == before, "the digest is another one after the permission was withdrawn")
        added = self._connections(self.newsletter) - opened
        require(added == 0, f"{added} new connections were opened, so it was not shown on kept-alive ones")
        self.page.note("all of it on the same kept-alive connections: none was closed, none opened")

    def _connections(self, workload: Workload) -> int:
        return count_connections(self.stage.admin(workload.name), "backend")

    def _grant(self, caller: Caller) -> Pushed:
        both = _FRONTEND + _FRONTEND.replace("frontend", "newsletter")
        with watching(caller, lambda answer: answer.status == 200) as watch:
            pushed = self.remote.edit(_PERMISSIONS, {_FRONTEND: both}, "platform: the newsletter may call the backend")
            effect = watch.wait_settled(_SECONDS)
        self._say_commit(pushed)
        self._measure(pushed, effect, "allowed on every replica")
        return pushed

    def _withdraw(self, caller: Caller, granted: Pushed) -> Pushed:
        with watching(caller, lambda answer: answer.status == 403) as watch:
            pushed = self.remote.revert([granted.commit])
            effect = watch.wait_settled(_SECONDS)
        self._say_commit(pushed)
        self._measure(pushed, effect, "refused on every replica")
        return pushed

    def mistake_is_refused(self) -> Pushed:
        self.page.step("A commit with a mistake is refused, while traffic goes on")
        before = self.reconciler.status()["serving"]
        with self._live(self.frontend, lambda answer: answer.status == 200) as watch:
            mistake = {"requestTimeout: 10s": "requestTimeot: 10s"}
            pushed = self.remote.edit(_DEFAULTS, mistake, "platform: shorter timeouts")
            status = self._wait_refused(pushed)
            time.sleep(1.0)
        require(len(watch.answers) > 0, "no request was answered")
        self._say_commit(pushed)
        self._say_finding(status["candidate"]["diagnostics"])
        after = self.reconciler.status()["serving"]
        require((after["commit"], after["digest"]) == (before["commit"], before["digest"]), "the mistake is served")
        self.page.note(f"commit {before['commit'][:7]} stays in force")
        self.page.measure("requests meanwhile", f"{len(watch.answers):,}")
        self.page.measure("requests that failed", "0")
        return pushed

    def _wait_refused(self, pushed: Pushed) -> Mapping[str, Any]:
        def is_refused(status: Mapping[str, Any]) -> bool:
            candidate = status["candidate"]
            return bool(candidate["commit"] == pushed.commit and candidate["state"] == "refused")

        return self.reconciler.wait(f"commit {pushed.short} is refused", is_refused, _SECONDS)

    def _say_finding(self, findings: Sequence[Mapping[str, Any]]) -> None:
        """The place must be that of the mistake in the working copy."""
        lines = (self.remote.work / _DEFAULTS).read_text(encoding="utf-8").splitlines()
        line = next(number for number, text in enumerate(lines, 1) if "requestTimeot" in text)
        expected = f"{_DEFAULTS}:{line}:{lines[line - 1].index('requestTimeot') + 1}"
        places = [f"{found['file']}:{found['line']}:{found['column']}" for found in findings]
        require(places == [expected], f"the mistake stands at {expected}, and was reported at {places}")
        found = findings[0]
        self.page.note(f"{expected}: {found['severity']}[{found['code']}]: {found['message']}")
        self.page.note(f"= {found['hint']}")

    def revert_returns(self, shift: Pushed, mistake: Pushed) -> None:
        self.page.step("Two reverts return to the digest of the beginning")
        with self._live(self.frontend, lambda answer: answer.status == 200):
            pushed = self.remote.revert([mistake.commit, shift.commit])
            status = self._wait_delivered(pushed)
        self._say_commit(pushed)
        self.page.measure("commit → last ACK", milliseconds(last_ack(status) - pushed.moved))
        share = self._share_of_v2()
        require(share == 0, f"{share:.1%} of the answers still came from v2")
        self.page.measure(f"share of v2 in {SAMPLE:,} answers", f"{share:.1%}")
        digest = digest_of(status)
        require(digest == self.first_digest, f"the digest is {digest}, and was {self.first_digest}")
        self.page.note(f"{digest}, as at the beginning")

    def show_snapshots(self) -> None:
        self.page.step("What was served is a Git history too")
        repository = self.stage.snapshots
        published = git("rev-parse", "published:meshes", at=repository).strip()
        require(f"sha1:{published}" == self.first_digest, f"published is the tree {published}, not what is served")
        self.page.note(f"git -C {repository} log --stat")
        log = git("log", f"--stat={self.page.room}", "--format=%n%h %s", at=repository)
        require(log.count(" generation ") >= 5, f"five generations were published, and the log shows:\n{log}")
        self.page.quote(_beginning([line for line in log.splitlines() if line], _FILES_SHOWN))

    @contextmanager
    def _live(self, workload: Workload, is_new: Callable[[Answer], bool]) -> Iterator[Watch]:
        """Traffic while the block runs, in which nothing may fail."""
        with calling(workload.outbounds["backend"]) as caller:
            with watching(caller, is_new) as watch:
                yield watch
            require(not watch.lost, watch.lost)
            failed = [answer.text for answer in watch.answers if answer.status != 200]
            require(not failed, f"{len(failed)} of {len(watch.answers)} requests failed: {failed[:1]}")

    def _say_commit(self, pushed: Pushed) -> None:
        self.page.note(f"{pushed.short} {self.remote.subject(pushed)}")
        self.page.quote(f"  {line}" for line in self.remote.changes(pushed))

    def _measure(self, pushed: Pushed, effect: float, what: str) -> None:
        status = self._wait_delivered(pushed)
        self.page.measure(f"commit → {what}", milliseconds(effect - pushed.moved))
        self.page.measure("commit → last ACK", milliseconds(last_ack(status) - pushed.moved))

    def _wait_delivered(self, pushed: Pushed) -> Mapping[str, Any]:
        return self.reconciler.wait_delivered(pushed.commit, len(self.stage.shop), PATIENCE)


def _warm(caller: Caller) -> None:
    """Until the proxy has a connection to every instance that it will use."""
    for _ in range(50):
        require(caller.get().status == 403, "the newsletter was let through before it was permitted")


def _beginning(lines: Sequence[str], most: int) -> Iterator[str]:
    """The first generation stands last and holds every file."""
    yield from lines[:most]
    if len(lines) > most:
        yield f"… {len(lines) - most} lines more"
