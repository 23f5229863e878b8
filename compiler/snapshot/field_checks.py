"""What Envoy's descriptors demand of a message's fields (`validate.rules`), compiled once for each message type.

Only what can be said of the message itself: `reading` goes into the messages inside.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from envoy.annotations import deprecation_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from validate import validate_pb2

from compiler.snapshot.findings import Broken, Path
from compiler.snapshot.plain import WRAPPERS
from compiler.snapshot.rules import Rule, rules_of

Check: TypeAlias = Callable[[Any, Path, list[Broken]], None]


@dataclass(frozen=True, slots=True)
class Requirement:
    """At least one field of `names` (as JSON has them) must be set."""

    names: frozenset[str]
    name: str
    rule: str
    meaning: str


@dataclass(frozen=True, slots=True)
class FieldChecks:
    """Of one field: `own` is asked about its value, `keys` about each key of a map of messages.

    Where not `inside`, the messages that it holds are not held to their own rules.
    """

    own: Check | None = None
    keys: Check | None = None
    inside: bool = True


def requirements_of(descriptor: Descriptor) -> tuple[Requirement, ...]:
    """What must be set in every message of this type."""
    return (*_required_oneofs(descriptor), *_required_fields(descriptor))


def checks_of(field: FieldDescriptor) -> FieldChecks:
    """What a field is held to when it is set."""
    options = _options(field)
    rules = options.Extensions[validate_pb2.rules]
    if options.Extensions[deprecation_pb2.disallowed_by_default]:
        return FieldChecks(_refusal(field), inside=False)
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        return _map_checks(field, rules.map) if is_map else _list_checks(field, rules.repeated)
    constraint = _constraint(rules)
    own = rules_of(constraint, field) if constraint is not None else ()
    judge = _value_check(f".{field.json_name}", own) if own else None
    if judge is not None and field.message_type is not None and field.message_type.full_name in WRAPPERS:
        return FieldChecks(_unwrapped(judge), inside=False)
    return FieldChecks(judge, inside=judge is None and not rules.message.skip)


def _required_oneofs(descriptor: Descriptor) -> Iterator[Requirement]:
    for oneof in descriptor.oneofs:
        if _options(oneof).Extensions[validate_pb2.required]:
            arms = [field.json_name for field in oneof.fields]
            meaning = f"one of {', '.join(arms)} must be set"
            yield Requirement(frozenset(arms), oneof.name, "oneof.required", meaning)


def _required_fields(descriptor: Descriptor) -> Iterator[Requirement]:
    """A field that is looked at even when it is not set: an arm of a oneof and an `optional` are not."""
    for field in descriptor.fields:
        broken = None if field.containing_oneof else _broken_when_absent(field)
        if broken:
            yield Requirement(frozenset({field.json_name}), field.json_name, broken.word, broken.meaning)


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


def _refusal(field: FieldDescriptor) -> Check:
    step = f".{field.json_name}"

    def check(_value: object, path: Path, found: list[Broken]) -> None:
        found.append(Broken((path, step), "disallowed", "is deprecated and refused by default"))

    return check


def _value_check(step: str, rules: tuple[Rule, ...]) -> Check:
    def check(value: object, path: Path, found: list[Broken]) -> None:
        for rule in rules:
            if not rule.holds(value):
                found.append(Broken((path, step), rule.word, rule.meaning))  # noqa: PERF401  # most break none

    return check


def _unwrapped(judge: Check) -> Check:
    return lambda wrapper, path, found: judge(wrapper.value, path, found)


def _list_checks(field: FieldDescriptor, constraint: validate_pb2.RepeatedRules) -> FieldChecks:
    step = f".{field.json_name}"
    whole = _value_check(step, rules) if (rules := rules_of(constraint, field)) else None
    if field.message_type is not None:
        return FieldChecks(whole, inside=not constraint.items.message.skip)
    each = _entry_check(constraint.items, field)
    if each is None:
        return FieldChecks(whole)

    def check(values: Any, path: Path, found: list[Broken]) -> None:
        if whole is not None:
            whole(values, path, found)
        for index, value in enumerate(values):
            each(value, ((path, step), index), found)

    return FieldChecks(check)


def _map_checks(field: FieldDescriptor, constraint: validate_pb2.MapRules) -> FieldChecks:
    kind: Any = field.message_type
    entry = kind.fields_by_name
    step = f".{field.json_name}"
    whole = _value_check(step, rules) if (rules := rules_of(constraint, field)) else None
    keys = _entry_check(constraint.keys, entry["key"])
    if entry["value"].message_type is not None:
        return FieldChecks(whole, keys)
    values = _entry_check(constraint.values, entry["value"])
    if keys is None and values is None:
        return FieldChecks(whole)

    def check(mapping: Any, path: Path, found: list[Broken]) -> None:
        if whole is not None:
            whole(mapping, path, found)
        for key in sorted(mapping):
            place = (path, f'{step}["{key}"]')
            for judge, value in ((keys, key), (values, mapping[key])):
                if judge is not None:
                    judge(value, place, found)

    return FieldChecks(check)


def _entry_check(rules: validate_pb2.FieldRules, field: FieldDescriptor) -> Check | None:
    constraint = _constraint(rules)
    own = rules_of(constraint, field) if constraint is not None else ()
    return _value_check("", own) if own else None
