"""Waiting for a proxy ends with its readiness, or with the reason."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from compiler.cli.exits import FINE, UNREACHABLE, USAGE
from compiler.cli.main import run
from compiler.dataplane.bootstrap import DataplaneError
from compiler.dataplane.ready import wait_until_ready


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[int]]]:
    """Answers with the given statuses, the last one for ever."""
    statuses = [200]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ready", statuses
        server.shutdown()


def test_it_waits_through_answers_that_say_no(proxy: tuple[str, list[int]]) -> None:
    url, statuses = proxy
    statuses[:] = [503, 200]
    wait_until_ready(url, 30)
    assert statuses == [200]


def test_it_gives_up_with_the_last_reason(proxy: tuple[str, list[int]]) -> None:
    url, statuses = proxy
    statuses[:] = [503]
    with pytest.raises(DataplaneError, match="it answered 503"):
        wait_until_ready(url, 0)


@pytest.mark.parametrize("url", ["nonsense", "https://127.0.0.1:1/", "http://[::1/", "http://a b/", "http://a:x/"])
def test_what_is_no_address_is_wrong_use(url: str) -> None:
    assert run(["dataplane", "wait", "--url", url]) == USAGE


def test_nobody_listens() -> None:
    with pytest.raises(DataplaneError, match="refused"):
        wait_until_ready("http://127.0.0.1:1/ready", 0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:9901", "http:///x"])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(DataplaneError, match="no HTTP address"):
        wait_until_ready(url, 0)


def test_the_command_says_how_it_went(proxy: tuple[str, list[int]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataplane", "wait", "--url", proxy[0]]) == FINE
    assert run(["dataplane", "wait", "--url", "http://127.0.0.1:1/ready", "--timeout", "0"]) == UNREACHABLE
    assert "was not ready in 0s" in capsys.readouterr().err
