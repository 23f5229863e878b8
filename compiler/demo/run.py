"""The demo as a program: what it needs, what it starts and ends, and what its exit code says."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Final

from compiler.demo.children import Children, Signals
from compiler.demo.failure import FAILED, UNAVAILABLE, CannotStart, DemoFailed, Interrupted
from compiler.demo.page import Page
from compiler.demo.remote import Remote, require_git
from compiler.demo.shop import read_shop, require_free
from compiler.demo.stage import PATIENCE, Stage, require_envoy
from compiler.demo.story import Story

_ABOUT: Final = "A commit reaches real Envoys; every sentence that is printed was checked."
EXAMPLE: Final = Path(__file__).resolve().parent.parent.parent / "examples" / "repo"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if everything was as it says, 1 with the step named if not, 69 where something is missing, 128 + a signal."""
    parser = argparse.ArgumentParser(prog="python -m compiler.demo", description=_ABOUT)
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, until Ctrl-C")
    chosen = parser.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    page, signals = Page(), Signals()
    signals.install()
    try:
        return _run(page, signals, keep=chosen.keep)
    except CannotStart as reason:
        page.bad(str(reason))
        return UNAVAILABLE
    except DemoFailed as failure:
        head, _, words = str(failure).partition("\n")
        page.bad(f"FAILED at “{page.step_name}”: {head}")
        page.quote(words.splitlines())
        return FAILED
    except Interrupted as interruption:
        page.say("Ended by a signal; nothing of what it had started is left.")
        return 128 + interruption.number


def _run(page: Page, signals: Signals, *, keep: bool) -> int:
    page.title("meshwright: a commit reaches real Envoys")
    require_git()
    envoy, version = require_envoy()
    shop = read_shop(EXAMPLE)
    require_free(shop)
    with ExitStack() as ending:
        with signals:
            made = tempfile.TemporaryDirectory(prefix="mesh-demo-", ignore_cleanup_errors=True)
            folder = Path(ending.enter_context(made))
        children = Children(folder / "logs", signals)
        ending.callback(children.stop)
        ending.callback(signals.ignore)
        with _explained(children):
            story = _open(page, Stage(folder, envoy, shop, children), version)
            story.tell()
            page.good(f"All of it was so, in {page.elapsed:.0f} s.")
            if keep:
                _keep(page, story)
    return 0


@contextmanager
def _explained(children: Children) -> Iterator[None]:
    """Where a connection fails, whoever ended at its other side is to be named."""
    try:
        yield
    except (OSError, HTTPException) as error:
        children.require_alive()
        raise DemoFailed(f"a connection failed: {error!r}") from error


def _open(page: Page, stage: Stage, version: str) -> Story:
    """A remote, an authority, the reconciler, applications and Envoys."""
    page.step("A bare Git remote is made from examples/repo")
    remote = Remote.create(EXAMPLE, stage.folder)
    page.note(f"{remote.bare}, branch main at {remote.head()[:7]}")
    page.step("An authority for mutual TLS is made, outside of Git")
    authority = stage.create_authority()
    page.note(f"meshwright ca create {stage.mesh} --out {authority}")
    page.step("The reconciler follows the branch, and the applications start")
    stage.start_reconciler(remote, authority)
    for workload in stage.shop.values():
        stage.start_application(workload)
    reconciler, digest = stage.wait_reconciler()
    page.note(f"meshwright serve --repo {remote.bare}")
    page.note(f"serves {digest}")
    page.step(f"{len(stage.shop)} Envoys {version} connect, each beside its application")
    for workload in stage.shop.values():
        stage.start_envoy(workload, reconciler)
    stage.wait_listening()
    reconciler.wait_accepted(remote.head(), len(stage.shop), PATIENCE)
    page.note(f"{', '.join(stage.shop)}: each has accepted its snapshot")
    return Story(page, stage, remote, reconciler, digest)


def _keep(page: Page, story: Story) -> None:
    """Until a signal, or until something of it ends by itself."""
    page.say("It goes on running. What to try, in another terminal:")
    for heading, commands in _suggestions(story).items():
        page.say(heading)
        for line in commands:
            page.command(line)
    page.say("Ctrl-C ends all of it.")
    with suppress(Interrupted):
        while True:
            story.stage.children.require_alive()
            time.sleep(0.5)


def _suggestions(story: Story) -> Mapping[str, tuple[str, ...]]:
    meshwright = Path(sys.executable).parent / "meshwright"
    return {
        "Call the backend, as the frontend and as the newsletter:": (
            f"curl http://{story.frontend.outbounds['backend']}/",
            f"curl -i http://{story.newsletter.outbounds['backend']}/",
        ),
        "Send traffic elsewhere, or make a mistake, and watch what becomes of it:": (
            f"cd {story.remote.work}",
            "$EDITOR teams/storefront/routes.yaml",
            "git commit -am 'my own canary' && git push",
            f"{meshwright} status --http {story.reconciler.http}",
        ),
        "See what each commit did to each proxy:": (f"git -C {story.stage.snapshots} log -p",),
    }
