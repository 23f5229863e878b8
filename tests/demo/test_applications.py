"""The demo's applications over real sockets."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compiler.demo.applications import KeyValueStore, split_name

ROOT = Path(__file__).parents[2]


@contextmanager
def running(name: str, kind: str, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "compiler.demo.applications", "--name", name, "--kind", kind, *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, json.loads(process.stdout.readline() or "{}")
        finally:
            process.kill()


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    with running("backend-v1", "http") as (_, ready):
        yield ready["port"]


@pytest.fixture(scope="module")
def store() -> Iterator[int]:
    with running("store", "tcp") as (_, ready):
        yield ready["port"]


def test_the_ready_line_names_the_port() -> None:
    with running("backend-v2", "http") as (_, ready):
        assert ready == {"event": "ready", "name": "backend-v2", "kind": "http", "port": ready["port"]}
        socket.create_connection(("127.0.0.1", ready["port"]), timeout=5).close()


def test_one_connection_carries_many_requests_and_each_says_who_answers(backend: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", backend, timeout=5)
    connection.connect()
    first_socket = connection.sock
    counts = []
    for path in ("/", "/orders?id=1"):
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        assert (answer["service"], answer["version"], answer["path"]) == ("backend", "v1", path)
        assert answer["caller"] is None
        counts.append(answer["requests"])
    assert counts[1] == counts[0] + 1
    assert connection.sock is first_socket


def test_the_callers_certificate_is_shown(backend: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", backend, timeout=5)
    connection.request("GET", "/", headers={"X-Forwarded-Client-Cert": "URI=spiffe://default/web"})
    assert json.loads(connection.getresponse().read())["caller"] == "URI=spiffe://default/web"


def test_a_body_is_read_and_head_has_none(backend: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", backend, timeout=5)
    connection.request("POST", "/", body=b"x" * 300_000)
    assert json.loads(connection.getresponse().read())["method"] == "POST"
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    connection.request("GET", "/after")
    assert json.loads(connection.getresponse().read())["path"] == "/after"


def test_a_caller_that_waits_to_be_invited_is_invited(backend: int) -> None:
    with socket.create_connection(("127.0.0.1", backend), timeout=5) as caller, caller.makefile("rb") as answers:
        caller.sendall(b"PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert answers.readline().startswith(b"HTTP/1.1 100")
        caller.sendall(b"hi")
        assert answers.readline() == b"\r\n"
        assert answers.readline().startswith(b"HTTP/1.1 200")


def test_requests_sent_ahead_are_all_answered(backend: int) -> None:
    with socket.create_connection(("127.0.0.1", backend), timeout=5) as caller:
        caller.sendall(b"GET /1 HTTP/1.1\r\nHost: b\r\n\r\n" * 2 + b"GET /3 HTTP/1.0\r\n\r\n")
        answers = b"".join(iter(lambda: caller.recv(65_536), b""))
    assert answers.count(b"HTTP/1.1 200") == 3


def test_what_is_no_http_is_hung_up_on_and_others_are_served(backend: int) -> None:
    with socket.create_connection(("127.0.0.1", backend), timeout=5) as caller:
        caller.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert caller.recv(1) == b""
    connection = http.client.HTTPConnection("127.0.0.1", backend, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200


def test_the_store_keeps_what_it_is_told_across_connections(store: int) -> None:
    def say(*lines: str) -> list[str]:
        with socket.create_connection(("127.0.0.1", store), timeout=5) as caller, caller.makefile("rw") as stream:
            answers = []
            for line in lines:
                stream.write(line + "\n")
                stream.flush()
                answers.append(stream.readline().strip())
            return answers

    assert say("PING", "GET colour", "SET colour dark blue") == ["PONG", "NIL", "OK"]
    assert say("GET colour", "DEL colour", "DEL colour") == ["dark blue", "OK", "NIL"]
    assert say("DROP TABLE")[0].startswith("ERR say SET")


def test_an_endless_line_is_refused(store: int) -> None:
    with socket.create_connection(("127.0.0.1", store), timeout=5) as caller, caller.makefile("rb") as answers:
        caller.sendall(b"SET a " + b"x" * 70_000)
        assert answers.readline() == b"ERR a line has at most 65536 bytes\n"


def test_a_full_store_still_changes_what_it_holds() -> None:
    store = KeyValueStore({str(number): "" for number in range(100_000)})
    assert store.answer("SET another 1") == "ERR full: 100000 keys"
    assert store.answer("SET 7 changed") == "OK"
    assert store.answer("GET 7") == "changed"


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_sigterm_ends_it_with_zero_even_with_a_caller_connected(kind: str) -> None:
    with running("backend-v1", kind) as (process, ready):
        with socket.create_connection(("127.0.0.1", ready["port"]), timeout=5):
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_taken_port_is_named(backend: int) -> None:
    with running("backend-v1", "http", "--port", str(backend)) as (process, ready):
        assert not ready
        assert process.wait(5) == 1
        assert process.stderr
        assert f"cannot listen on 127.0.0.1:{backend}" in process.stderr.read()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("backend-v1", ("backend", "v1")),
        ("demo-app-v12", ("demo-app", "v12")),
        ("web", ("web", None)),
        ("v1", ("v1", None)),
    ],
)
def test_a_name_holds_service_and_version(name: str, parts: tuple[str, str | None]) -> None:
    assert split_name(name) == parts
