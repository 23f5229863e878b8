"""What a user did wrong and where: positions, codes, diagnostics, and values checked for them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Severity(StrEnum):
    """How much a finding weighs; `off` is what `meshwright.yaml` says of a code that it silences."""

    ERROR = "error"
    WARNING = "warning"
    OFF = "off"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a source file; line and column count from 1, 0 where only the file is known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Code:
    """A stable word for one kind of finding, declared where it is raised; its page under docs/codes is generated."""

    word: str
    severity: Severity
    summary: str
    explanation: str

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """The resource that a finding is about, as far as it could be read."""

    type: str
    mesh: str
    name: str


_NOBODY: Final = Subject("", "", "")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding; `path` is the JSON pointer inside its document."""

    position: Position
    code: Code
    message: str
    hint: str | None = None
    subject: Subject | None = None
    path: str = ""
    severity: Severity | None = None

    @property
    def level(self) -> Severity:
        """The severity given to this finding, else its code's own."""
        return self.severity or self.code.severity

    @property
    def sort_key(self) -> tuple[Position, str, str, str, Subject, str, str]:
        """Total: of what one document stands for several may have the same to say of them at one place."""
        subject = self.subject or _NOBODY
        return self.position, self.code.word, self.path, self.message, subject, self.hint or "", self.level


@dataclass(frozen=True, slots=True)
class Checked(Generic[T]):
    """A value and everything that was found wrong while it was made."""

    value: T
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def failed(self) -> bool:
        return any(finding.level is Severity.ERROR for finding in self.diagnostics)

    def then(self, stage: Callable[[T], "Checked[U]"]) -> "Checked[U]":
        """The next stage's value, with the findings of both."""
        following = stage(self.value)
        return Checked(following.value, self.diagnostics + following.diagnostics)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each finding once, by place."""
    return tuple(sorted(set(diagnostics), key=lambda finding: finding.sort_key))


def set_severities(diagnostics: Iterable[Diagnostic], severities: Mapping[str, Severity]) -> tuple[Diagnostic, ...]:
    """The findings as a repository's `severity` setting weighs them; silenced ones are left out."""
    weighed = (replace(finding, severity=severities.get(finding.code.word, finding.level)) for finding in diagnostics)
    return tuple(finding for finding in weighed if finding.level is not Severity.OFF)


def plain_diagnostic(finding: Diagnostic) -> Mapping[str, object]:
    """As every command prints it in JSON, and as the daemon shows it."""
    subject = finding.subject
    return {
        "file": finding.position.file,
        "line": finding.position.line,
        "column": finding.position.column,
        "code": finding.code.word,
        "severity": finding.level.value,
        "message": finding.message,
        "hint": finding.hint,
        "resource": {"type": subject.type, "mesh": subject.mesh, "name": subject.name} if subject else None,
        "path": finding.path,
    }
