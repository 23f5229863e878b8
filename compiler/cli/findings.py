"""Diagnostics as people and machines read them: text with the line and a caret, JSON, GitHub annotations."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import typer

from compiler.cli.output import Output
from compiler.cli.secrecy import may_hold_secret
from compiler.diagnostics import Diagnostic, Severity, plain_diagnostic
from compiler.resources.findings import SECRET_IN_GIT
from compiler.resources.resource_set import Counts
from compiler.source.tree import SourceFile, SourceTree

SCHEMA_VERSION: Final = 1
_LONGEST_LINE: Final = 160
_AUTHORITY: Final = re.compile(r"/mtls/backends/\d+/")
_BEFORE_COMMENT: Final = re.compile(r"""(?:(?<![^\s\[{,:])(?:"(?:\\.|[^"\\])*"|'(?:[^']|'')*')|[^#]|(?<=\S)#)*""")
"""Of a line of YAML: a quote opens where a value begins, and a `#` after a blank is a comment anywhere else."""


def show(
    diagnostics: Sequence[Diagnostic], counts: Counts, tree: SourceTree, output: Output, *, strict: bool = False
) -> None:
    """Findings are this command's data, so they go to stdout."""
    match output:
        case Output.JSON:
            typer.echo(json.dumps(as_json(diagnostics, counts), ensure_ascii=False, indent=2))
        case Output.SARIF:
            from compiler.review.outputs.sarif import findings_as_sarif

            typer.echo(findings_as_sarif(diagnostics, tree.prefix))
        case Output.GITHUB:
            for finding in diagnostics:
                typer.echo(annotation(finding, tree.prefix))
            typer.echo(summary(diagnostics, counts))
        case Output.TEXT:
            lines = _lines_of(tree)
            for finding in diagnostics:
                typer.echo(as_text(finding, lines))
            typer.echo(summary(diagnostics, counts, strict=strict))


def as_json(diagnostics: Iterable[Diagnostic], counts: Counts) -> dict[str, Any]:
    """The shape of design §6; a field is added to it but never changed within one `schemaVersion`."""
    found = list(diagnostics)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "diagnostics": [plain_diagnostic(finding) for finding in found],
        "summary": {
            "files": counts.files,
            "documents": counts.documents,
            "resources": counts.resources,
            "ignored": counts.ignored,
            "errors": _count(found, Severity.ERROR),
            "warnings": _count(found, Severity.WARNING),
        },
    }


def as_text(finding: Diagnostic, lines: Callable[[str], Sequence[str]]) -> str:
    """Place, code and message; then the line with a caret under the column; then what would be right."""
    colour = "red" if finding.level is Severity.ERROR else "yellow"
    level = _paint(f"{finding.level.value}[{finding.code.word}]", colour)
    parts = [f"{_paint(str(finding.position), None, bold=True)}: {level}: {finding.message}"]
    parts += _excerpt(finding, lines)
    if finding.hint:
        parts.append(f"    = {finding.hint}")
    return "\n".join(parts)


def _excerpt(finding: Diagnostic, lines: Callable[[str], Sequence[str]]) -> list[str]:
    """A long line is cut around its column; its comment, and a line that may hold a secret, are not shown."""
    line, column = finding.position.line, finding.position.column
    text = lines(finding.position.file)
    if not 0 < line <= len(text) or _may_show_secret(finding, text):
        return []
    shown = "".join(character if character.isprintable() else "·" for character in _without_comment(text[line - 1]))
    if not shown or column - 1 > len(shown):
        return []
    start = max(0, column - _width() // 2) if len(shown) > _width() else 0
    return [f"{line:>5} | {shown[start : start + _width()]}", f"      | {' ' * max(0, column - 1 - start)}^"]


def _may_show_secret(finding: Diagnostic, text: Sequence[str]) -> bool:
    """A Mesh's authority is not shown whatever words it is in."""
    own = finding.code == SECRET_IN_GIT or (finding.subject is not None and finding.subject.type == "Secret")
    return own or bool(_AUTHORITY.search(finding.path)) or may_hold_secret(tuple(text))


def _without_comment(line: str) -> str:
    """What somebody noted beside a value, an older token say, is not the mistake."""
    found = _BEFORE_COMMENT.match(line)
    return found[0].rstrip() if found else ""


def _width() -> int:
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        return _LONGEST_LINE
    return max(20, min(columns - 9, _LONGEST_LINE))


def annotation(finding: Diagnostic, prefix: str = "") -> str:
    """GitHub's workflow command; what would end it early is escaped. `prefix` is the folder in its repository."""
    file = f"{prefix}/{finding.position.file}" if prefix else finding.position.file
    place = {"file": file, "line": finding.position.line or 1, "col": finding.position.column or 1}
    fields = ",".join(f"{key}={_escape(str(value), property=True)}" for key, value in place.items())
    title = _escape(finding.code.word, property=True)
    message = finding.message + (f" ({finding.hint})" if finding.hint else "")
    return f"::{finding.level.value} {fields},title={title}::{_escape(message)}"


def _escape(text: str, *, property: bool = False) -> str:  # noqa: A002  # GitHub's own word
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property else text


def summary(diagnostics: Iterable[Diagnostic], counts: Counts, *, strict: bool = False) -> str:
    """Nothing is skipped silently: foreign YAML is counted."""
    found = list(diagnostics)
    errors, warnings = _count(found, Severity.ERROR), _count(found, Severity.WARNING)
    verdict = _paint("failed", "red") if errors or (strict and warnings) else _paint("ok", "green")
    read = f"{many(counts.resources, 'resource')} in {many(counts.files, 'file')}"
    ignored = f", {many(counts.ignored, 'foreign document')} ignored" if counts.ignored else ""
    return f"{verdict}: {many(errors, 'error')}, {many(warnings, 'warning')}; {read}{ignored}"


def many(count: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _count(diagnostics: Iterable[Diagnostic], severity: Severity) -> int:
    return sum(finding.level is severity for finding in diagnostics)


def _lines_of(tree: SourceTree) -> Callable[[str], Sequence[str]]:
    """Files are read again only for the findings in them."""
    files: Mapping[str, SourceFile] = {file.path: file for file in tree.files}
    read: dict[str, Sequence[str]] = {}

    def lines(path: str) -> Sequence[str]:
        if path not in read:
            content = tree.read(files[path]) if path in files else b""
            read[path] = content.decode(errors="replace").splitlines()
        return read[path]

    return lines


def takes_colour() -> bool:
    """Colour on a terminal only that knows any, and never under NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(text: str, colour: str | None, *, bold: bool = False) -> str:
    if not takes_colour():
        return text
    return typer.style(text, fg=colour, bold=bold)
