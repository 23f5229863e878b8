"""What `explain` and `blame` found, as people read it and as machines do."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from compiler.resources.model import ResourceKey
from compiler.review.authors import Authored
from compiler.review.explaining.addresses import Field, State
from compiler.review.explaining.blame import Blamed, Effect, Said
from compiler.review.explaining.defaults import Default, Owner
from compiler.review.explaining.explain import Explained, Place, Step
from compiler.review.plan import Kind

SCHEMA_VERSION: Final = 1
_LONGEST: Final = 100
_NARROW: Final = 24
_MOST_EFFECTS: Final = 20
_MOST_NAMES: Final = 4
_MOST_PARTS: Final = 8


def tell_explained(found: Explained) -> str:
    """The value and whose it is; then all who set it, defaults first and the winner last."""
    lines = [f"{found.node}: {found.field}", f"  {_headline(found)}"]
    if found.chain:
        alone = len(found.chain) == 1 and found.default is None
        lines += ["", "set by:" if alone else "each overrides the one above it:", *_tell_default(found.default)]
        lines += [line for step in found.chain for line in _tell_step(step)]
    if found.grounds:
        lines += ["", "it is there because of:"]
        lines += [f"  {_tell_place(place)}" for place in found.grounds]
    return "\n".join(lines)


def tell_candidates(typed: str, found: Sequence[tuple[Field, State]]) -> str:
    """What may have been meant, each with its value, so that the answer may be here already."""
    lines = [f"{typed!r} may mean {len(found)} fields; give more of the path:"]
    lines += [f"  {field}  {tell_state(state)}" for field, state in found[:_MOST_EFFECTS]]
    return "\n".join([*lines, *_rest(len(found) - _MOST_EFFECTS, "fields")])


def tell_blamed(found: Blamed, what: str) -> str:
    """How many proxies, then which parts were taken out, then what differs without them."""
    lines = [f"{what}: {_verdict(found)}"]
    for said in found.said[:_MOST_PARTS]:
        lines += _tell_said(said)
    lines += _rest(len(found.said) - _MOST_PARTS, "parts")
    for effect in found.effects[:_MOST_EFFECTS]:
        lines += ["", *_tell_effect(effect)]
    lines += _rest(len(found.effects) - _MOST_EFFECTS, "differences (-o json has them all)")
    for names, word in ((found.appearing, "only with"), (found.vanishing, "only without")):
        if names:
            lines += ["", f"{_many(len(names), 'proxy')} {_be(names)} there {word} them: {_some(names)}"]
    return "\n".join(lines)


def explained_json(found: Explained) -> dict[str, Any]:
    """A field is added to it but never changed within one `schemaVersion`."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "node": found.node,
        "field": _field_json(found.field),
        **_state_json(found.state),
        "chain": [
            {
                **_place_json(step.place),
                **_author_json(step.authored),
                "written": step.written,
                "with": _state_json(step.value),
                "without": _state_json(step.without),
            }
            for step in found.chain
        ],
        "default": _default_json(found.default) if found.default is not None else None,
        "grounds": [_place_json(place) for place in found.grounds],
    }


def candidates_json(typed: str, found: Sequence[tuple[Field, State]]) -> dict[str, Any]:
    """Of a path that may mean several fields."""
    fields = [{"field": _field_json(field), **_state_json(state)} for field, state in found]
    return {"schemaVersion": SCHEMA_VERSION, "asked": typed, "candidates": fields}


def blamed_json(found: Blamed, what: str) -> dict[str, Any]:
    """Every effect and every proxy."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "asked": what,
        "parts": [
            {
                **_resource_json(said.resource),
                "file": said.file,
                "line": said.line,
                "column": said.column,
                "pointer": said.pointer,
                "takenOut": said.taken,
                **_author_json(said.authored),
            }
            for said in found.said
        ],
        "proxies": list(found.proxies),
        "onlyWith": list(found.appearing),
        "onlyWithout": list(found.vanishing),
        "total": found.total,
        "echoed": found.echoed,
        "effects": [
            {
                "kind": effect.kind.value,
                "file": effect.type,
                "names": list(effect.names),
                "path": effect.path,
                "without": effect.before,
                "with": effect.after,
                "proxies": list(effect.proxies),
            }
            for effect in found.effects
        ],
    }


def tell_state(state: State) -> str:
    """A value in one line."""
    if not state.stands:
        return "(not there)"
    return _short(state.value) if state.present else "(absent)"


def _headline(found: Explained) -> str:
    shown, default = tell_state(found.state), found.default
    if found.chain:
        place = found.chain[-1].place
        return f"{shown}, set by {_tell_resource(place.resource)} at {place.file}:{place.line}:{place.column}"
    return f"{shown}, {_name_default(default)}; no document sets it" if default is not None else shown


def _tell_default(default: Default | None) -> Iterator[str]:
    if default is not None:
        yield from _beside(tell_state(default.state), _name_default(default))


def _name_default(default: Default) -> str:
    if default.owner is not Owner.ENVOY:
        return f"{default.owner.value}'s default: {default.source}"
    return f"Envoy's default: {default.words or 'see its documentation'} ({default.source})"


def _tell_step(step: Step) -> Iterator[str]:
    yield from _beside(tell_state(step.value), _tell_place(step.place))
    if step.authored is not None:
        yield f"      {_tell_author(step.authored)}"


def _beside(value: str, source: str) -> Iterator[str]:
    """A long value has a line of its own."""
    if len(value) <= _NARROW:
        yield f"  {value}  {source}"
    else:
        yield from (f"  {value}", f"      {source}")


def _tell_place(place: Place) -> str:
    return f"{place.file}:{place.line}:{place.column}  {_tell_resource(place.resource)} {place.pointer}".rstrip()


def _tell_resource(key: ResourceKey) -> str:
    return f"{key.type} {key.name}"


def _tell_author(authored: Authored) -> str:
    if not authored.commit:
        return "not committed yet"
    day = datetime.fromtimestamp(authored.time, UTC).date()
    earlier = " (or earlier: the clone is shallow)" if authored.earlier else ""
    return f"{authored.commit[:12]} {authored.author}, {day}: {authored.subject}{earlier}"


def _verdict(found: Blamed) -> str:
    if not found.said:
        return "nothing of the mesh stands there"
    concerned = len(found.proxies) + len(found.appearing) + len(found.vanishing)
    if concerned:
        return f"{concerned} of {_many(found.total, 'proxy')} would differ without it"
    if found.echoed:
        return f"no proxy would differ without it; {found.echoed} would if it said something else"
    return f"none of {_many(found.total, 'proxy')} would differ without it: overridden, or about nothing"


def _tell_said(said: Said) -> Iterator[str]:
    yield f"  {said.file}:{said.line}:{said.column}  {_tell_resource(said.resource)} {said.pointer}".rstrip()
    if said.authored is not None:
        yield f"      {_tell_author(said.authored)}"
    if said.taken != said.pointer:
        around = said.taken or "the document"
        yield f"      it cannot be left out alone: what follows is without {around}"


def _tell_effect(effect: Effect) -> Iterator[str]:
    name = min(effect.names, key=lambda one: (len(one), one))
    others = f" and {len(effect.names) - 1} more" if len(effect.names) > 1 else ""
    yield f"  {_many(len(effect.proxies), 'proxy')}: {effect.type}/{name}{effect.path}{others}"
    if effect.path:
        before = "(absent)" if effect.kind is Kind.ADDED else _short(effect.before)
        after = "(absent)" if effect.kind is Kind.REMOVED else _short(effect.after)
        yield f"      {before} -> {after}"
    else:
        yield "      there only with it" if effect.kind is Kind.ADDED else "      there only without it"
    yield f"      {_some(effect.proxies)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _rest(number: int, what: str) -> list[str]:
    return ["", f"  and {number} more {what}"] if number > 0 else []


def _many(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("y") else f"{number} {what}s"


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _field_json(field: Field) -> dict[str, str]:
    return {"file": field.kind.file, "name": field.name, "pointer": field.pointer}


def _state_json(state: State) -> dict[str, Any]:
    word = "set" if state.present else "absent" if state.stands else "gone"
    return {"state": word, "value": state.value}


def _default_json(default: Default) -> dict[str, Any]:
    words = {"words": default.words} if default.words else {}
    return {"owner": default.owner.value, "source": default.source, **_state_json(default.state), **words}


def _place_json(place: Place) -> dict[str, Any]:
    return {
        **_resource_json(place.resource),
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "pointer": place.pointer,
    }


def _resource_json(key: ResourceKey) -> dict[str, str]:
    return {"type": key.type, "mesh": key.mesh, "name": key.name}


def _author_json(authored: Authored | None) -> dict[str, Any]:
    if authored is None or not authored.commit:
        return {"commit": None, "author": None, "time": None, "subject": None, "orEarlier": False}
    time = datetime.fromtimestamp(authored.time, UTC).isoformat()
    return {
        "commit": authored.commit,
        "author": authored.author,
        "time": time,
        "subject": authored.subject,
        "orEarlier": authored.earlier,
    }


__all__ = [
    "SCHEMA_VERSION",
    "blamed_json",
    "candidates_json",
    "explained_json",
    "tell_blamed",
    "tell_candidates",
    "tell_explained",
    "tell_state",
]
