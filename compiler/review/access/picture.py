"""A picture of who may call whom, before and after: SVG for pages and files, Mermaid for GitHub.

What is added is green, solid and marked `+`; what is removed is red, dashed and marked `−`; what is on other terms is
amber, dotted and marked `~`; so neither colour nor sharp eyes are needed. The SVG has no script, no link and no font of
its own, and follows the reader's light or dark.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

from compiler.review.access.edge import OUTSIDE, PASSTHROUGH, AccessDiff, Edge
from compiler.review.access.layout import Layout, lay_out
from compiler.review.access.portion import MOST_SERVICES, Line, Portion, choose

__all__ = ["draw_mermaid", "draw_svg"]

_CHARACTER: Final = 7.3
"""Width of a letter of the fixed-width font at 12 px."""
_ROWS: Final = (76, 52)
"""Where all lines have labels, and where only some have."""
_BOX: Final = 28
_MARGIN: Final = 20
_HEAD: Final = 22
_LONGEST: Final = 36
_GAP: Final = (90, 290)
"""Between two columns: at least, and at most, whatever the labels need."""
_PLACES: Final = (0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78, 0.15, 0.85)
_LIFTS: Final = (0, -9, 9)
_FEW: Final = 14
"""With no more lines than this, those that stayed say how they may be called too."""
_CLASSES: Final = {"+": "added", "−": "removed", "~": "changed", " ": "kept"}
_LEGEND: Final = {"+": "+ may call now", "−": "− may no longer call", "~": "~ on other terms", " ": "as before"}

_SHAPES: Final = """
.access{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.access .box{stroke-width:1}
.access .box.changed{stroke-width:1.6}
.access .box.outside{stroke-dasharray:2 3}
.access .line{fill:none;stroke-width:1.2}
.access .line.added{stroke-width:2.4}
.access .line.removed{stroke-width:2.4;stroke-dasharray:7 4}
.access .line.changed{stroke-width:2.4;stroke-dasharray:2 3}
.access .label{font-size:11px}
.access .label.added,.access .label.removed,.access .label.changed{font-weight:bold}
"""
_COLOURS: Final = """
.access text{{fill:{fore}}}
.access .back{{fill:{back}}}
.access .box{{fill:{box};stroke:{rim}}}
.access .box.changed{{stroke:{fore}}}
.access .line.kept{{stroke:{kept}}}
.access .line.added{{stroke:{added}}}
.access .line.removed{{stroke:{removed}}}
.access .line.changed{{stroke:{changed}}}
.access .label.kept,.access .tip-kept{{fill:{kept}}}
.access .label.added,.access .tip-added{{fill:{added}}}
.access .label.removed,.access .tip-removed{{fill:{removed}}}
.access .label.changed,.access .tip-changed{{fill:{changed}}}
"""
_LIGHT: Final = {
    "back": "#fff", "fore": "#1f2328", "box": "#f6f8fa", "rim": "#afb8c1",
    "kept": "#6e7781", "added": "#1a7f37", "removed": "#cf222e", "changed": "#9a6700",
}  # fmt: skip
_DARK: Final = {
    "back": "#0d1117", "fore": "#e6edf3", "box": "#161b22", "rim": "#3d444d",
    "kept": "#848d97", "added": "#3fb950", "removed": "#f85149", "changed": "#d29922",
}  # fmt: skip
_STYLE: Final = (
    f"{_SHAPES}{_COLOURS.format(**_LIGHT)}@media (prefers-color-scheme:dark){{{_COLOURS.format(**_DARK)}}}".strip()
)
"""No variables, which some readers of SVG do not know."""


class _Point(NamedTuple):
    x: float
    y: float


class _Track(NamedTuple):
    """Where a line goes; one with a bulge leaves and arrives on the right, since its boxes are in one column."""

    points: Sequence[_Point]
    bulge: float = 0.0

    @property
    def path(self) -> str:
        """Level where it leaves and arrives, and at each bend."""
        first, last = self.points[0], self.points[-1]
        start = f"M{first.x:.1f} {first.y:.1f}"
        if self.bulge:
            right = max(first.x, last.x) + self.bulge
            return f"{start}C{right:.1f} {first.y:.1f} {right:.1f} {last.y:.1f} {last.x:.1f} {last.y:.1f}"
        return start + "".join(_piece(one, other) for one, other in pairwise(self.points))

    def at(self, share: float) -> _Point:
        """A point of the line; its pieces count as equally long."""
        if self.bulge:
            first, last = self.points[0], self.points[-1]
            right = max(first.x, last.x) + self.bulge
            return _Point(_cubic(first.x, right, right, last.x, share), _cubic(first.y, first.y, last.y, last.y, share))
        pieces = len(self.points) - 1
        piece = min(int(share * pieces), pieces - 1)
        one, other, part = self.points[piece], self.points[piece + 1], share * pieces - piece
        middle = (one.x + other.x) / 2
        return _Point(_cubic(one.x, middle, middle, other.x, part), _cubic(one.y, one.y, other.y, other.y, part))


def _piece(one: _Point, other: _Point) -> str:
    middle = (one.x + other.x) / 2
    return f"C{middle:.1f} {one.y:.1f} {middle:.1f} {other.y:.1f} {other.x:.1f} {other.y:.1f}"


def _cubic(first: float, second: float, third: float, fourth: float, share: float) -> float:
    """Bézier's curve in one dimension."""
    rest = 1 - share
    return rest**3 * first + 3 * rest**2 * share * second + 3 * rest * share**2 * third + share**3 * fourth


class _Box(NamedTuple):
    """A rectangle, by its middle."""

    x: float
    y: float
    width: float
    height: float

    def touches(self, other: "_Box") -> bool:
        return (
            abs(self.x - other.x) * 2 < self.width + other.width
            and abs(self.y - other.y) * 2 < self.height + other.height
        )


def draw_svg(diff: AccessDiff, kept: Iterable[Edge] = (), *, most: int = MOST_SERVICES) -> str:
    """Of more than `most` services only those near the change; the picture says so. `kept` are on both sides."""
    portion = choose(diff, kept, most)
    return _Drawing.of(portion, diff).svg()


@dataclass
class _Drawing:
    """Everything of one picture while it is put together."""

    portion: Portion
    heading: str
    layout: Layout
    boxes: Mapping[str, _Box]
    middles: Sequence[float]
    top: float
    row: int
    size: _Point
    taken: list[_Box] = field(default_factory=list)
    """Where a label may not stand."""

    @classmethod
    def of(cls, portion: Portion, diff: AccessDiff) -> "_Drawing":
        layout = lay_out(portion.services, {(line.caller, line.service) for line in portion.lines})
        labelled = [line for line in portion.lines if _has_label(line, portion)]
        middles, right = _columns(layout, portion, labelled)
        top = _MARGIN + _HEAD * (1 + len(portion.notes)) + _BOX
        shown, height = _shown_names(portion.services), _ROWS[len(portion.lines) > _FEW]
        boxes = {
            name: _Box(middles[layout.columns[name]], top + row * height, _wide(shown[name]) + 20, _BOX)
            for name, row in layout.rows.items()
        }
        heading = _heading(diff, portion)
        widest = max([_wide(heading), *(_wide(note) for note in portion.notes)])
        legend = _HEAD if diff else 0
        size = _Point(max(right, widest) + _MARGIN, top + layout.height * height + legend)
        return cls(portion, heading, layout, boxes, middles, top, height, size, list(boxes.values()))

    def svg(self) -> str:
        width, height = round(self.size.x), round(self.size.y)
        extent = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        text = escape(self.heading)
        return "\n".join(
            (
                f'<svg class="access" xmlns="http://www.w3.org/2000/svg" role="img" {extent}>',
                f"<title>{text}</title>",
                f"<style>{_STYLE}</style>",
                *(_tip(name) for name in _CLASSES.values()),
                f'<rect class="back" width="{width}" height="{height}"/>',
                f'<text x="{_MARGIN}" y="{_MARGIN + 8}" font-weight="bold">{text}</text>',
                *self._notes(),
                *self._lines(),
                *self._services(),
                *self._legend(),
                "</svg>\n",
            )
        )

    def _notes(self) -> Iterator[str]:
        for at, note in enumerate(self.portion.notes):
            yield f'<text x="{_MARGIN}" y="{_MARGIN + 8 + _HEAD * (at + 1)}">{escape(note)}</text>'

    def _services(self) -> Iterator[str]:
        changed = {name for line in self.portion.lines if line.mark != " " for name in (line.caller, line.service)}
        shown = _shown_names(self.portion.services)
        for name, box in sorted(self.boxes.items()):
            kind = "box" + " changed" * (name in changed) + " outside" * _outside(name)
            yield (
                f'<g><title>{escape(_whole(name))}</title><rect class="{kind}" x="{box.x - box.width / 2:.1f}" '
                f'y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}" height="{box.height}" rx="6"/>'
                f'<text x="{box.x:.1f}" y="{box.y + 4:.1f}" text-anchor="middle">{escape(shown[name])}</text></g>'
            )

    def _lines(self) -> Iterator[str]:
        """Those that stayed lie below; labels lie above all lines."""
        labels = []
        for line in sorted(self.portion.lines, key=lambda one: one.mark != " "):
            track = self._track(line)
            kind = _CLASSES[line.mark]
            said = escape(f"{line.caller} → {_whole(line.service)} {line.label}")
            yield (
                f'<path class="line {kind}" d="{track.path}" marker-end="url(#access-{kind})">'
                f"<title>{said}</title></path>"
            )
            if _has_label(line, self.portion):
                labels.append(self._label(line, track, kind))
        yield from labels

    def _track(self, line: Line) -> _Track:
        """From side to side; of lines between the same two boxes each has its own height."""
        start, end = self.boxes[line.caller], self.boxes[line.service]
        shift = {"+": 7.0, "−": -7.0, "~": 14.0, " ": 0.0}[line.mark]
        behind, ahead = self.layout.columns[line.caller], self.layout.columns[line.service]
        if behind == ahead:
            return _around(start, end, shift)
        side = 0.5 if behind < ahead else -0.5
        first = _Point(start.x + side * start.width, start.y + shift)
        last = _Point(end.x - side * end.width - 8 * side, end.y + shift)
        bends = self.layout.bends[line.caller, line.service]
        through = (_Point(self.middles[column], self.top + row * self.row + shift) for column, row in bends)
        return _Track([first, *through, last])

    def _label(self, line: Line, track: _Track, kind: str) -> str:
        """Where it covers neither a box nor another label, if there is such a place."""
        text = _cut(line.label)
        width = _wide(text) * 0.93 + 4
        boxes = [_Box(point.x, point.y + lift, width, 15) for lift in _LIFTS for point in map(track.at, _PLACES)]
        box = min(boxes, key=lambda one: sum(one.touches(other) for other in self.taken))
        self.taken.append(box)
        place = f'x="{box.x:.1f}" y="{box.y + 4:.1f}" text-anchor="middle"'
        left, top = box.x - box.width / 2, box.y - box.height / 2
        under = f'<rect class="back" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height}"/>'
        return f'{under}<text class="label {kind}" {place}>{escape(text)}</text>'

    def _legend(self) -> Iterator[str]:
        """Only of what is there."""
        marks = {line.mark for line in self.portion.lines}
        if marks <= {" "}:
            return
        x, y = float(_MARGIN), self.size.y - _MARGIN / 2
        for mark, word in _LEGEND.items():
            if mark in marks:
                kind = _CLASSES[mark]
                yield f'<path class="line {kind}" d="M{x:.0f} {y - 4:.0f}h34" marker-end="url(#access-{kind})"/>'
                yield f'<text x="{x + 46:.0f}" y="{y:.0f}">{word}</text>'
                x += 70 + _wide(word)


def _columns(layout: Layout, portion: Portion, labelled: Sequence[Line]) -> tuple[list[float], float]:
    """The middle of each column, and where the last one ends: gaps are as wide as the labels in them."""
    shown = _shown_names(portion.services)
    wide = [0.0] * layout.width
    for name, column in layout.columns.items():
        wide[column] = max(wide[column], _wide(shown[name]) + 20)
    gaps = [float(_GAP[0])] * layout.width
    for line in labelled:
        columns = sorted((layout.columns[line.caller], layout.columns[line.service]))
        if columns[0] < columns[1]:
            needed = (_wide(_cut(line.label)) + 50) / (columns[1] - columns[0])
            gaps[columns[0]] = min(max(gaps[columns[0]], needed), _GAP[1])
    middles, x = [], float(_MARGIN)
    for width, gap in zip(wide, gaps, strict=True):
        middles.append(x + width / 2)
        x += width + gap
    return middles, x - (gaps[-1] if gaps else 0) + _room_at_right(layout)


def _room_at_right(layout: Layout) -> float:
    """For lines within the last column."""
    last = layout.width - 1
    return 70.0 if any(layout.columns[one] == layout.columns[other] == last for one, other in layout.bends) else 40.0


def _around(start: _Box, end: _Box, shift: float) -> _Track:
    """Between boxes of one column, or from a box to itself, around their right ends."""
    apart = 6 if start is end else 0
    first = _Point(start.x + start.width / 2, start.y + shift - apart)
    last = _Point(end.x + end.width / 2 + 4, end.y + shift + apart)
    return _Track([first, last], 40 + min(abs(start.y - end.y) / 4, 60) + shift)


def _tip(kind: str) -> str:
    return (
        f'<marker id="access-{kind}" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="tip-{kind}" d="M0 0L8 4L0 8z"/></marker>'
    )


def _has_label(line: Line, portion: Portion) -> bool:
    return line.mark != " " or len(portion.lines) <= _FEW


def _wide(text: str) -> float:
    return len(text) * _CHARACTER


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _outside(name: str) -> bool:
    return name.startswith(OUTSIDE)


def _shown_names(services: Iterable[str]) -> dict[str, str]:
    """Without the mesh where there is only one."""
    names = list(services)
    meshes = {name.partition("/")[0] for name in names if not _outside(name)}
    found = {name: name.partition("/")[2] if len(meshes) == 1 and not _outside(name) else name for name in names}
    return {name: _cut(_whole(name) if name == PASSTHROUGH else word) for name, word in found.items()}


def _whole(name: str) -> str:
    return "anything outside" if name == PASSTHROUGH else name


def _heading(diff: AccessDiff, portion: Portion) -> str:
    """A picture without a change is one of what there is."""
    if not diff:
        if diff.kept:
            return f"Who may call whom: nothing changed, {diff.kept} as before"
        return "Who may call whom" if portion.lines else "Nobody may call anybody"
    counts = ((len(diff.added), "added"), (len(diff.removed), "removed"), (len(diff.changed), "changed"))
    parts = [f"{number} {word}" for number, word in counts if number]
    return f"Who may call whom: {', '.join(parts)}, {diff.kept} as before"


# --- Mermaid ------------------------------------------------------------------------------------------------------

_STROKES: Final = {
    "+": "stroke:#1a7f37,stroke-width:3px,color:#1a7f37",
    "−": "stroke:#cf222e,stroke-width:3px,stroke-dasharray:6 4,color:#cf222e",
    "~": "stroke:#9a6700,stroke-width:3px,stroke-dasharray:2 3,color:#9a6700",
}
_ARROWS: Final = {"+": "==>", "−": "-.->", "~": "-.->", " ": "-->"}


def draw_mermaid(diff: AccessDiff, kept: Iterable[Edge] = (), *, most: int = MOST_SERVICES) -> str:
    """A flowchart that GitHub draws in Markdown, within its limits on text and lines."""
    portion = choose(diff, kept, most)
    shown = _shown_names(portion.services)
    ids = {name: f"s{at}" for at, name in enumerate(portion.services)}
    lines = ["flowchart LR", *(f"  %% {note}" for note in portion.notes)]
    lines += [f"  {ids[name]}{_node(name, shown[name])}" for name in portion.services]
    lines += [f"  {ids[line.caller]} {_arrow(line, portion)} {ids[line.service]}" for line in portion.lines]
    for mark, stroke in _STROKES.items():
        numbers = [str(at) for at, line in enumerate(portion.lines) if line.mark == mark]
        lines += [f"  linkStyle {','.join(numbers)} {stroke}"] if numbers else []
    return "\n".join(lines) + "\n"


def _node(name: str, shown: str) -> str:
    text = _quoted(shown)
    return f"([{text}])" if _outside(name) else f"[{text}]"


def _arrow(line: Line, portion: Portion) -> str:
    label = f"|{_quoted(_cut(line.label))}|" if _has_label(line, portion) else ""
    return _ARROWS[line.mark] + label


def _quoted(text: str) -> str:
    """Mermaid's own entities: what is left has no meaning to it, nor to the HTML that it makes."""
    return '"' + "".join(one if one.isalnum() or one in " :/,.-+−~_…" else f"#{ord(one)};" for one in text) + '"'
