"""The picture of growth: four panels over the number of proxies, both axes logarithmic, exponents in the legends."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.fits import LATENCY, UNITS, Fitted
from benchmarks.records import Record

_GOAL: Final = 25.0
"""Milliseconds that an edit must take at most to be durable, in the middle."""
_COLOURS: Final[Mapping[str, str]] = {
    "cold": "#444444",
    "E1": "#0072b2",
    "E3": "#d55e00",
    "E6": "#009e73",
    "C1": "#cc79a7",
}
"""Of Okabe and Ito's palette, which colour-blind readers tell apart; an operation has its own in every panel."""
_MARKERS: Final[Mapping[str, str]] = {"cold": "s", "E1": "o", "E3": "^", "E6": "D", "C1": "v"}
_STYLE: Final[Any] = {
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DOTS: Final = 160


def draw(fits: Sequence[Fitted], records: Sequence[Record], path: Path) -> Path:
    """As a PNG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 8), layout="constrained")
        for axes, panel in zip(figure.subplots(2, 2).flat, UNITS, strict=True):
            _draw_panel(axes, panel, [fitted for fitted in fits if fitted.series.panel == panel])
        figure.suptitle("meshwright: cost by size of the mesh", fontsize=13, fontweight="bold")
        figure.supxlabel(_describe_origin(records), fontsize=7.5, color="#666666")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=_DOTS)
    return path


def _draw_panel(axes: Any, panel: str, fits: Sequence[Fitted]) -> None:
    for fitted in fits:
        _draw_series(axes, fitted)
    axes.set(xscale="log", yscale="log", xlabel="proxies", ylabel=UNITS[panel])
    axes.set_title(panel, loc="left", fontweight="bold")
    sizes = sorted({proxies for fitted in fits for proxies, _ in fitted.points})
    axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    if sizes:
        axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.4)
    if panel == LATENCY:
        axes.axhline(_GOAL, color="#999999", linestyle=":", label=f"must be durable in {_GOAL:g} ms (M, K, L)")
    _widen(axes, [value for fitted in fits for _, value in fitted.points] + [_GOAL] * (panel == LATENCY))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", fontsize=8, framealpha=0.85)


def _draw_series(axes: Any, fitted: Fitted) -> None:
    """Solid in the compiler, dashed end to end."""
    operation, served = fitted.series.operation, fitted.series.kind == "serve"
    sizes, values = zip(*fitted.points, strict=True)
    axes.plot(
        sizes,
        values,
        label=_label(fitted),
        color=_COLOURS[operation],
        marker=_MARKERS[operation],
        linestyle="--" if served else "-",
        fillstyle="none" if served else "full",
        markersize=5,
    )


def _label(fitted: Fitted) -> str:
    """With the exponent and, where there is a goal for it, what it must be."""
    if fitted.exponent is None:
        return fitted.series.label
    limit = f", must ≤ {fitted.series.bound.must:g}" if fitted.series.bound is not None else ""
    by = " by documents" if fitted.series.by_documents else ""
    return f"{fitted.series.label}: $n^{{{fitted.exponent:.2f}}}${by}{limit}"


def _widen(axes: Any, values: Sequence[float]) -> None:
    """Two decades and a half at least, so that a flat line looks flat, with room for the legend above."""
    if values:
        low = min(values) / 2.5
        axes.set_ylim(low, max(max(values) * 8, low * 300))


def _describe_origin(records: Iterable[Record]) -> str:
    """Where the figures come from, for whoever finds the picture by itself."""
    even = [record for record in records if record.shape.even]
    newest = max(even, key=lambda record: record.time)
    machine, versions = newest.around["machine"], newest.around["versions"]
    load = max(max(record.around["load"]) for record in even)
    return (
        f"even workloads (ten replicas, four callers each), seed {newest.shape.seed}; {machine['cores']} cores, "
        f"{machine['cpu']}, load up to {load:.1f}, Python {versions['python']}; {newest.time[:10]}"
    )
