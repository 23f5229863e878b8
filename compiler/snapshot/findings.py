"""What is found wrong in a message, and where: a path in the JSON form, put into words only when it is asked for."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from compiler.snapshot.links import Mention, Objection

Path: TypeAlias = "tuple[Path, str | int] | None"
"""Steps from the inside out: a field with its dot, a key in brackets, or the place in a list."""


class Broken(NamedTuple):
    """A rule that does not hold at a path."""

    path: Path
    rule: str
    meaning: str
    blocks_answer: bool = True


class Reading(NamedTuple):
    """Of one message: paths begin at it; `quiet` where nothing was found."""

    plain: Any
    """What JSON says of it; shared with other readings, so never to be changed."""
    violations: tuple[Broken, ...] = ()
    traps: tuple[Broken, ...] = ()
    mentions: tuple[Mention, ...] = ()
    objections: tuple[tuple[Path, Objection], ...] = ()
    unwritten: bool = False
    """JSON has no form for something inside, so `plain` is not to be used."""
    quiet: bool = True


@dataclass(slots=True)
class Findings:
    """What a walk has come upon so far."""

    violations: list[Broken] = field(default_factory=list)
    traps: list[Broken] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    objections: list[tuple[Path, Objection]] = field(default_factory=list)
    unwritten: bool = False

    def close(self, plain: Any) -> Reading:
        """Paths become one step each, so that they can be put below another."""
        if not (self.violations or self.traps or self.mentions or self.objections or self.unwritten):
            return Reading(plain)
        return Reading(
            plain,
            tuple(each._replace(path=_closed(each.path)) for each in self.violations),
            tuple(each._replace(path=_closed(each.path)) for each in self.traps),
            tuple(self.mentions),
            tuple((_closed(path), objection) for path, objection in self.objections),
            self.unwritten,
            quiet=False,
        )

    def take_over(self, piece: Reading, path: Path, *, packed: bool) -> None:
        """What was found in a piece that stands at the path; in an Any it blocks no answer."""
        self.violations += [_below(path, each, packed=packed) for each in piece.violations]
        self.traps += [_below(path, each, packed=packed) for each in piece.traps]
        self.mentions += piece.mentions
        self.objections += [(_joined(path, inner), objection) for inner, objection in piece.objections]
        self.unwritten |= piece.unwritten


def _below(path: Path, found: Broken, *, packed: bool) -> Broken:
    return found._replace(path=_joined(path, found.path), blocks_answer=found.blocks_answer and not packed)


def _joined(path: Path, inner: Path) -> Path:
    return (path, inner[1]) if inner is not None else path


def _closed(path: Path) -> Path:
    return (None, _join_steps(path))


def write_path(path: Path) -> str:
    """As it stands in the JSON form."""
    return _join_steps(path).removeprefix(".")


def _join_steps(path: Path) -> str:
    """With the dot that leads to it from outside."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(step if isinstance(step, str) else f"[{step}]")
    return "".join(reversed(steps))
