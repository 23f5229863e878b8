"""A message read once for all that is asked of it: its JSON, broken constraints, traps, and what it says of others.

All four need the same walk over the same fields, so they are had in one. And most of a resource's bytes recur by the
thousand (TLS contexts, filters, endpoints with their labels): what is read of such a piece is remembered, and paths in
it begin at the piece.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from compiler.envoy.packing import UndecodableError, UnknownTypeError, unpack
from compiler.snapshot.field_checks import Check, checks_of, requirements_of
from compiler.snapshot.findings import Broken, Findings, Path, Reading
from compiler.snapshot.links import READERS, Mention, Objection
from compiler.snapshot.plain import WELL_KNOWN, Writer, write_key, writer_of
from compiler.snapshot.trap_rules import TRAPS

_ANY: Final = "google.protobuf.Any"
_RECURRENT: Final = frozenset(
    (
        "envoy.config.cluster.v3.CircuitBreakers",
        "envoy.config.cluster.v3.OutlierDetection",
        "envoy.config.core.v3.ConfigSource",
        "envoy.config.core.v3.Metadata",
        "envoy.config.endpoint.v3.LbEndpoint",
        "envoy.config.rbac.v3.Principal",
        "envoy.config.route.v3.RetryPolicy",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig",
        "google.protobuf.Struct",
    )
)
"""Beside every Any: worth finding again by their bytes."""


Inside: TypeAlias = Callable[[Any, Path, Findings], Any]


class _Remembered:
    """Readings by type and bytes of a message, so none can be out of date; all are forgotten when they are too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._readings: dict[object, Reading] = {}
        self.find = self._readings.get

    def keep(self, key: object, reading: Reading) -> Reading:
        if len(self._readings) >= self._limit:
            self._readings.clear()
        self._readings[key] = reading
        return reading


_WHOLE: Final = _Remembered(64)
"""Of whole resources: one is asked about four times in a row, and then hardly ever again."""
_PIECES: Final = _Remembered(4096)


def read(message: Message) -> Reading:
    """All about one message, through nested Anys; a pure function of its content."""
    kind = type(message)
    key = (kind, message.SerializeToString())
    return _WHOLE.find(key) or _WHOLE.keep(key, _read_anew(message, _reader(kind.DESCRIPTOR)))


def _read_anew(message: Message, inside: Inside) -> Reading:
    findings = Findings()
    return findings.close(inside(message, None, findings))


@cache  # a pure function of a descriptor of the process-wide pool
def _reader(kind: Descriptor) -> Inside:
    """How a message of this type is read where it stands in another."""
    if kind.full_name == _ANY:
        return _read_packed
    own = WELL_KNOWN.get(kind.full_name)
    inside = _fields_reader(kind) if own is None else _written_by(own)
    return _remembering(inside) if kind.full_name in _RECURRENT else inside


def _written_by(write: Writer) -> Inside:
    """Nothing in it can be wrong but that JSON cannot hold it."""

    def inside(message: Any, _: Path, findings: Findings) -> Any:
        try:
            return write(message)
        except ValueError:
            findings.unwritten = True
            return None

    return inside


def _remembering(inside: Inside) -> Inside:
    def remembered(message: Message, path: Path, findings: Findings) -> Any:
        key = (type(message), message.SerializeToString())
        piece = _PIECES.find(key) or _PIECES.keep(key, _read_anew(message, inside))
        if not piece.quiet:
            findings.take_over(piece, path, packed=False)
        return piece.plain

    return remembered


def _read_packed(packed: Any, path: Path, findings: Findings) -> Any:
    """From here on a violation costs one resource: Envoy looks into an Any only when it builds that resource."""
    key = (packed.type_url, packed.value)
    piece = _PIECES.find(key) or _PIECES.keep(key, _unpacked(packed))
    if not piece.quiet:
        findings.take_over(piece, path, packed=True)
    return piece.plain


def _unpacked(packed: any_pb2.Any) -> Reading:
    if not packed.type_url:
        return Reading({}, unwritten=bool(packed.value), quiet=not packed.value)
    try:
        message = unpack(packed)
    except (UnknownTypeError, UndecodableError) as error:
        return Reading({}, (Broken(None, "any.type", str(error.args[0])),), unwritten=True, quiet=False)
    reading = _read_anew(message, _reader(message.DESCRIPTOR))
    if message.DESCRIPTOR.full_name in WELL_KNOWN or message.DESCRIPTOR.full_name == _ANY:
        return reading._replace(plain={"@type": packed.type_url, "value": reading.plain})
    return reading._replace(plain={"@type": packed.type_url, **reading.plain})


class _FieldPlan(NamedTuple):
    """How one field is read: `inside` where it holds messages, else `write`, else its value is JSON's too."""

    name: str
    check: Check | None
    write: Writer | None
    inside: Inside | None


class _Fields(dict[FieldDescriptor, _FieldPlan]):
    """Made when a field is first met: of Envoy's thousands few are ever set."""

    def __missing__(self, met: FieldDescriptor) -> _FieldPlan:
        plan = self[met] = _field_plan(met)
        return plan


@cache  # a pure function of a descriptor of the process-wide pool; a descriptor's options are slow to look at
def _fields_reader(kind: Descriptor) -> Inside:
    """For a message that JSON writes as its fields."""
    fields, requirements = _Fields(), requirements_of(kind)
    traps, mentions = TRAPS.get(kind.full_name), READERS.get(kind.full_name)

    def read_fields(message: Any, path: Path, findings: Findings) -> dict[str, Any]:
        if traps is not None:
            findings.traps += [
                Broken((path, f".{step}" if step else ""), rule, meaning) for step, rule, meaning in traps(message)
            ]
        if mentions is not None:
            _note_mentions(mentions(message), path, findings)
        plain = {}
        for met, value in message.ListFields():
            name, check, write, inside = fields[met]
            if check is not None:
                check(value, path, findings.violations)
            if inside is not None:
                plain[name] = inside(value, path, findings)
            else:
                plain[name] = value if write is None else write(value)
        for lack in requirements:
            if lack.names.isdisjoint(plain):
                findings.violations.append(Broken((path, f".{lack.name}"), lack.rule, lack.meaning))
        return plain

    return read_fields


def _note_mentions(mentions: Iterator[Mention | Objection], path: Path, findings: Findings) -> None:
    for mention in mentions:
        if isinstance(mention, Objection):
            findings.objections.append((path, mention))
        else:
            findings.mentions.append(mention)


def _field_plan(met: FieldDescriptor) -> _FieldPlan:
    checks = checks_of(met)
    name = f"[{met.full_name}]" if met.is_extension else met.json_name
    kind = met.message_type
    if kind is None:
        return _FieldPlan(name, checks.own, _scalar_writer(met), None)
    if kind.GetOptions().map_entry:
        value = kind.fields_by_name["value"]
        if value.message_type is None:
            return _FieldPlan(name, checks.own, _scalar_map_writer(value), None)
        inside = _map_reader(f".{name}", _reader(value.message_type), checks.keys)
    elif met.is_repeated:
        inside = _list_reader(f".{name}", _reader(kind))
    else:
        inside = _message_reader(f".{name}", _reader(kind))
    return _FieldPlan(name, checks.own, None, inside if checks.inside else _unjudged(inside))


def _scalar_writer(met: FieldDescriptor) -> Writer | None:
    write = writer_of(met)
    if not met.is_repeated:
        return write
    return list if write is None else lambda values: [write(value) for value in values]


def _scalar_map_writer(value: FieldDescriptor) -> Writer:
    write = writer_of(value)
    if write is None:
        return lambda mapping: {write_key(key): each for key, each in mapping.items()}
    return lambda mapping: {write_key(key): write(each) for key, each in mapping.items()}


def _message_reader(step: str, inside: Inside) -> Inside:
    return lambda message, path, findings: inside(message, (path, step), findings)


def _list_reader(step: str, inside: Inside) -> Inside:
    def read_list(messages: Any, path: Path, findings: Findings) -> list[Any]:
        place = (path, step)
        return [inside(message, (place, index), findings) for index, message in enumerate(messages)]

    return read_list


def _map_reader(step: str, inside: Inside, keys: Check | None) -> Inside:
    def read_map(messages: Any, path: Path, findings: Findings) -> dict[str, Any]:
        plain = {}
        for key in sorted(messages):
            place = (path, f'{step}["{key}"]')
            if keys is not None:
                keys(key, place, findings.violations)
            plain[write_key(key)] = inside(messages[key], place, findings)
        return plain

    return read_map


def _unjudged(inside: Inside) -> Inside:
    """For a field that is held to a rule as a whole, or to none at all."""

    def read_leniently(value: Any, path: Path, findings: Findings) -> Any:
        judged = len(findings.violations)
        plain = inside(value, path, findings)
        del findings.violations[judged:]
        return plain

    return read_leniently
