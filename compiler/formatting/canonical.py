"""A file in canonical form, and the proof that nothing was lost on the way: else the file stays as it is."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compiler.diagnostics import Checked, Code, Diagnostic, Position, Severity
from compiler.formatting.order import FieldOrders, Fields
from compiler.formatting.printing import Printer
from compiler.formatting.remarks import read_remarks
from compiler.resources.envelope import type_of
from compiler.source.parse import Limits, Parsed, name_file, parse_blob
from compiler.source.syntax import DocumentSyntax, Kind, Node, read_syntax

NOT_FORMATTED = Code(
    "not-formatted",
    Severity.ERROR,
    "a file cannot be brought into canonical form",
    "Canonical text is read again before it is written: where it would mean something else, lose a comment or not "
    "stay as it is when formatted again, the file is left alone.",
)

_MARKER: Final = "---"


@dataclass(frozen=True, slots=True)
class Formatted:
    """The text after; `documents` counts the mesh's own ones, which alone are touched."""

    text: str
    documents: int = 0


class Formatter:
    """Canonical text of files, by the schemas that came with this package."""

    def __init__(self, known: frozenset[str], orders: FieldOrders | None = None, limits: Limits = Limits()) -> None:
        self._known = known
        self._orders = orders or FieldOrders()
        self._limits = limits

    def format(self, path: str, content: bytes) -> Checked[Formatted | None]:
        """None with findings where the file cannot be read; the text as it was where nothing in it is the mesh's."""
        parsed = parse_blob(content, self._limits)
        if parsed.diagnostics:
            return Checked(None, name_file(path, parsed.diagnostics))
        text = content.decode().removeprefix("\ufeff")
        kinds = self._kinds(parsed)
        if not any(kinds.values()):
            return Checked(Formatted(content.decode()))
        documents = read_syntax(text)
        after = self._write(path, text, documents, parsed)
        if reason := self._why_not(path, parsed, documents, after):
            message = f"formatting would change more than the form: {reason}"
            return Checked(None, (Diagnostic(Position(path), NOT_FORMATTED, message, "report it, with the file"),))
        return Checked(Formatted(after, sum(map(bool, kinds.values()))))

    def _kinds(self, parsed: Parsed) -> Mapping[int, str | None]:
        """The type of each document by its index; None for what is not the mesh's."""
        return {index: type_of(value, self._known) for index, value in parsed.documents}

    def _write(self, path: str, text: str, documents: tuple[DocumentSyntax, ...], parsed: Parsed) -> str:
        kinds, values = self._kinds(parsed), dict(parsed.documents)
        if path.endswith(".json") and len(values) == 1 and not any(one.comments for one in documents):
            return self._write_json(documents[0], parsed, kinds)
        return "".join(self._texts(text, documents, kinds, values))

    def _texts(
        self,
        text: str,
        documents: tuple[DocumentSyntax, ...],
        kinds: Mapping[int, str | None],
        values: Mapping[int, Mapping[str, Any]],
    ) -> Iterator[str]:
        """Each document of ours anew, foreign ones as they are; what is said in empty ones goes to the next."""
        waiting: tuple[str, ...] = ()
        written = False
        for index, document in enumerate(documents):
            if index not in kinds:
                waiting += tuple(comment.text for comment in document.comments)
                continue
            kind = kinds[index]
            if kind is None:
                yield "".join(f"{comment}\n" for comment in waiting) + text[document.start : document.end]
            else:
                lines = self._lines(text, document, self._fields(kind, values[index], document.root))
                marker = (_MARKER,) if written else ()
                yield "\n".join((*marker, *waiting, *lines)) + "\n"
            waiting, written = (), True
        yield "".join(f"{comment}\n" for comment in waiting)

    def _lines(self, text: str, document: DocumentSyntax, fields: Fields | None) -> list[str]:
        if document.root is None:
            return []
        return Printer(text, read_remarks(document)).print_document(document.root, fields)

    def _fields(self, kind: str, value: Mapping[str, Any], root: Node | None) -> Fields | None:
        """An alias may not come before its anchor, so a document with one keeps its order."""
        if root is None or _has_alias(root):
            return None
        return self._orders.of(kind, kubernetes="apiVersion" in value)

    def _write_json(self, document: DocumentSyntax, parsed: Parsed, kinds: Mapping[int, str | None]) -> str:
        index, value = parsed.documents[0]
        fields = self._fields(kinds[index] or "", value, document.root)
        return json.dumps(_in_order(value, fields), indent=2, ensure_ascii=False) + "\n"

    def _why_not(self, path: str, parsed: Parsed, documents: tuple[DocumentSyntax, ...], after: str) -> str | None:
        """What would be lost; None where the new text may take the place of the old one."""
        again = parse_blob(after.encode(), self._limits)
        if again.diagnostics:
            return "it could not be read again"
        if _meaning(again) != _meaning(parsed):
            return "it would mean something else"
        anew = read_syntax(after)
        if _comments(anew) != _comments(documents):
            return "a comment would be lost"
        if self._write(path, after, anew, again) != after:
            return "it would change when formatted again"
        return None


def _has_alias(node: Node) -> bool:
    if node.kind is Kind.ALIAS:
        return True
    return any(_has_alias(part) for entry in node.entries for part in (entry.key, entry.value) if part is not None)


def _meaning(parsed: Parsed) -> list[str]:
    """JSON tells 1 from 1.0 and from true, which Python takes for equal."""
    return [json.dumps(value, sort_keys=True) for _, value in parsed.documents]


def _comments(documents: Iterable[DocumentSyntax]) -> list[str]:
    return sorted(comment.text for document in documents for comment in document.comments)


def _in_order(value: object, fields: Fields | None) -> object:
    if isinstance(value, dict):
        names = list(value)
        order = fields.sort(names) if fields else range(len(names))
        return {names[index]: _in_order(value[names[index]], _inner(fields, names[index])) for index in order}
    return [_in_order(entry, _inner(fields, "")) for entry in value] if isinstance(value, list) else value


def _inner(fields: Fields | None, name: str) -> Fields | None:
    return fields.field(name) if fields else None
