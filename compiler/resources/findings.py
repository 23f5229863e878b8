"""What can be wrong with a document: the codes, and findings that know their place inside the document only."""

from dataclasses import dataclass, field
from typing import Final

from compiler.diagnostics import Code, Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding by JSON pointer; equal documents share it, wherever their files are."""

    pointer: str
    code: Code
    message: str
    hint: str | None = None
    on_key: bool = field(default=False, kw_only=True)
    severity: Severity | None = field(default=None, kw_only=True)

    @property
    def refuses(self) -> bool:
        """Whether it is an error, unless the repository's settings weigh it otherwise."""
        return (self.severity or self.code.severity) is Severity.ERROR


def join(pointer: str, *segments: str | int) -> str:
    """A JSON pointer with segments added, escaped as RFC 6901 says."""
    for segment in segments:
        pointer += f"/{segment.replace('~', '~0').replace('/', '~1') if isinstance(segment, str) else segment}"
    return pointer


UNKNOWN_FIELD: Final = Code(
    "unknown-field",
    Severity.ERROR,
    "a field that its type does not have",
    "Kuma drops many unknown fields in silence; here they are errors, so that a misspelt setting cannot go unnoticed.",
)
UNKNOWN_TYPE: Final = Code(
    "unknown-type",
    Severity.ERROR,
    "a resource of a type that nobody knows",
    "The document looks like one of the mesh's, by its `type` or by `apiVersion: kuma.io/...`, yet there is no such "
    "type.",
)
MISSING_FIELD: Final = Code(
    "missing-field", Severity.ERROR, "a required field is absent", "The resource means nothing without this field."
)
WRONG_TYPE: Final = Code(
    "wrong-type",
    Severity.ERROR,
    "a value of the wrong type",
    "Numbers, texts, lists and mappings are told apart; a number where a text is wanted goes in quotes.",
)
BAD_VALUE: Final = Code(
    "bad-value",
    Severity.ERROR,
    "a value outside of what its field allows",
    "The message says what the field allows.",
)
BAD_NAME: Final = Code(
    "bad-name",
    Severity.ERROR,
    "a name that a resource cannot have",
    "Names are RFC 1123 subdomains of at most 253 characters. A Mesh, a Zone and a service should be an RFC 1035 "
    "label of at most 63 characters: Kuma 2.14 warns, 3.0 refuses.",
)
BAD_LABEL: Final = Code(
    "bad-label",
    Severity.ERROR,
    "a label that a resource cannot have",
    "Keys and values follow Kubernetes' rules, and the labels that Kuma gives a meaning must agree with the resource.",
)
DANGLING_REF: Final = Code(
    "dangling-ref",
    Severity.WARNING,
    "a reference to something that does not exist",
    "A `targetRef`, a `backendRef` or a `reachableBackends` entry names a service or a route that no document defines "
    "and no Dataplane offers, or a port that the service does not have. What refers to it has no effect; requests to a "
    "missing backend are answered with 500. `meshwright init` makes this an error.",
)
BAD_TARGET: Final = Code(
    "bad-target",
    Severity.ERROR,
    "a targetRef or backendRef whose fields do not fit its kind",
    "Each kind of target has fields of its own: a Mesh has no name, a Dataplane no tags, and so on.",
)
UNSUPPORTED_TARGET: Final = Code(
    "unsupported-target",
    Severity.ERROR,
    "a kind of target that the policy does not support in this place",
    "Every policy has a table of the kinds it takes at the top level and in `to` and `from`.",
)
EXCLUSIVE_FIELDS: Final = Code(
    "exclusive-fields",
    Severity.ERROR,
    "fields that exclude each other",
    "Only one of these fields can be given, since they answer the same question in different ways.",
)
PORT_CONFLICT: Final = Code(
    "port-conflict",
    Severity.ERROR,
    "two listeners of one proxy on one address and port",
    "Envoy refuses the second listener, so the proxy would miss it. One that listens on every address has the port on "
    "all of them.",
)
DUPLICATE_NAME: Final = Code(
    "duplicate-name",
    Severity.ERROR,
    "a name that is used twice within one document",
    "Ports, inbounds, instances and headers are found by their names, so each name can be used once.",
)
DUPLICATE_RESOURCE: Final = Code(
    "duplicate-resource",
    Severity.ERROR,
    "two documents for one resource",
    "Type, mesh and name say which resource a document is about; two documents for one would contradict each other.",
)
UNKNOWN_MESH: Final = Code(
    "unknown-mesh", Severity.ERROR, "a resource of a mesh that does not exist", "The repository has no such Mesh."
)
UNKNOWN_ZONE: Final = Code(
    "unknown-zone",
    Severity.WARNING,
    "a resource in a zone that does not exist",
    "The repository has Zones, but not this one.",
)
DANGLING_NAME: Final = Code(
    "dangling-name",
    Severity.ERROR,
    "a name that nothing in the same document has",
    "The field must name an entry of a list in the same document.",
)
NOT_SUPPORTED_YET: Final = Code(
    "not-supported-yet",
    Severity.ERROR,
    "something of Kuma's that this release does not support",
    "The document is right for Kuma, but this release would not do what it says. Nothing is skipped in silence.",
)
NO_EFFECT: Final = Code(
    "no-effect",
    Severity.WARNING,
    "something that is accepted but changes nothing",
    "The field is right, but no snapshot depends on it.",
)
SECRET_IN_GIT: Final = Code(
    "secret-in-git",
    Severity.ERROR,
    "the content of a secret in a repository",
    "Whoever can read the repository or any clone of it could read the secret, for ever. Take it out, and replace it "
    "wherever it is used: it counts as known.",
)
BAD_TEMPLATE: Final = Code(
    "bad-template",
    Severity.ERROR,
    "a template that cannot be filled in, or whose result is never right",
    'Host names and identities are made from templates with parts such as `{{ .Name }}` and `{{ label "team" }}`. '
    "Each place has its own words; conditions and loops are not among them.",
)
LISTENER_CONFLICT: Final = Code(
    "listener-conflict",
    Severity.ERROR,
    "listeners of a gateway that cannot share a port",
    "Listeners of one port must speak one protocol, serve different host names, and agree on `connectionLimit`.",
)
