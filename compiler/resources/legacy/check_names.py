"""What a VirtualOutbound and a ProxyTemplate must hold: templates that come to something, and texts that are YAML."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler.resources.findings import BAD_VALUE, DUPLICATE_NAME, EXCLUSIVE_FIELDS, MISSING_FIELD, Finding, join
from compiler.resources.legacy.texts import read_mapping
from compiler.resources.legacy.virtual_outbound import WORD
from compiler.resources.model import SERVICE

_HOST: Final = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PORTS: Final = range(1, 65536)
_FILTER_NEEDS_NAME: Final = frozenset({"addBefore", "addAfter", "patch"})


def check_virtual_outbound(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """The templates are tried out with a value for every word."""
    parameters = conf.get("parameters", ())
    counts = Counter(one["name"] for one in parameters)
    for index, one in enumerate(parameters):
        if counts[one["name"]] > 1:
            yield Finding(join(at, "parameters", index, "name"), DUPLICATE_NAME, f"{one['name']} is given twice")
    if SERVICE not in {one.get("tagKey", one["name"]) for one in parameters}:
        hint = f"such as {{name: service, tagKey: {SERVICE}}}"
        yield Finding(join(at, "parameters"), MISSING_FIELD, f"no parameter stands for {SERVICE}", hint)
    yield from _check_words(conf["host"], set(counts), join(at, "host"))
    yield from _check_words(conf["port"], set(counts), join(at, "port"))
    if not _HOST.fullmatch(WORD.sub("a", conf["host"]).lower()):
        yield Finding(join(at, "host"), BAD_VALUE, "the template does not come to a domain name")
    port = WORD.sub("1", conf["port"])
    if not (port.isdecimal() and port.isascii() and len(port) < 10 and int(port) in _PORTS):
        yield Finding(join(at, "port"), BAD_VALUE, "the template does not come to a port", "a number, or {{.port}}")


def _check_words(template: str, known: set[str], at: str) -> Iterator[Finding]:
    for word in WORD.finditer(template):
        if word[1] not in known:
            yield Finding(at, BAD_VALUE, f"no parameter has the name {word[1]}", "add it to parameters")
    if "{{" in WORD.sub("", template):
        yield Finding(at, BAD_VALUE, "a template may name parameters, and do nothing else", "such as {{.service}}")


def check_template(conf: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """Values are YAML; what they mean to Envoy is checked where they are applied."""
    for index, resource in enumerate(conf.get("resources", ())):
        yield from _check_value(resource["resource"], join(at, "resources", index, "resource"))
    for index, modification in enumerate(conf.get("modifications", ())):
        for kind, change in modification.items():
            yield from _check_change(kind, change, join(at, "modifications", index, kind))


def _check_change(kind: str, change: Mapping[str, Any], at: str) -> Iterator[Finding]:
    operation, named = change["operation"], change.get("match", {}).get("name")
    if operation == "add" and named:
        yield Finding(join(at, "match", "name"), EXCLUSIVE_FIELDS, "what is added has no name to match", on_key=True)
    if kind.endswith("Filter") and operation in _FILTER_NEEDS_NAME and not named:
        yield Finding(join(at, "match", "name"), MISSING_FIELD, f"{operation} needs the name of a filter")
    if operation == "remove":
        if change.get("value"):
            yield Finding(join(at, "value"), EXCLUSIVE_FIELDS, "what is removed needs no value", on_key=True)
    else:
        yield from _check_value(change.get("value", ""), join(at, "value"))


def _check_value(text: str, at: str) -> Iterator[Finding]:
    if read_mapping(text) is None:
        yield Finding(at, BAD_VALUE, "this is not the YAML of one of Envoy's messages", "a mapping of its fields")
