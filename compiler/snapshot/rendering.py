"""Messages become a part: rendered as JSON, with what they name, and with what Envoy would refuse in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import Message

from compiler.diagnostics import Code, Severity
from compiler.envoy.resources import ResourceType
from compiler.envoy.translate import name_of
from compiler.memo import Memo
from compiler.mesh.order import Origin
from compiler.snapshot.canonical import Rendered, render
from compiler.snapshot.constraints import check_constraints
from compiler.snapshot.findings import Reading
from compiler.snapshot.reading import read
from compiler.snapshot.references import Links, Reference, links_of
from compiler.snapshot.template import Template, has_holes, make_template, with_addresses, without_holes
from compiler.snapshot.traps import known_traps

ENVOY_REFUSES: Final = Code(
    "envoy-refuses",
    Severity.ERROR,
    "configuration that Envoy would refuse",
    "The documents are right by themselves, but a field of the configuration that follows from them is outside of what "
    "Envoy takes. The message names the field; the place is the policy, or else the Dataplane, that it comes from.",
)

RENDERED: Final = "JSON rendered"
"""The counter of resources of which JSON was made; those of replicas are counted by the query that fills them in."""


class Problem(NamedTuple):
    """A mistake in a resource, at a `path` of it; the policies behind it, the most telling first."""

    code: Code
    message: str
    origins: tuple[Origin, ...] = ()
    path: str = ""


class Part(NamedTuple):
    """The resources of one part of a proxy, what they name, the policies behind them, what Envoy would refuse.

    `templates` are resources that each replica has of its own, `matched` the patches that found something in it.
    """

    rendered: tuple[Rendered, ...]
    links: Mapping[Reference, Links]
    causes: tuple[Origin, ...]
    problems: tuple[Problem, ...]
    templates: tuple[Template, ...] = ()
    matched: tuple[Origin, ...] = ()


def render_each(memo: Memo, built: Iterable[tuple[ResourceType, Message]], origins: Iterable[Origin]) -> Part:
    causes = tuple(dict.fromkeys(origins))
    made = [_one(kind, message, causes) for kind, message in built]
    memo.count(RENDERED, len(made))
    return Part(
        tuple([one.form for one in made if isinstance(one.form, Rendered)]),
        {Reference(one.form.type, one.form.name): one.links for one in made},
        causes,
        tuple([problem for one in made for problem in one.problems]),
        tuple([one.form for one in made if isinstance(one.form, Template)]),
    )


class _One(NamedTuple):
    form: Rendered | Template
    links: Links
    problems: tuple[Problem, ...]


def _one(kind: ResourceType, message: Message, causes: tuple[Origin, ...]) -> _One:
    """Read once for everything that is wanted of it; of something that replicas have one each of, the links."""
    name, reading = name_of(message), read(message)
    rendered = render(kind, name, message, reading)
    template = make_template(rendered) if has_holes(rendered) else None
    if template is None:
        problems = tuple(_refused(kind, name, message, causes, reading))
    else:
        problems = tuple(_refused_filled(kind, name, message, causes, template))
    return _One(template or rendered, links_of(kind, name, message, reading), problems)


def _refused_filled(
    kind: ResourceType, name: str, message: Message, causes: tuple[Origin, ...], template: Template
) -> Iterator[Problem]:
    """A hole for a name is as good as a name but for what is held to an expression; then it is filled in to judge."""
    whole = with_addresses(message) if template.is_placed else message
    if any(_refused(kind, name, whole, causes, read(whole))):
        whole = without_holes(message)
        yield from _refused(kind, name, whole, causes, read(whole))


def _refused(
    kind: ResourceType, name: str, message: Message, causes: tuple[Origin, ...], reading: Reading
) -> Iterator[Problem]:
    for violation in (*check_constraints(message, reading), *known_traps(message, reading)):
        text = f"Envoy would refuse {kind.file} {name!r} at {violation.path}: {violation.message}"
        yield Problem(ENVOY_REFUSES, text, causes, violation.path)


def join_parts(parts: Sequence[Part]) -> Part:
    """What several have, as one."""
    return Part(
        tuple(one for part in parts for one in part.rendered),
        {reference: links for part in parts for reference, links in part.links.items()},
        tuple(dict.fromkeys(origin for part in parts for origin in part.causes)),
        tuple(problem for part in parts for problem in part.problems),
        tuple(template for part in parts for template in part.templates),
    )


def blame_tls(part: Part, origins: tuple[Origin, ...]) -> Part:
    """What is wrong in how TLS is spoken is told to who says so before all others."""
    if not part.problems:
        return part
    return part._replace(problems=tuple(_tell(one, origins) for one in part.problems))


def _tell(problem: Problem, origins: tuple[Origin, ...]) -> Problem:
    if _SOCKET not in problem.path:
        return problem
    return problem._replace(origins=tuple(dict.fromkeys((*origins, *problem.origins))))


_SOCKET: Final = "transportSocket"
