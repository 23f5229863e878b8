"""Logs, spans and metrics arrive where policies send them, and say what happened."""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics

from tests.e2e.collectors import METRICS_METHOD, answering, attributes, running_collector, wait_for
from tests.e2e.places import free_port
from tests.e2e.shop import Shop, permissions, weights
from tests.e2e.traffic import PATIENCE, ask, calling, get


def policy(kind: str, spec: str, target: str = "") -> str:
    """`spec` is YAML in one line."""
    selected = f"targetRef: {{kind: Dataplane, labels: {{app: {target}}}}}, " if target else ""
    return f"type: {kind}\nmesh: shop\nname: {target or 'all'}\nspec: {{{selected}{spec}}}\n"


def backend(file: Path, *, more: str = "", **members: str) -> str:
    pairs = ", ".join(f'{{key: {key}, value: "{value}"}}' for key, value in members.items())
    return f"{{type: File, file: {{path: {file}, format: {{type: Json, json: [{pairs}]}}}}{more}}}"


def lines(file: Path, number: int) -> list[dict[str, Any]]:
    """As soon as there are so many."""
    read = wait_for(lambda: file.exists() and len(text := file.read_text().splitlines()) >= number and text)
    return [json.loads(line) for line in read]


def test_a_line_says_who_called_whom(shop: Shop, tmp_path: Path) -> None:
    members = {
        "who": "%KUMA_SOURCE_SERVICE%",
        "whom": "%KUMA_DESTINATION_SERVICE%",
        "from": "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%",
        "how": "%KUMA_TRAFFIC_DIRECTION% %KUMA_MESH%",
        "code": "%RESPONSE_CODE%",
    }
    out, inside, slow = (tmp_path / name for name in ("out", "in", "slow"))
    filters = ", filters: {status: {min: 500}, duration: {min: 200ms}}"
    to = f"to: [{{targetRef: {{kind: MeshService, name: api}}, default: {{backends: [{backend(out, **members)}]}}}}]"
    rules = (
        f"rules: [{{default: {{backends: [{backend(inside, **members)}, {backend(slow, more=filters, **members)}]}}}}]"
    )
    shop.applied(
        logs=policy("MeshAccessLog", to, "client"), inbound=policy("MeshAccessLog", rules, "api"), routes=weights(1, 0)
    )
    assert get(shop.places["client_api"], "/status/201").status == 201

    assert [{**line, "from": ""} for line in lines(out, 1)] == [
        {"who": "client", "whom": "api", "from": "", "how": "OUTBOUND shop", "code": 201}
    ]
    (line,) = lines(inside, 1)
    assert line["who"].startswith("spiffe://shop/client")
    assert (line["whom"], line["how"], line["code"]) == ("api", "INBOUND shop", 201)
    assert line["from"].startswith("127.")
    assert not slow.exists() or not slow.read_text()


def test_each_rule_logs_the_callers_that_it_names(shop: Shop, tmp_path: Path) -> None:
    match = "matches: [{spiffeID: {type: Exact, value: spiffe://shop/%s}}]"
    files = {name: tmp_path / name for name in ("all", "client", "guest", "store")}
    rules = ", ".join(
        f"{{{about}default: {{backends: [{backend(files[name], p='%PROTOCOL%')}]}}}}"
        for name, about in (("all", ""), ("client", f"{match % 'client'}, "), ("guest", f"{match % 'guest'}, "))
    )
    store = f"rules: [{{{match % 'client'}, default: {{backends: [{backend(files['store'], p='%BYTES_SENT%')}]}}}}]"
    shop.applied(
        http=policy("MeshAccessLog", f"rules: [{rules}]", "api"),
        tcp=policy("MeshAccessLog", store, "store"),
        permissions=permissions("client", "guest"),
    )
    shop.drained()
    for _ in range(2):
        assert get(shop.places["client_api"]).status == 200
    forged = {"x-forwarded-client-cert": "URI=spiffe://shop/client"}
    assert get(shop.places["guest_api"], "/", **forged).status == 200
    assert ask(shop.places["client_store"], "get")

    assert len(lines(files["all"], 3)) == 3
    assert len(lines(files["guest"], 1)) == 1
    assert len(lines(files["client"], 2)) == 2
    assert len(lines(files["store"], 1)) == 1


def test_a_route_logs_its_requests_and_its_destination_the_others(shop: Shop, tmp_path: Path) -> None:
    route = """\
type: MeshHTTPRoute
mesh: shop
name: special
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: MeshService, name: api}
      rules:
        - matches: [{path: {type: Exact, value: /status/201}}]
          default: {backendRefs: [{kind: MeshService, name: api}]}
        - matches: [{path: {type: Exact, value: /status/202}}]
          default: {filters: [{type: RequestRedirect, requestRedirect: {hostname: elsewhere}}]}
"""
    own, rest = tmp_path / "own", tmp_path / "rest"
    ours, others = (f"default: {{backends: [{backend(file, c='%RESPONSE_CODE%')}]}}" for file in (own, rest))
    destination, special = (
        "targetRef: {kind: MeshService, name: api}",
        "targetRef: {kind: MeshHTTPRoute, name: special}",
    )
    to = f"to: [{{{destination}, {others}}}, {{{special}, {ours}}}]"
    shop.applied(route=route, logs=policy("MeshAccessLog", to, "client"))
    with calling(shop.places["client_api"]) as caller:
        codes = [caller.get(path).status for path in ("/status/201", "/status/202", "/status/203", "/")]

    assert codes[:2] == [201, 302]
    assert [line["c"] for line in lines(own, 2)] == [201, 302]
    assert [line["c"] for line in lines(rest, 2)] == codes[2:]


def test_lines_for_a_tcp_collector_come_by_the_pipe(shop: Shop) -> None:
    pipe = shop.envoys["client"].folder / "access-logs.pipe"
    os.mkfifo(pipe, 0o600)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        form = '{type: Plain, plain: "a \\"quoted\\" %RESPONSE_CODE%"}'
        conf = f"{{backends: [{{type: Tcp, tcp: {{address: 'logs:5000', format: {form}}}}}]}}"
        to = f"to: [{{targetRef: {{kind: MeshService, name: api}}, default: {conf}}}]"
        shop.applied(logs=policy("MeshAccessLog", to, "client"))
        get(shop.places["client_api"], "/status/201")
        read = wait_for(lambda: _read(reader))
        assert json.loads(read) == {"address": "logs:5000", "message": 'a "quoted" 201'}
    finally:
        os.close(reader)
        pipe.unlink()


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except BlockingIOError:
        return b""


def test_spans_and_records_arrive_at_a_collector(shop: Shop) -> None:
    with running_collector() as collector:
        otel = "type: OpenTelemetry, openTelemetry: {backendRef: {kind: MeshOpenTelemetryBackend, name: otel}"
        backends = f"backends: [{{{otel}}}}}]"
        body = (
            ", body: {stringValue: '%RESPONSE_CODE%'}, attributes: [{key: whom, value: '%KUMA_DESTINATION_SERVICE%'}]"
        )
        logged = f"backends: [{{{otel}{body}}}}}]"
        where = f"{{endpoint: {{address: localhost, port: {collector.port}}}}}"
        shop.applied(
            otel=f"type: MeshOpenTelemetryBackend\nmesh: shop\nname: otel\nspec: {where}\n",
            traces=policy("MeshTrace", f"default: {{{backends}, tags: [{{name: team, literal: web}}]}}"),
            logs=policy(
                "MeshAccessLog",
                f"to: [{{targetRef: {{kind: MeshService, name: api}}, default: {{{logged}}}}}]",
                "client",
            ),
            routes=weights(1, 0),
        )
        with calling(shop.places["client_api"]) as caller:
            for _ in range(10):
                assert caller.get("/status/201").status == 201

        assert wait_for(lambda: {service for service, _ in collector.spans} >= {"client", "api"})

        def traces(of: str) -> set[bytes]:
            return {span.trace_id for service, span in collector.spans if service == of}

        assert wait_for(lambda: traces("api") <= traces("client") | {b""})
        sent = next(span for service, span in collector.spans if service == "client")
        assert attributes(sent)["team"] == "web"
        assert attributes(sent)["kuma.mesh"] == "shop"
        record = wait_for(lambda: collector.records)[0]
        assert record.body.string_value == "201"
        assert attributes(record) == {"whom": "api"}


def test_metrics_are_scraped_through_the_proxy(shop: Shop) -> None:
    client, port, secured = shop.envoys["client"], free_port(), free_port()
    app = shop.places["app1"]
    with running_collector() as collector, answering(client.folder / "metrics.sock", "a_metric 1\n") as asked:
        backends = (
            f"{{type: Prometheus, prometheus: {{port: {port}, path: /stats}}}},"
            f" {{type: Prometheus, prometheus: {{clientId: tls, port: {secured}, tls: {{mode: ProvidedTLS}}}}}},"
            f" {{type: OpenTelemetry, openTelemetry: {{endpoint: '127.0.0.1:{collector.port}'}}}}"
        )
        applications = f"[{{name: app, port: {app.port}, address: {app.host}, path: /status/207}}]"
        conf = f"default: {{backends: [{backends}], applications: {applications}}}"
        shop.applied(metrics=policy("MeshMetric", conf, "client"))
        client.wait_live()
        host = shop.places["client"].host

        assert _scrape(host, port, "/stats?filter=a") == (200, "a_metric 1\n")
        assert asked == ["/meshmetric?filter=a"]
        assert _knock(host, secured) == b""

        document, tag = _asked(client.folder / "meshmetric.sock", "/meshmetric")
        assert _asked(client.folder / "meshmetric.sock", "/meshmetric", tag) == (None, tag)
        assert [one["type"] for one in document["backends"]] == ["Prometheus", "Prometheus", "OpenTelemetry"]
        assert document["extraLabels"]["kuma_io_service"] == "client"
        assert _status(client.folder / "meshmetric.sock", document["applications"][0]["path"]) == 207

        with grpc.insecure_channel(f"unix:{client.folder / document['backends'][2]['socket']}") as channel:
            export = channel.unary_unary(METRICS_METHOD, lambda one: one.SerializeToString(), lambda _: b"")
            export(metrics.ExportMetricsServiceRequest(), timeout=PATIENCE)
        assert len(collector.requests["metrics"]) == 1


def _scrape(host: str, port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _knock(host: str, port: int) -> bytes:
    """What plaintext gets where nobody has a certificate."""
    with socket.create_connection((host, port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
        try:
            return connection.recv(4096)
        except ConnectionResetError:
            return b""


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("beside", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def _asked(path: Path, target: str, tag: str = "") -> tuple[Any, str]:
    connection = _Unix(path)
    try:
        connection.request("GET", target, headers={"if-none-match": tag} if tag else {})
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text) if answer.status == 200 else None, answer.headers["etag"]
    finally:
        connection.close()


def _status(path: Path, target: str) -> int:
    connection = _Unix(path)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()
