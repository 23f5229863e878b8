"""Envoy's metrics and those of applications are one answer that a scraper takes, or one push to a collector."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from compiler.dataplane.bootstrap import UnixSocket
from compiler.dataplane.http_client import Answer, Question, ask
from compiler.dataplane.http_server import serve
from compiler.dataplane.metrics import serving
from compiler.dataplane.metrics.collecting import Places
from compiler.dataplane.metrics.document import Selector, Sidecar, read_document
from compiler.dataplane.metrics.exposition import join_families, read_families, write_families
from compiler.dataplane.metrics.otlp import export_request
from compiler.dataplane.metrics.selection import matching, select
from compiler.dataplane.metrics.serving import Certificate, Metrics

ENVOY = """\
# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="backend"} 3
envoy_cluster_upstream_rq_total{envoy_cluster_name="system_ads"} 9
# TYPE envoy_cluster_lb_recalculate_zone_structures counter
envoy_cluster_lb_recalculate_zone_structures{envoy_cluster_name="backend"} 1
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="backend",le="5"} 1
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="backend",le="10"} 3
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="backend",le="+Inf"} 4
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="backend"} 40
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="backend"} 4
# TYPE envoy_server_live gauge
envoy_server_live{} 1
"""
APPLICATION = """\
# HELP orders_total Orders, all of "them".
# TYPE orders_total counter
orders_total{kind="a b,c",mesh="own"} 5 1700000000000
# TYPE process_open_fds gauge
process_open_fds 7
broken line here {
"""
DOCUMENT = {
    "schemaVersion": 1,
    "applications": [{"name": "shop", "path": "/applications/0"}, {"name": "down", "path": "/applications/1"}],
    "backends": [{"type": "Prometheus", "name": "default-backend", "path": "/metrics", "tls": "Disabled"}],
    "extraLabels": {"mesh": "default", "kuma_workload": "web"},
    "sidecar": {"includeUnused": False, "profiles": ["Basic"], "exclude": [], "include": []},
    "later": {"unknown": True},
}


def names(text: str, **sidecar: object) -> list[str]:
    return [family.name for family in select(read_families(text), Sidecar(**sidecar))]  # type: ignore[arg-type]


def test_what_is_read_is_written_again() -> None:
    families = read_families(APPLICATION)
    assert write_families(families) == "".join(f"{line}\n" for line in APPLICATION.splitlines()[:-1])


def test_a_label_is_added_where_the_series_has_none_of_its_own() -> None:
    (orders, fds) = read_families(APPLICATION)
    labels = {"mesh": "default", "zone": 'a"b\\c\n'}
    assert orders.samples[0].with_labels(labels).labels == 'kind="a b,c",mesh="own",zone="a\\"b\\\\c\\n"'
    assert fds.samples[0].with_labels({"mesh": "default"}).labels == 'mesh="default"'
    assert read_families("a{} 1\n")[0].samples[0].with_labels({"b": "c"}).labels == 'b="c"'


def test_families_and_series_of_one_name_come_once() -> None:
    other = "# TYPE orders_total counter\norders_total 1\n# TYPE process_open_fds counter\nprocess_open_fds 9\n"
    joined = write_families(join_families([read_families(APPLICATION), read_families(other + "orders_total 2\n")]))
    assert joined.count("# TYPE orders_total") == 1
    assert "orders_total 1\n" in joined
    assert "orders_total 2\n" not in joined
    assert "process_open_fds 9" not in joined
    assert len(list(text_string_to_metric_families(joined))) == 2


def test_a_basic_profile_leaves_out_what_nobody_watches_and_what_is_the_meshs_own() -> None:
    assert names(ENVOY) == ["envoy_cluster_upstream_rq_total", "envoy_cluster_upstream_rq_time", "envoy_server_live"]
    assert "system_ads" not in write_families(select(read_families(ENVOY), Sidecar()))
    assert len(names(ENVOY, profiles=("All",))) == 4
    assert "system_ads" in write_families(select(read_families(ENVOY), Sidecar(profiles=("All",))))
    assert names(ENVOY, profiles=("None",)) == []


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        (Selector("Prefix", "envoy_cluster_"), ["envoy_server_live"]),
        (Selector("Exact", "envoy_server_live"), ["envoy_cluster_upstream_rq_total", "envoy_cluster_upstream_rq_time"]),
        (Selector("Contains", "_rq_"), ["envoy_server_live"]),
        (Selector("Regex", "^envoy_.*_(total|time)$"), ["envoy_server_live"]),
    ],
)
def test_names_are_taken_out_and_put_back(selector: Selector, left: list[str]) -> None:
    assert names(ENVOY, exclude=(selector,)) == left
    assert set(names(ENVOY, exclude=(selector,), include=(selector,))) >= set(names(ENVOY))


def test_a_scraper_may_ask_for_some_names_and_cannot_make_us_work_for_ever() -> None:
    families = read_families(ENVOY + "a" * 5000 + " 1\n")
    assert [family.name for family in matching(families, "rq_t.t")] == ["envoy_cluster_upstream_rq_total"]
    assert list(matching(families, "^(a+)+!$")) == []
    with pytest.raises(ValueError, match=r"."):
        list(matching(families, "("))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schemaVersion": 2}, "is of version 2, not 1"),
        ({"applications": [{}]}, "cannot be read"),
        ({"backends": [{"type": "Prometheus", "socket": "../x.sock"}]}, "leads out of the working directory"),
    ],
)
def test_a_document_that_cannot_be_followed_is_refused(change: Mapping[str, object], reason: str) -> None:
    assert read_document(json.dumps(DOCUMENT).encode()).extra_labels["mesh"] == "default"
    with pytest.raises(ValueError, match=reason):
        read_document(json.dumps({**DOCUMENT, **change}).encode())


def test_otlp_says_what_prometheus_says() -> None:
    request = export_request(read_families(ENVOY + APPLICATION), "web", since=5)
    resource = request.resource_metrics[0]
    assert resource.resource.attributes[0].value.string_value == "web"
    metrics = {one.name: one for one in resource.instrumentation_library_metrics[0].metrics}
    total = metrics["envoy_cluster_upstream_rq_total".removesuffix("_total")].sum
    assert total.is_monotonic
    assert [(one.as_double, one.attributes[0].value.string_value) for one in total.data_points] == [
        (3, "backend"),
        (9, "system_ads"),
    ]
    (times,) = metrics["envoy_cluster_upstream_rq_time"].histogram.data_points
    assert (times.count, times.sum) == (4, 40)
    assert (list(times.explicit_bounds), list(times.bucket_counts)) == ([5, 10], [1, 2, 1])
    assert metrics["process_open_fds"].gauge.data_points[0].as_double == 7
    assert times.start_time_unix_nano == 5


def test_the_wire_is_that_of_otlp_1() -> None:
    """Field numbers of opentelemetry-proto 1.x, since the classes have names of before it."""
    request = export_request(read_families("# TYPE a gauge\na 1.5\n"), "web", since=0)
    scope = b"\x0a\x0a" + b"meshwright"
    assert b"\x12" in request.SerializeToString()
    raw = request.resource_metrics[0].SerializeToString()
    assert raw.startswith(b"\x0a")
    assert b"\x0a\x0c" + scope in raw[raw.index(b"\x12", 2) :]
    point = request.resource_metrics[0].instrumentation_library_metrics[0].metrics[0].gauge.data_points[0]
    assert b"\x21\x00\x00\x00\x00\x00\x00\xf8\x3f" in point.SerializeToString()


class Neighbourhood:
    """What Envoy is to us: its admin interface, the document, and the way to the applications."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(UnixSocket(folder / "admin.sock"), folder)
        self.document = DOCUMENT
        self.asked: list[str] = []

    async def admin(self, question: Question) -> Answer:
        self.asked.append(question.path)
        return Answer(200, {}, ENVOY.encode())

    async def meshmetric(self, question: Question) -> Answer:
        if question.path == "/applications/0":
            return Answer(200, {}, APPLICATION.encode())
        if question.path != "/meshmetric":
            return Answer(503)
        body = json.dumps(self.document).encode()
        tag = str(hash(body))
        return Answer(304) if question.headers.get("if-none-match") == tag else Answer(200, {"etag": tag}, body)


@asynccontextmanager
async def running(
    folder: Path, certificate: Certificate | None = None
) -> AsyncIterator[tuple[Metrics, Neighbourhood, UnixSocket]]:
    envoy = Neighbourhood(folder)
    metrics = Metrics(envoy.places, certificate)
    async with (
        asyncio.timeout(30),
        await asyncio.start_unix_server(serve(envoy.admin), folder / "admin.sock"),
        await metrics.listening(),
    ):
        task = asyncio.create_task(metrics.follow())
        try:
            yield metrics, envoy, UnixSocket(folder / "metrics.sock")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_EVERY_SECONDS", 0.02)


def test_a_scrape_holds_envoy_and_every_application_that_answers(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as (metrics, envoy, socket):
            assert (await ask(socket, Question("/meshmetric"))).status == 404
            async with await asyncio.start_unix_server(serve(envoy.meshmetric), tmp_path / "meshmetric.sock"):
                while metrics.wanted is None:
                    await asyncio.sleep(0.01)
                answer = await ask(socket, Question("/meshmetric"))
                text = answer.body.decode()
                assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
                assert (
                    'envoy_cluster_upstream_rq_total{envoy_cluster_name="backend",mesh="default",kuma_workload="web"} 3'
                    in text
                )
                assert 'process_open_fds{application="shop",mesh="default",kuma_workload="web"} 7' in text
                assert (
                    'orders_total{kind="a b,c",mesh="own",application="shop",kuma_workload="web"} 5 1700000000000'
                    in text
                )
                assert len(list(text_string_to_metric_families(text))) == 5
                assert envoy.asked == ["/stats?format=prometheus&text_readouts&usedonly"]
                filtered = await ask(socket, Question("/meshmetric?filter=open_fds%24"))
                assert [line.split("{")[0] for line in filtered.body.decode().splitlines()[1:]] == ["process_open_fds"]
                assert (await ask(socket, Question("/meshmetric?filter=("))).status == 400
            (tmp_path / "meshmetric.sock").unlink(missing_ok=True)
            while metrics.wanted is not None:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_scrapes_over_tls_need_a_certificate_and_follow_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def write(host: str) -> None:
        made = authority.issue_cert(host)
        made.private_key_pem.write_to_path(str(key))
        made.cert_chain_pems[0].write_to_path(str(chain))

    async def scrape(host: str) -> bytes:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        reader, writer = await asyncio.open_unix_connection(
            tmp_path / "metrics-tls-main.sock", ssl=context, server_hostname=host
        )
        writer.write(b"GET /secure HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def run() -> None:
        backend = {"type": "Prometheus", "name": "main", "path": "/secure", "tls": "ProvidedTLS"}
        async with running(tmp_path, Certificate(chain, key)) as (metrics, envoy, _):
            envoy.document = {**DOCUMENT, "backends": [{**backend, "socket": "metrics-tls-main.sock"}]}
            async with await asyncio.start_unix_server(serve(envoy.meshmetric), tmp_path / "meshmetric.sock"):
                while metrics.wanted is None:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                assert not (tmp_path / "metrics-tls-main.sock").exists()
                write("one.example")
                while not (tmp_path / "metrics-tls-main.sock").exists():
                    await asyncio.sleep(0.01)
                assert b"envoy_server_live" in await scrape("one.example")
                write("two.example")
                while True:
                    try:
                        assert b"200 OK" in await scrape("two.example")
                        break
                    except (ssl.SSLError, OSError):
                        await asyncio.sleep(0.05)

    asyncio.run(run())


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_is_pushed_to_as_often_as_it_says(tmp_path: Path, protocol: str) -> None:
    received: list[ExportMetricsServiceRequest] = []

    async def run() -> None:
        backend = {"type": "OpenTelemetry", "name": "c", "socket": "otel.sock", "protocol": protocol}
        async with running(tmp_path) as (_, envoy, _socket), _collector(tmp_path / "otel.sock", protocol, received):
            envoy.document = {**DOCUMENT, "backends": [{**backend, "path": "/v1/metrics", "refreshInterval": "1s"}]}
            async with await asyncio.start_unix_server(serve(envoy.meshmetric), tmp_path / "meshmetric.sock"):
                while len(received) < 2:
                    await asyncio.sleep(0.01)

    asyncio.run(run())
    found = {one.name for one in received[0].resource_metrics[0].instrumentation_library_metrics[0].metrics}
    assert {"envoy_server_live", "process_open_fds"} <= found


@asynccontextmanager
async def _collector(path: Path, protocol: str, received: list[ExportMetricsServiceRequest]) -> AsyncIterator[None]:
    if protocol == "http":

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"POST /v1/metrics HTTP/1.1\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            received.append(ExportMetricsServiceRequest.FromString(await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_unix_server(take, path):
            yield
        return

    async def export(request: ExportMetricsServiceRequest, _: object) -> bytes:
        received.append(request)
        return b""

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(export, ExportMetricsServiceRequest.FromString)
    service = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
