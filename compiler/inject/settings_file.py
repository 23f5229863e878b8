"""The file of `meshwright inject --config`: our own names, and no key that means nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from ipaddress import ip_network
from typing import Any, Final, cast, get_type_hints

from compiler.diagnostics import Checked, Diagnostic
from compiler.inject.quantities import is_duration, is_quantity
from compiler.inject.settings import InjectSettings, Share
from compiler.resources.findings import BAD_VALUE, UNKNOWN_FIELD, WRONG_TYPE, Finding, join
from compiler.resources.suggest import did_you_mean, one_of
from compiler.source.document import Document
from compiler.source.parse import parse_file

_PORT: Final = range(1, 65536)
_IPS: Final = frozenset({"excludeInboundIps", "excludeOutboundIps", "podCidrs"})
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "ipFamilyMode": ("dualstack", "ipv4"),
    "meshServices": ("auto", "always", "never"),
}


def read_inject_settings(path: str, content: bytes) -> Checked[InjectSettings]:
    """The defaults where the file is wrong; then there is an error too."""
    parsed = parse_file(path, "", content)
    if parsed.failed or not parsed.value:
        return Checked(InjectSettings(), parsed.diagnostics)
    document = parsed.value[0]
    findings = list(_check(InjectSettings, document.value, ""))
    if len(parsed.value) > 1:
        findings.append(Finding("", BAD_VALUE, "the file holds several documents, of which one counts", "keep one"))
    found = tuple(_diagnose(document, finding) for finding in findings)
    if found:
        return Checked(InjectSettings(), found)
    return Checked(cast(InjectSettings, _decode(InjectSettings(), document.value)))


def camel(name: str) -> str:
    """`drain_time` as the file writes it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _diagnose(document: Document, found: Finding) -> Diagnostic:
    return Diagnostic(
        document.position(found.pointer, key=found.on_key), found.code, found.message, found.hint, None, found.pointer
    )


def _types(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {camel(each.name): hints[each.name] for each in fields(kind)}


def _check(kind: type, value: object, pointer: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield Finding(pointer, WRONG_TYPE, f"{pointer.rpartition('/')[2] or 'the file'} must be a mapping")
        return
    types = _types(kind)
    for key, part in value.items():
        here = join(pointer, key)
        if key not in types:
            hint = did_you_mean(key, types) or f"the settings here are {one_of(types, 40)}"
            yield Finding(here, UNKNOWN_FIELD, f"there is no setting {key[:64]!r}", hint, on_key=True)
        elif is_dataclass(types[key]):
            yield from _check(cast(type, types[key]), part, here)
        else:
            yield from _check_value(key, types[key], part, here, quantity=kind is Share)


def _check_value(key: str, kind: Any, value: object, pointer: str, *, quantity: bool) -> Iterator[Finding]:
    wanted, fits = _FITS[str(kind) if str(kind) in _FITS else kind.__name__]
    if not fits(value):
        yield Finding(pointer, WRONG_TYPE, f"{key} must be {wanted}")
        return
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if (complaint := _complain(key, entry, quantity=quantity)) is not None:
            yield Finding(pointer, BAD_VALUE, complaint)


def _complain(key: str, value: Any, *, quantity: bool) -> str | None:
    if quantity and not is_quantity(value):
        return f"{key} must be a quantity such as 50m or 64Mi"
    if "port" in key.lower() and value not in _PORT and not (key == "applicationPort" and value == 0):
        return f"{key} must be a port from 1 to 65535"
    if key == "drainTime" and not is_duration(value):
        return "drainTime must be a duration such as 30s"
    if key in _IPS and not _is_network(value):
        return f"{key} must hold addresses or ranges such as 10.0.0.0/16"
    if key in _CHOICES and value not in _CHOICES[key]:
        return f"{key} must be {one_of(_CHOICES[key])}"
    return None


def _is_network(value: str) -> bool:
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


_FITS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "int": ("a whole number, not negative", _is_int),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "tuple[str, ...]": ("a list of texts", _is_texts),
    "tuple[int, ...]": ("a list of numbers", lambda value: isinstance(value, list) and all(map(_is_int, value))),
    "collections.abc.Mapping[str, str]": ("a mapping of texts", _is_mapping),
}


def _decode(defaults: Any, value: Mapping[str, Any]) -> Any:
    changed: dict[str, Any] = {}
    for each in fields(defaults):
        if camel(each.name) in value:
            part, default = value[camel(each.name)], getattr(defaults, each.name)
            nested = is_dataclass(default)
            changed[each.name] = _decode(default, part) if nested else tuple(part) if isinstance(part, list) else part
    return replace(defaults, **changed)
