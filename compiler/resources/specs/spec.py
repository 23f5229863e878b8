"""What specs of every type are built from."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

Conf = Mapping[str, Any]


class Spec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of everything decoded from YAML: immutable, camelCase outside, snake_case here."""


class LabelSelector(Spec, frozen=True):
    match_labels: dict[str, str] = field(default_factory=dict)


class NameReference(Spec, frozen=True):
    name: str


class TagSelector(Spec, frozen=True):
    """Tags that must all be there; "*" is any value."""

    match: dict[str, str]


class DataSource(Spec, frozen=True):
    """Where something is kept (Kuma 2.x): exactly one of the four."""

    secret: str = ""
    file: str = ""
    inline: str = ""
    inline_string: str = ""


class FileSource(Spec, frozen=True):
    path: str


class InlineSource(Spec, frozen=True):
    value: str


class SecureDataSource(Spec, frozen=True):
    """Where something is kept; `type` (Secret, File, EnvVar, InsecureInline) says which field holds it."""

    type: str
    secret_ref: NameReference | None = None
    file: FileSource | None = None
    env_var: NameReference | None = None
    insecure_inline: InlineSource | None = None


class Extension(Spec, frozen=True):
    """A plug-in that Kuma was built with."""

    type: str
    config: Any = None
