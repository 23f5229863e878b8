"""What runs beside Envoy is told in a document, whose names may be filled in later."""

import orjson

from compiler.envoy.resources import ResourceType
from compiler.envoy.told import document_routes
from compiler.mesh.holes import LONGEST_NAME, owner_of, texts_of
from compiler.resources.model import Dataplane, Networking, Resource, ResourceKey
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.template import fill_each, make_template

LABELS = {"kuma.io/workload": "web", "kuma.io/zone": "east"}
WEB = Resource(ResourceKey("Dataplane", "default", "web"), LABELS, Dataplane(Networking(address="10.0.0.1")))
OWNER = owner_of(WEB)


def told(zone: str) -> Rendered:
    message = document_routes("told", "/told", f'{{"zone":"{OWNER.zone}","workload":"{OWNER.workload}"}}')
    template = make_template(render(ResourceType.ROUTE, "told", message))
    (filled,) = fill_each([template], texts_of(WEB, (), zone))
    return filled


def tags(one: Rendered) -> set[str]:
    routes = orjson.loads(one.json)["virtualHosts"][0]["routes"]
    shown = {header["header"]["value"] for route in routes for header in route["responseHeadersToAdd"]}
    return shown | {
        route["match"]["headers"][0]["stringMatch"]["exact"] for route in routes if "headers" in route["match"]
    }


def test_a_document_with_another_name_has_another_tag() -> None:
    east, west = tags(told("east")), tags(told("west"))
    assert len(east) == len(west) == 1
    assert east != west


def test_there_is_room_for_the_longest_names() -> None:
    filled = orjson.loads(told("z" * LONGEST_NAME).json)
    document = filled["virtualHosts"][0]["routes"][1]["directResponse"]["body"]["inlineString"]
    assert "z" * LONGEST_NAME in document
    assert len(document) <= filled["maxDirectResponseBodySizeBytes"]
