"""To which entry each comment of a document belongs, so that it moves with it."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.source.syntax import Comment, DocumentSyntax, Entry, Kind, Node


@dataclass(frozen=True, slots=True)
class Line:
    """A comment on a line of its own, with whether an empty line stands before it."""

    text: str
    blank_before: bool = False


@dataclass(frozen=True, slots=True)
class Remarks:
    """By the number of an entry: what stands before it, beside it, and (by the last entry's) below a collection."""

    head: tuple[Line, ...] = ()
    leading: Mapping[int, Sequence[Line]] = field(default_factory=dict)
    beside: Mapping[int, str] = field(default_factory=dict)
    below: Mapping[int, Sequence[Line]] = field(default_factory=dict)
    foot: tuple[Line, ...] = ()

    def are_about(self, entry: Entry) -> bool:
        """Whether something is said of an entry, which then stands on a line of its own."""
        return entry.number in self.leading or entry.number in self.beside or entry.number in self.below


def read_remarks(document: DocumentSyntax) -> Remarks:
    """Every comment once; those before the first entry are the document's own."""
    if document.root is None:
        return Remarks(head=tuple(_line(comment) for comment in document.comments))
    return _Reader(document.root).read(document.comments)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An entry and the collections that it stands in, the outermost first."""

    entry: Entry
    around: tuple[Node, ...]
    parents: tuple["_Placed", ...]


class _Reader:
    def __init__(self, root: Node) -> None:
        self._root = root
        self._placed = tuple(_place(root, (), ()))
        self._starts = [one.entry.start for one in self._placed]
        self._ended = {one.entry.end: one for one in self._placed}
        self._head: list[Line] = []
        self._leading: dict[int, list[Line]] = {}
        self._beside: dict[int, str] = {}
        self._below: dict[int, list[Line]] = {}
        self._foot: list[Line] = []

    def read(self, comments: Sequence[Comment]) -> Remarks:
        for comment in comments:
            if not self._placed or comment.offset < self._placed[0].entry.start:
                self._head.append(_line(comment))
            elif comment.own_line:
                self._take_own_line(comment)
            else:
                self._take_beside(comment)
        return Remarks(tuple(self._head), self._leading, self._beside, self._below, tuple(self._foot))

    def _take_beside(self, comment: Comment) -> None:
        """A second one of an entry goes before it, for only one can stand in its line."""
        owner = self._ended.get(comment.after) or self._holding(comment.offset)
        if owner is None:
            self._foot.append(_line(comment))
            return
        number = owner.entry.number
        if number in self._beside:
            self._leading.setdefault(number, []).append(Line(self._beside[number]))
        self._beside[number] = comment.text

    def _take_own_line(self, comment: Comment) -> None:
        holding = self._holding(comment.offset)
        if holding is not None and _is_before_value(holding.entry, comment):
            self._leading.setdefault(holding.entry.number, []).append(_line(comment))
            return
        flow = self._flow_around(comment.offset)
        if flow is not None:
            self._take_in_flow(comment, flow, holding)
            return
        following = self._following(comment.offset)
        closed = self._closed_at(comment, following)
        if closed is not None:
            self._below.setdefault(closed.entries[-1].number, []).append(_line(comment))
        elif following is not None:
            self._leading.setdefault(following.entry.number, []).append(_line(comment))
        else:
            self._foot.append(_line(comment))

    def _take_in_flow(self, comment: Comment, flow: Node, holding: _Placed | None) -> None:
        """Before the next entry in the brackets, below the last one, or before what the empty brackets belong to."""
        following = next((one for one in flow.entries if one.start > comment.offset), None)
        if following is not None:
            self._leading.setdefault(following.number, []).append(_line(comment))
        elif flow.entries:
            self._below.setdefault(flow.entries[-1].number, []).append(_line(comment))
        elif holding is not None:
            self._leading.setdefault(holding.entry.number, []).append(_line(comment))
        else:
            self._foot.append(_line(comment))

    def _closed_at(self, comment: Comment, following: _Placed | None) -> Node | None:
        """The innermost collection that has just ended and is indented no more than the comment.

        A list may stand at the indentation of the key that holds it, so what is said below a list is told from what
        is said before the next key by being further in.
        """
        last = self._last_before(comment.offset)
        if last is None or last.entry.end > comment.offset:
            return None
        still_open = following.around if following is not None else ()
        least = following.around[-1].column if following is not None else -1
        if comment.column <= least:
            return None
        closed = [node for node in last.around if not any(node is one for one in still_open)]
        return next((node for node in reversed(closed) if not node.flow and node.column <= comment.column), None)

    def _last_before(self, offset: int) -> _Placed | None:
        """The entry that began last before the offset, which is the innermost there."""
        place = bisect_right(self._starts, offset)
        return self._placed[place - 1] if place else None

    def _following(self, offset: int) -> _Placed | None:
        place = bisect_right(self._starts, offset)
        return self._placed[place] if place < len(self._placed) else None

    def _holding(self, offset: int) -> _Placed | None:
        """The innermost entry in whose midst the offset lies."""
        last = self._last_before(offset)
        line = () if last is None else (*last.parents, last)
        return next((one for one in reversed(line) if offset < one.entry.end), None)

    def _flow_around(self, offset: int) -> Node | None:
        """The innermost brackets in which the offset lies."""
        last = self._last_before(offset)
        around = (self._root,) if last is None else (*last.around, last.entry.value)
        return next((node for node in reversed(around) if node.flow and node.start < offset < node.end), None)


def _place(node: Node, around: tuple[Node, ...], parents: tuple[_Placed, ...]) -> Iterator[_Placed]:
    inside = (*around, node)
    for entry in node.entries:
        placed = _Placed(entry, inside, parents)
        yield placed
        yield from _place(entry.value, inside, (*parents, placed))


def _is_before_value(entry: Entry, comment: Comment) -> bool:
    """Between a key and its scalar or brackets; before a block it belongs to the block's first entry."""
    value = entry.value
    is_block = value.kind in (Kind.MAPPING, Kind.SEQUENCE) and not value.flow
    return comment.offset < value.start and not is_block


def _line(comment: Comment) -> Line:
    return Line(comment.text, comment.blank_before)
