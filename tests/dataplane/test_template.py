"""A Dataplane's document says who the proxy is, once its variables have values."""

import io
import sys
from pathlib import Path

import pytest

from compiler.cli.dataplane_options import read_node
from compiler.cli.exits import Stop
from compiler.dataplane.bootstrap import DataplaneError
from compiler.dataplane.template import Described, describe, read_variables, render

TEMPLATE = """\
type: Dataplane
mesh: {{ mesh }}
name: {{name}}
networking:
  address: {{{ node.address }}}
  inbound:
    - port: 8080
      tags: {kuma.io/service: "{{& service }}"}
"""
VARIABLES = ["mesh=shop", "name=web-1", "node.address=10.0.0.1", "service=web"]


def test_a_document_says_name_mesh_and_service_of_the_proxy() -> None:
    described = describe("dp.yaml", render(TEMPLATE, read_variables(VARIABLES)))
    assert described == Described("shop", "web-1", "web")


def test_the_workload_goes_before_the_service() -> None:
    text = render(TEMPLATE, read_variables(VARIABLES)) + "labels: {kuma.io/workload: front}\n"
    assert describe("dp.yaml", text).cluster == "front"


def test_json_is_a_document_too() -> None:
    text = '{"type": "Dataplane", "mesh": "m", "name": "n", "networking": {"address": "10.0.0.1", "inbound": []}}'
    assert describe("dp.json", text) == Described("m", "n", "unknown")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ nobody }}", "asks for 'nobody': give it with --dataplane-var nobody="),
        ("{{# list }}", "only variables are"),
        ("{{> part }}", "only variables are"),
        ("{{! aside }}", "only variables are"),
    ],
)
def test_what_is_no_variable_with_a_value_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DataplaneError, match=reason):
        render(text, {"name": "x"})


@pytest.mark.parametrize("pair", ["name", "=x", "a b=c", "1=2"])
def test_a_variable_has_a_name_and_a_value(pair: str) -> None:
    with pytest.raises(DataplaneError, match="NAME=VALUE"):
        read_variables([pair])


def test_a_value_may_hold_anything_and_is_not_filled_in_again() -> None:
    assert render("{{ a }}", read_variables(["a=b={{ c }}&<"])) == "b={{ c }}&<"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("type: Dataplane\nname: [\n", r"dp.yaml:3:1"),
        ("type: Mesh\nname: a\n", "it is no Dataplane"),
        ("a: b\n", "it is no Dataplane"),
        ("type: Dataplane\nmesh: m\nname: n\nnetworking: {adress: 10.0.0.1}\n", "dp.yaml:4:1: address is missing"),
        ("", "holds 0 documents"),
    ],
)
def test_what_is_no_dataplane_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(DataplaneError, match=reason):
        describe("dp.yaml", text)


def test_what_is_typed_goes_before_what_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dp.yaml"
    file.write_text(TEMPLATE)
    node = read_node("web-2", None, None, file, VARIABLES)
    assert (node.id, node.cluster) == ("shop.web-2", "web")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEMPLATE.encode())))
    assert read_node(None, "other", "front", Path("-"), VARIABLES).id == "other.web-1"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"type: \xff")))
    with pytest.raises(DataplaneError, match="- cannot be read: it is not UTF-8"):
        read_node(None, None, None, Path("-"), [])
    with pytest.raises(Stop, match="neither is given"):
        read_node(None, None, None, None, [])
    with pytest.raises(Stop, match="fills in --dataplane-file"):
        read_node("web", None, None, None, ["a=b"])
