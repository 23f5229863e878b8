"""Bytes to text that a reviewer can trust: what a file shows is what it holds."""

import re
import unicodedata
from collections.abc import Iterator

from compiler.diagnostics import Code, Diagnostic, Position, Severity

NOT_UTF8 = Code(
    "not-utf8",
    Severity.ERROR,
    "a file is not UTF-8",
    "Every file is read as UTF-8, with or without a byte order mark; other encodings could be read in two ways.",
)
CONTROL_CHARACTER = Code(
    "control-character",
    Severity.ERROR,
    "a control character stands in a file or a string",
    "Control characters other than tab and line ends change what a terminal shows; NUL ends strings in C.",
)
HIDDEN_CHARACTER = Code(
    "hidden-character",
    Severity.ERROR,
    "an invisible or direction-changing character stands in a file or a string",
    "Bidirectional controls, zero-width characters and rare line separators make a file look different from what it "
    "means, so a reviewer would approve something else. Joiners are accepted between the letters that need them.",
)
NOT_NFC = Code(
    "not-nfc",
    Severity.ERROR,
    "a string is not in Unicode normalization form C",
    "Two strings that look the same must be the same: keys and values are written in composed form (NFC).",
)
MIXED_SCRIPT = Code(
    "mixed-script",
    Severity.ERROR,
    "a name mixes letters of scripts that look alike",
    "A Cyrillic 'а' in a Latin word is a different name that looks the same. Keys, and values without spaces, "
    "keep to one script a word.",
)

_BOM = b"\xef\xbb\xbf"
_JOINERS = "\u200c\u200d"
# Bidi controls, zero-width and filler characters, tag characters, and the line ends that only YAML 1.1 knows.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d"
    "\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\x85]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|\r(?!\n)")
_WORD = re.compile(r"[^\W\d_]+")
_LOOKALIKES = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
# Unicode's Stream-Safe Text Format: no language needs more.
_MAX_MARKS = 30
_JOINED = frozenset({"Lo", "Mn", "Mc", "So", "Sk"})


def decode(content: bytes) -> str | Diagnostic:
    """The file's text without a leading byte order mark, or where it stops being UTF-8."""
    try:
        return content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        before = content.removeprefix(_BOM)[: error.start].decode()
        byte = error.object[error.start]
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it looks like UTF-16; save it as UTF-8" if utf16 else "save the file as UTF-8"
        return Diagnostic(_place(before, len(before)), NOT_UTF8, f"byte 0x{byte:02x} is not UTF-8", hint)


def control_characters(text: str) -> Iterator[Diagnostic]:
    """Characters that YAML does not allow in a file at all, and line ends that most editors do not show."""
    for match in _CONTROL.finditer(text):
        hint = "save the file with Unix line ends" if match[0] == "\r" else "remove it"
        yield Diagnostic(_place(text, match.start()), CONTROL_CHARACTER, f"{name_of(match[0])} in the file", hint)


def hidden_characters(text: str) -> Iterator[Diagnostic]:
    """Invisible and direction-changing characters anywhere in a file, comments too, since people read those."""
    if text.isascii():
        return
    for offset in _hidden_offsets(text):
        message = f"{name_of(text[offset])} in the file"
        yield Diagnostic(_place(text, offset), HIDDEN_CHARACTER, message, "remove it; what is shown is what is read")


def check_string(string: str, *, escapes: bool) -> tuple[Code, str, str] | None:
    """What is wrong with a key or value as constructed; what stands raw in the file was found there already."""
    if escapes and (match := _CONTROL.search(string.replace("\r", "\n"))):
        return CONTROL_CHARACTER, f"the string holds {name_of(match[0])}", "remove the escape sequence"
    if string.isascii():
        return None
    if escapes and (offset := next(_hidden_offsets(string), None)) is not None:
        return HIDDEN_CHARACTER, f"the string holds {name_of(string[offset])}", "remove the escape sequence"
    return _check_composed(string) or _check_scripts(string)


def name_of(character: str) -> str:
    """U+202E RIGHT-TO-LEFT OVERRIDE, say."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '(control)')}"


def misleads(name: str) -> bool:
    """Whether a file's name holds a character that hides or changes how the name is shown."""
    return bool(_CONTROL.search(name)) or "\n" in name or "\t" in name or any(True for _ in _hidden_offsets(name))


def _place(text: str, offset: int) -> Position:
    return Position("", text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _hidden_offsets(text: str) -> Iterator[int]:
    matches = (match.start() for match in _HIDDEN.finditer(text))
    return (offset for offset in matches if not (text[offset] in _JOINERS and _joins(text, offset)))


def _joins(text: str, offset: int) -> bool:
    """Persian, Indic scripts and emoji need joiners; between Latin letters one only hides."""
    around = text[offset - 1 : offset] + text[offset + 1 : offset + 2]
    return len(around) == len("ab") and all(unicodedata.category(letter) in _JOINED for letter in around)


def _check_composed(string: str) -> tuple[Code, str, str] | None:
    """Normalizing takes quadratic time over a run of combining marks, so its length is looked at first."""
    run = 0
    for character in string:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MAX_MARKS:
            return NOT_NFC, f"more than {_MAX_MARKS} combining marks stand on one letter", "remove them"
    if unicodedata.is_normalized("NFC", string):
        return None
    return NOT_NFC, f"{name_of(_first_not_nfc(string))} is not composed", "write the composed character (NFC)"


def _first_not_nfc(string: str) -> str:
    composed = unicodedata.normalize("NFC", string)
    return next((old for old, new in zip(string, composed, strict=False) if old != new), string[-1])


def _check_scripts(string: str) -> tuple[Code, str, str] | None:
    if any(character.isspace() for character in string):
        return None
    for word in _WORD.findall(string):
        scripts = sorted({unicodedata.name(letter, "?").split()[0] for letter in set(word)} & _LOOKALIKES)
        if len(scripts) > 1:
            odd = next(letter for letter in word if not letter.isascii())
            message = f"{word!r} mixes {' and '.join(script.title() for script in scripts)} letters: {name_of(odd)}"
            return MIXED_SCRIPT, message, "write the word in one script"
    return None
