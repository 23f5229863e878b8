"""Regular expressions as Envoy's RE2 reads them: what is refused here, Envoy refuses with the whole listener.

Only the syntax is read, in linear time; nothing is compiled or run.
"""

import re
from typing import Final

_MOST_REPEATS: Final = 1000
_FLAGS: Final = re.compile(r"\?(?=[imsU:-])[imsU]*(-[imsU]+)?(?P<end>[:)])")
_NAME: Final = re.compile(r"\?P?<[A-Za-z_]\w*>")
_REPEAT: Final = re.compile(r"\{(\d+)(,(\d*))?\}")
_CHARACTER: Final = (
    r"[aftrnv]|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|0[0-7]{0,2}|[1-7][0-7]{1,2}|[^0-9A-Za-z\x80-\U0010ffff]"
)
_ESCAPE: Final = re.compile(rf"\\(?:[dDsSwWbBAzC]|[pP](?:[A-Z]|\{{\^?\w+\}})|{_CHARACTER})")
_MEMBER: Final = re.compile(rf"\\(?:{_CHARACTER})")
_IN_CLASS: Final = re.compile(r"\\(?:[dDsSwW]|[pP](?:[A-Z]|\{\^?\w+\}))|\[:\^?[a-z]+:\]")
_QUOTED: Final = re.compile(r"\\Q(?:[^\\]|\\(?!E))*(?:\\E|\\?\Z)")
_WRITTEN_ESCAPE: Final = re.compile(r"\\(.|\Z)", re.DOTALL)
_UNKNOWN_GROUPS: Final = {
    "?=": "look-ahead",
    "?!": "look-ahead",
    "?<=": "look-behind",
    "?<!": "look-behind",
    "?>": "an atomic group",
    "?P=": "a back-reference",
    "?(": "a condition",
    "?#": "a comment",
}


def refuse_expression(text: str) -> str | None:
    """What RE2 cannot read in an expression, None where it reads all of it."""
    try:
        _Reader(text).read()
    except _Unreadable as found:
        return str(found)
    return None


def refuse_substitution(expression: str, substitution: str) -> str | None:
    r"""Why RE2 cannot put this in the place of what a readable expression matches: `\1` is its first group."""
    reader = _Reader(expression)
    reader.read()
    for escape in _WRITTEN_ESCAPE.finditer(substitution):
        named = escape[1]
        if not named.isascii() or not (named == "\\" or named.isdigit()):
            return f"{escape[0]} stands for nothing: a backslash goes before a group's number, or another backslash"
        if named != "\\" and int(named) > reader.captured:
            return f"{escape[0]} stands for a group that the expression has not"
    return None


class _Unreadable(ValueError):
    """The reading ends at the first thing that RE2 does not have."""


class _Reader:
    """One pass; `groups` holds for each open group the greatest number of repeats inside it so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = [1]
        self.captured = 0
        self.last = 0
        """The greatest number of repeats within what a quantifier would repeat; 0 where there is nothing to repeat."""

    def read(self) -> None:
        while self.at < len(self.text):
            self._read_one(self.text[self.at])
        if len(self.groups) > 1:
            raise _Unreadable("a parenthesis is not closed")

    def _read_one(self, character: str) -> None:
        match character:
            case "(":
                self._open_group()
            case ")":
                self._close_group()
            case "[":
                self._read_class()
            case "\\":
                self._read_escape()
            case "*" | "+" | "?":
                self._repeat(1, self.at + 1)
            case "{" if counted := _REPEAT.match(self.text, self.at):
                self._repeat(_count(counted), counted.end())
            case "|":
                self.at, self.last = self.at + 1, 0
            case _:
                self.at, self.last = self.at + 1, 1

    def _open_group(self) -> None:
        self.at += 1
        if self.text.startswith("?", self.at):
            flags, name = _FLAGS.match(self.text, self.at), _NAME.match(self.text, self.at)
            found = flags or name
            if found is None:
                raise _Unreadable(self._unknown_group())
            self.at = found.end()
            if flags and flags["end"] == ")":
                return
            self.captured += name is not None
        else:
            self.captured += 1
        self.groups.append(1)
        self.last = 0

    def _unknown_group(self) -> str:
        known = (meaning for start, meaning in _UNKNOWN_GROUPS.items() if self.text.startswith(start, self.at))
        return f"RE2 has not got {next(known, 'this kind of group')}"

    def _close_group(self) -> None:
        if len(self.groups) == 1:
            raise _Unreadable("a parenthesis is closed that was not opened")
        self.last = self.groups.pop()
        self.groups[-1] = max(self.groups[-1], self.last)
        self.at += 1

    def _read_escape(self) -> None:
        if quoted := _QUOTED.match(self.text, self.at):
            self.at, self.last = quoted.end(), 1
            return
        found = _ESCAPE.match(self.text, self.at)
        if found is None:
            raise _Unreadable(_unknown_escape(self.text[self.at : self.at + 2]))
        self.at, self.last = found.end(), 1

    def _read_class(self) -> None:
        self.at += 1
        if self.text.startswith("^", self.at):
            self.at += 1
        first = True
        while first or not self.text.startswith("]", self.at):
            self._read_range()
            first = False
        self.at, self.last = self.at + 1, 1

    def _read_range(self) -> None:
        """A character, a class of its own, or two characters with a dash between them."""
        if own := _IN_CLASS.match(self.text, self.at):
            self.at = own.end()
            return
        low = self._read_member()
        if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
            self.at += 1
            high = self._read_member()
            if low is not None and high is not None and high < low:
                raise _Unreadable("a range of characters ends before it begins")

    def _read_member(self) -> str | None:
        """The character, None where it is written as an escape."""
        if self.at >= len(self.text):
            raise _Unreadable("a bracket is not closed")
        found = _MEMBER.match(self.text, self.at)
        if found is None and self.text[self.at] == "\\":
            raise _Unreadable(_unknown_escape(self.text[self.at : self.at + 2]))
        member = None if found else self.text[self.at]
        self.at = found.end() if found else self.at + 1
        return member

    def _repeat(self, count: int, end: int) -> None:
        if not self.last:
            raise _Unreadable("there is nothing to repeat")
        repeats = max(count, 1) * self.last
        if count > _MOST_REPEATS or repeats > _MOST_REPEATS:
            raise _Unreadable(f"RE2 repeats {_MOST_REPEATS} times at most")
        self.groups[-1] = max(self.groups[-1], repeats)
        self.at, self.last = end, 0
        if self.text.startswith("?", self.at):
            self.at += 1


def _count(counted: re.Match[str]) -> int:
    """The greater end; digits beyond any bound count as too many."""
    low, high = (int(digits[:6] or 0) for digits in (counted[1], counted[3] or counted[1]))
    if high < low:
        raise _Unreadable("a number of repeats ends before it begins")
    return high


def _unknown_escape(escape: str) -> str:
    if escape == "\\":
        return "a backslash stands at the end"
    return f"RE2 has not got back-references such as {escape}" if escape[1].isdigit() else f"RE2 does not know {escape}"
