"""Envoy's field constraints, checked before Envoy does: all of them, each with its path.

They stand in the descriptors of its API (`validate.rules`). A violation in a resource's own message makes Envoy refuse
the whole answer that it came in; inside a nested `typed_config` it costs that resource only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from envoy.annotations import deprecation_pb2
from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from validate import validate_pb2

from compiler.envoy.packing import UndecodableError, UnknownTypeError, reachable, unpack
from compiler.snapshot.rules import Rule, rules_of


@dataclass(frozen=True, slots=True)
class Violation:
    """What Envoy would refuse: `path` in the JSON form, `message` a sentence about the field there."""

    path: str
    rule: str
    message: str
    blocks_answer: bool


# Steps from the inside out, written only for what is wrong; an empty step is the way into an Any.
Path: TypeAlias = "tuple[Path, str] | None"
Found: TypeAlias = "list[tuple[Path, str, str]]"
Check: TypeAlias = Callable[[Any, Path, Found], None]
_INTO_ANY = ""


@dataclass(frozen=True, slots=True)
class _Requirement:
    """At least one field of `numbers` must be set."""

    numbers: frozenset[int]
    name: str
    rule: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to check of one message type: fields that are set, and fields that must be."""

    checks: dict[int, Check]
    requirements: tuple[_Requirement, ...]


def check_constraints(message: Message) -> tuple[Violation, ...]:
    """Every violation inside, through nested Anys, in the order of the fields."""
    found: Found = []
    _check_message(message, None, found)
    return tuple(_violation(*each) for each in found)


def _violation(path: Path, rule: str, meaning: str) -> Violation:
    steps = []
    while path is not None:
        path, step = path
        steps.append(step)
    written = "".join(reversed(steps)).removeprefix(".")
    return Violation(written, rule, meaning, blocks_answer=_INTO_ANY not in steps)


def _check_message(message: Any, path: Path, found: Found) -> None:
    kind: Any = type(message)
    plan = _plan(kind)
    present = message.ListFields()
    checks = plan.checks
    for field, value in present:
        check = checks.get(field.number)
        if check is not None:
            check(value, path, found)
    if plan.requirements:
        numbers = {field.number for field, _ in present}
        for lack in plan.requirements:
            if lack.numbers.isdisjoint(numbers):
                found.append(((path, f".{lack.name}"), lack.rule, lack.meaning))


def _check_packed(packed: any_pb2.Any, path: Path, found: Found) -> None:
    """From here on a violation costs one resource: Envoy looks into an Any only when it builds that resource."""
    if not packed.type_url:
        return
    try:
        inner = unpack(packed)
    except (UnknownTypeError, UndecodableError) as error:
        found.append(((path, _INTO_ANY), "any.type", str(error.args[0])))
        return
    _check_message(inner, (path, _INTO_ANY), found)


@cache  # a pure function of a descriptor of the process-wide pool; making it anew costs 100 times what using it does
def _plan(message_class: type[Message]) -> _Plan:
    descriptor: Any = message_class.DESCRIPTOR
    checks = {field.number: check for field in descriptor.fields if (check := _field_check(field)) is not None}
    return _Plan(checks, (*_required_oneofs(descriptor), *_required_fields(descriptor)))


def _required_oneofs(descriptor: Descriptor) -> Iterator[_Requirement]:
    for oneof in descriptor.oneofs:
        if _options(oneof).Extensions[validate_pb2.required]:
            numbers = frozenset(field.number for field in oneof.fields)
            arms = ", ".join(field.json_name for field in oneof.fields)
            yield _Requirement(numbers, oneof.name, "oneof.required", f"one of {arms} must be set")


def _required_fields(descriptor: Descriptor) -> Iterator[_Requirement]:
    """A field that is looked at even when it is not set: an arm of a oneof and an `optional` are not."""
    for field in descriptor.fields:
        broken = None if field.containing_oneof else _broken_when_absent(field)
        if broken:
            yield _Requirement(frozenset({field.number}), field.json_name, broken.word, broken.meaning)


def _broken_when_absent(field: FieldDescriptor) -> Rule | None:
    rules = _options(field).Extensions[validate_pb2.rules]
    constraint = _constraint(rules)
    if rules.message.required or getattr(constraint, "required", False):
        return Rule("required", bool, "must be set")
    if constraint is None or (field.message_type is not None and not field.is_repeated):
        return None
    return next((rule for rule in rules_of(constraint, field) if not rule.holds(field.default_value)), None)


def _options(described: Any) -> Any:
    """Untyped: the generated stubs give extensions a type that those of protobuf do not take."""
    return described.GetOptions()


def _constraint(rules: validate_pb2.FieldRules) -> Any:
    kind = rules.WhichOneof("type")
    return getattr(rules, kind) if kind else None


def _field_check(field: FieldDescriptor) -> Check | None:
    """None where nothing about the field, nor about anything inside it, can be wrong."""
    options = _options(field)
    rules = options.Extensions[validate_pb2.rules]
    if options.Extensions[deprecation_pb2.disallowed_by_default]:
        return _refusal(field)
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        return _map_check(field, rules.map) if is_map else _list_check(field, rules.repeated)
    constraint = _constraint(rules)
    own = rules_of(constraint, field) if constraint is not None else ()
    if field.message_type is None:
        return _value_check(f".{field.json_name}", own) if own else None
    return _message_check(field, own, skipped=rules.message.skip)


def _refusal(field: FieldDescriptor) -> Check:
    step = f".{field.json_name}"

    def check(_value: object, path: Path, found: Found) -> None:
        found.append(((path, step), "disallowed", "is deprecated and refused by default"))

    return check


def _value_check(step: str, rules: tuple[Rule, ...]) -> Check:
    def check(value: object, path: Path, found: Found) -> None:
        for rule in rules:
            if not rule.holds(value):
                found.append(((path, step), rule.word, rule.meaning))

    return check


def _message_check(field: FieldDescriptor, rules: tuple[Rule, ...], *, skipped: bool) -> Check | None:
    kind: Any = field.message_type
    judge = _value_check(f".{field.json_name}", rules)
    if rules and kind.full_name.endswith("Value"):  # a wrapper, UInt32Value and the like
        return lambda value, path, found: judge(value.value, path, found)
    if rules:
        return judge
    inside = None if skipped else _inside_check(kind)
    if inside is None:
        return None
    step = f".{field.json_name}"
    return lambda value, path, found: inside(value, (path, step), found)


def _inside_check(descriptor: Descriptor) -> Check | None:
    if descriptor.full_name == "google.protobuf.Any":
        return _check_packed
    return _check_message if _constrained(descriptor) else None


@cache  # as `_plan`
def _constrained(descriptor: Descriptor) -> bool:
    """Whether anything inside, at any depth, has a constraint or is an Any."""
    names = reachable(descriptor)
    if "google.protobuf.Any" in names:
        return True
    pool = descriptor.file.pool
    return any(_has_constraint(pool.FindMessageTypeByName(name)) for name in names)


def _has_constraint(descriptor: Descriptor) -> bool:
    options = [_options(field) for field in descriptor.fields]
    return (
        any(option.HasExtension(validate_pb2.rules) for option in options)
        or any(option.Extensions[deprecation_pb2.disallowed_by_default] for option in options)
        or any(_options(oneof).Extensions[validate_pb2.required] for oneof in descriptor.oneofs)
    )


def _list_check(field: FieldDescriptor, constraint: validate_pb2.RepeatedRules) -> Check | None:
    step = f".{field.json_name}"
    whole = _value_check(step, rules_of(constraint, field))
    item_rules = constraint.items
    each_constraint = _constraint(item_rules)
    each_rules = rules_of(each_constraint, field) if each_constraint is not None else ()
    each = _value_check("", each_rules) if each_rules else None
    if field.message_type is not None and not item_rules.message.skip:
        each = _inside_check(field.message_type)

    def check(values: Any, path: Path, found: Found) -> None:
        whole(values, path, found)
        if each is not None:
            for index, value in enumerate(values):
                each(value, (path, f"{step}[{index}]"), found)

    return check if each is not None or constraint.ListFields() else None


def _map_check(field: FieldDescriptor, constraint: validate_pb2.MapRules) -> Check | None:
    kind: Any = field.message_type
    entry = kind.fields_by_name
    step = f".{field.json_name}"
    whole = _value_check(step, rules_of(constraint, field))
    keys = _entry_check(constraint.keys, entry["key"])
    inner = entry["value"].message_type
    values = _entry_check(constraint.values, entry["value"]) if inner is None else _inside_check(inner)

    def check(mapping: Any, path: Path, found: Found) -> None:
        whole(mapping, path, found)
        for key in sorted(mapping):
            place = (path, f'{step}["{key}"]')
            if keys is not None:
                keys(key, place, found)
            if values is not None:
                values(mapping[key], place, found)

    return check if keys is not None or values is not None or constraint.ListFields() else None


def _entry_check(rules: validate_pb2.FieldRules, field: FieldDescriptor) -> Check | None:
    constraint = _constraint(rules)
    return _value_check("", rules_of(constraint, field)) if constraint is not None else None
