"""What the sidecar is told, it can read."""

from dataclasses import replace

from compiler.cli.dataplane import run
from compiler.inject.containers import sidecar_container
from compiler.inject.settings import InjectSettings

PREFIX = "MESHWRIGHT_DATAPLANE_RUN_"
ANNOTATIONS = {
    "kuma.io/builtin-dns": "enabled",
    "kuma.io/builtin-dns-port": "15053",
    "kuma.io/envoy-log-level": "debug",
    "kuma.io/envoy-component-log-level": "http:debug",
    "kuma.io/xds-transport-protocol-variant": "GRPC",
    "kuma.io/application-probe-proxy-port": "9001",
    "k8s.kuma.io/spire-support": "true",
}
NOT_READ = {"SPIRE"}
"""A variable for an option that `meshwright dataplane run` does not have: it warns of it and starts."""


def test_every_variable_of_the_sidecar_is_an_option_of_what_it_runs() -> None:
    settings = replace(InjectSettings(), ca_cert="x")
    container = sidecar_container(ANNOTATIONS, settings, {"mesh": "m", "workload": "w"}, ())
    names = {each["name"].removeprefix(PREFIX) for each in container["env"] if each["name"].startswith(PREFIX)}
    options = {name.upper() for name in run.__annotations__}
    assert names - options == NOT_READ


def test_every_word_of_the_sidecar_is_one_of_the_command_line() -> None:
    args = sidecar_container({}, InjectSettings(), {"mesh": "m", "workload": "w"}, ())["args"]
    assert args == ["dataplane", "run", "--concurrency=2"]
    assert "concurrency" in run.__annotations__
