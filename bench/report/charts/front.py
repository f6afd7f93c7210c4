"""Chart of accuracy and an axis: every cell of known accuracy, and the front as a line."""

import math
from collections.abc import Iterator

import altair as alt
import pandas as pd

from bench.cells.plan import FRONT
from bench.metrics.metric import Axis, Better, Metric
from bench.records.record import RunRecord
from bench.report import front, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Each symbol is a cell: up is more accurate, left is {better}.{intervals} The grey steps are "
    "the front: no measured cell is above them or to their left. The networks on the front are "
    "named. The accuracy is published, not measured."
)
_OF_LATENCY = (
    " The horizontal line through it is the 95 % interval of its latency, which contains the "
    "machine's drift; the verdicts come from ratios, in which drift cancels."
)
_OF_MEASURED = (
    " The horizontal line through it is the 95 % interval, if there is one; the verdicts come from "
    "ratios."
)
_HEIGHT = 320  # pixels, without the names that move up
_MARGIN = 0.06  # of the span of accuracies, below and above
_LEAST_SPAN = 1.0  # percentage points
_ABOVE, _LINE = 9, 14  # pixels from a symbol to its name, and from a name to the next
_VERDICTS = {  # by verdict: text in the legend and shape
    front.ON_FRONT: ("yes", "circle"),
    front.UNCLEAR: ("unclear", "diamond"),
    front.DOMINATED: ("no, dominated", "cross"),
}
# ``search`` is empty unless a reader of the page searches for a name; every name contains that.
_SEARCH = alt.param(name="search", value="")
_IS_FOUND = "indexof(lower(datum.arch), search) >= 0"


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each group with a front, and for each axis."""
    rows = front.frame(run)
    for metric in front.axes(run):
        axis = front.Comparison(metric=metric, run=run).axis
        for title, group in summary.grouped(rows[rows["axis"] == axis.name]):
            host = "host " if run.has_blocks and axis.name in FRONT else ""
            yield style.to_chart(
                front.chart_name(title, axis),
                f"{front.title(axis)}: {title}",
                _caption(axis),
                _plot(_rows(group, metric, axis), metric, f"{host}{axis.title} (log scale)"),
                names=tuple(dict.fromkeys(group["arch"])),
            )


def _caption(axis: Axis) -> str:
    if axis.name in FRONT:
        return CAPTION.format(better="faster", intervals=_OF_LATENCY)
    intervals = "" if axis.advantage is None else _OF_MEASURED
    return CAPTION.format(better="better", intervals=intervals)


def _rows(group: pd.DataFrame, metric: Metric, axis: Axis) -> pd.DataFrame:
    """Return a row for each cell; ``label`` is the accuracy at whose height its name stands."""
    figures = group[metric.name].astype(float) * axis.scale
    # Counts have no interval, and one set has none.
    low, high = (
        (group[name].astype(float) * axis.scale).fillna(figures) if name in group else figures
        for name in (f"{metric.name}_low", f"{metric.name}_high")
    )
    rows = pd.DataFrame(
        {
            "arch": group["arch"],
            "mode": group["mode"],
            "accuracy": group["accuracy"],
            "figure": figures,
            "low": low,
            "high": high,
            "front": [_VERDICTS[verdict][0] for verdict in group["front"]],
            "dominated_by": group["dominated_by"].fillna(""),
            "is_front": group["front"] == front.ON_FRONT,
        }
    )
    return rows.assign(label=_labels(rows, is_more=metric.better is Better.MORE))


def _accuracies(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis of accuracies without the room for names: ``_HEIGHT`` pixels."""
    low, high = float(rows["accuracy"].min()), float(rows["accuracy"].max())
    margin = max(high - low, _LEAST_SPAN) * _MARGIN
    return low - margin, high + margin


def _labels(rows: pd.DataFrame, *, is_more: bool) -> "pd.Series[float]":
    """Return the heights of the names of the front, in units of accuracy.

    A name ends at its symbol, above and to the left, where there is no other cell. Names of close
    accuracies move up, so that none overlaps another at any width of the chart.
    """
    low, _ = _accuracies(rows)
    per_pixel = _per_pixel(rows)
    heights = rows["accuracy"] + _ABOVE * per_pixel
    lowest = low
    on_front = rows[rows["is_front"]].sort_values(
        ["accuracy", "figure"], ascending=[True, not is_more]
    )
    for index in on_front.index:
        heights[index] = max(heights[index], lowest)
        lowest = heights[index] + _LINE * per_pixel
    return heights


def _per_pixel(rows: pd.DataFrame) -> float:
    low, high = _accuracies(rows)
    return (high - low) / _HEIGHT


def _domain(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis of accuracies; the highest name is below the upper end."""
    low, high = _accuracies(rows)
    highest = float(rows.loc[rows["is_front"], "label"].max())
    return low, max(high, highest + _LINE / 2 * _per_pixel(rows))


def _height(rows: pd.DataFrame) -> int:
    """Return the height in pixels: names above ``_HEIGHT`` add to it, so none is closer."""
    low, high = _domain(rows)
    return math.ceil((high - low) / _per_pixel(rows))


def _axes(rows: pd.DataFrame, metric: Metric, x_title: str) -> tuple[alt.X, alt.Y]:
    is_more = metric.better is Better.MORE
    x = alt.X(
        "figure:Q",
        title=x_title,
        # The better side is on the left.
        scale=alt.Scale(type="log", nice=False, padding=12, reverse=is_more or alt.Undefined),
        axis=style.log_axis(rows[["low", "high"]].to_numpy(dtype=float), grid=True),
    )
    # The axis is on the right, so that the names have room on the left.
    y = alt.Y(
        "accuracy:Q",
        title="published top-1 accuracy, %",
        scale=alt.Scale(domain=_domain(rows), nice=False, zero=False),
        axis=alt.Axis(orient="right"),
    )
    return x, y


def _tooltip(x_title: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("arch:N"),
        alt.Tooltip("mode:N"),
        alt.Tooltip("accuracy:Q", title="accuracy %", format=".2f"),
        alt.Tooltip("figure:Q", title=x_title.removesuffix(" (log scale)"), format=".4~r"),
        alt.Tooltip("low:Q", title="from", format=".4~r"),
        alt.Tooltip("high:Q", title="to", format=".4~r"),
        alt.Tooltip("front:N", title="front"),
        alt.Tooltip("dominated_by:N", title="dominated by"),
    ]


def _plot(rows: pd.DataFrame, metric: Metric, x_title: str) -> alt.TopLevelMixin:
    modes = list(dict.fromkeys(rows["mode"]))
    colours = style.colour("mode", "mode", modes)
    verdicts = [each for each in _VERDICTS.values() if each[0] in set(rows["front"])]
    shapes = alt.Scale(domain=[text for text, _ in verdicts], range=[name for _, name in verdicts])
    x, y = _axes(rows, metric, x_title)
    base = alt.Chart(rows)
    of_front = base.transform_filter("datum.is_front")
    # A line is drawn in the order of x: from the least accurate cell, or towards it.
    steps = of_front.mark_line(
        interpolate="step-before" if metric.better is Better.MORE else "step-after",
        strokeWidth=2,
        color=style.GREY,
    ).encode(x=x, y=y)
    leaders = of_front.mark_rule(strokeWidth=0.75, color=style.GREY, opacity=0.6).encode(
        x=x, y=y, y2="label:Q"
    )
    intervals = base.mark_rule(strokeWidth=1.5).encode(
        x="low:Q", x2="high:Q", y=y, color=colours, opacity=_unless_found(0.1, found=0.6)
    )
    symbols = base.mark_point(filled=True, size=60).encode(
        x=x,
        y=y,
        color=colours,
        shape=alt.Shape("front:N", title="front", scale=shapes),
        opacity=_unless_found(0.1, found=0.95),
        tooltip=_tooltip(x_title),
    )
    names = of_front.mark_text(align="right", dx=-3, baseline="middle").encode(
        x=x, y=alt.Y("label:Q"), text="arch:N", opacity=_unless_found(0.25, found=1)
    )
    return (
        alt.layer(steps, leaders, intervals, symbols, names)
        .properties(width=style.WIDTH, height=_height(rows))
        .add_params(_SEARCH)
    )


def _unless_found(opacity: float, *, found: float) -> object:
    """Return the opacity of what belongs to a network, if another network is searched for."""
    return alt.condition(_IS_FOUND, alt.value(found), alt.value(opacity))
