"""The file of settings: every key means something, and a wrong one is named."""

import re
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from compiler.inject.quantities import is_quantity, read_duration, read_quantity
from compiler.inject.settings import InjectSettings, Share
from compiler.inject.settings_file import camel, read_inject_settings

ROOT = Path(__file__).parents[2]


def _read(text: str) -> InjectSettings:
    checked = read_inject_settings("inject.yaml", text.encode())
    assert checked.diagnostics == ()
    return checked.value


def test_an_empty_file_is_the_defaults() -> None:
    assert _read("") == InjectSettings()


def test_what_is_said_changes_and_the_rest_stays() -> None:
    settings = _read(
        "server: x:1\n"
        "sidecar: {limits: {cpu: '4', memory: 1Gi}, env: {A: b}}\n"
        "traffic: {cni: true, excludeInboundPorts: [80]}\n"
        "probes: {applicationPort: 0}\n"
        "selection: {namespaces: [shop]}\n"
        "dataplanes: {podCidrs: [10.0.0.0/8]}\n"
    )
    assert settings.sidecar.limits == Share("4", "1Gi")
    assert settings.sidecar.requests == Share("50m", "64Mi")
    assert (settings.traffic.cni, settings.traffic.exclude_inbound_ports) == (True, (80,))
    assert settings.probes.application_port == 0
    assert settings.selection.namespaces == ("shop",)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("servr: x:1\n", "unknown-field", 1),
        ("sidecar:\n  imag: x\n", "unknown-field", 2),
        ("sidecar:\n  drainTime: 30\n", "wrong-type", 2),
        ("sidecar:\n  drainTime: soon\n", "bad-value", 2),
        ("sidecar:\n  limits: {cpu: many}\n", "bad-value", 2),
        ("traffic:\n  cni: 'true'\n", "wrong-type", 2),
        ("traffic:\n  dnsPort: 70000\n", "bad-value", 2),
        ("traffic:\n  excludeOutboundIps: [x]\n", "bad-value", 2),
        ("traffic:\n  ipFamilyMode: ipv6\n", "bad-value", 2),
        ("dataplanes:\n  podCidrs: 10.0.0.0/8\n", "wrong-type", 2),
        ("dataplanes:\n  meshServices: true\n", "wrong-type", 2),
        ("dataplanes:\n  meshServices: Exclusive\n", "bad-value", 2),
        ("selection: []\n", "wrong-type", 1),
        ("server: x:1\n---\nserver: y:1\n", "bad-value", 1),
        ("server: [\n", "yaml-syntax", 2),
    ],
)
def test_what_means_nothing_is_an_error_at_its_place(text: str, code: str, line: int) -> None:
    checked = read_inject_settings("inject.yaml", text.encode())
    assert [(each.code.word, each.position.line) for each in checked.diagnostics] == [(code, line)]
    assert checked.value == InjectSettings()


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("50m", "0.05"),
        ("1", "1"),
        ("64Mi", "67108864"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("1.5Gi", "1610612736"),
        ("2k", "2000"),
    ],
)
def test_a_quantity_is_read_as_kubernetes_does(text: str, amount: str) -> None:
    assert read_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "m", "1x", "1 Gi", "1KiB", "-1", "1e", "0x1"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert (is_quantity(text), read_quantity(text)) == (False, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h1m1.5s", 3661.5), ("250ms", 0.25), ("0", 0), ("30", None), ("s", None), ("-1s", None)],
)
def test_a_duration_is_read_as_go_does(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


def test_the_documented_defaults_are_the_defaults() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    block = page.split("## Settings")[1].split("```yaml\n")[1].split("```")[0]
    assert _read(block.replace("meshwright:0.1.0", InjectSettings().sidecar.image)) == InjectSettings()
    keys = {camel(each.name) for part in _parts(InjectSettings()) for each in fields(part)}
    assert {key for key in keys if not re.search(rf"\b{key}:", block)} == set()


def _parts(settings: Any) -> list[Any]:
    nested = [getattr(settings, each.name) for each in fields(settings)]
    return [settings, *(inner for part in nested if is_dataclass(part) for inner in _parts(part))]
