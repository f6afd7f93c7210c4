"""Ratio chart: how many times as fast as the reference each cell is, with its interval."""

from collections.abc import Iterator

import altair as alt
import numpy as np
import pandas as pd

from bench.cells.cell import Cell
from bench.records.record import RunRecord
from bench.report import frame, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "How many times as fast as {reference} each cell is, with its 95 % interval. A hollow dot: no "
    "difference has been shown. One per cent is equally wide in each panel."
)
_ROOM = 1.15  # width of an axis, relative to the widest mode
_LEAST_SPAN = 1e-3  # of an axis, in log units: a tenth of a per cent
_ROW_HEIGHT = 18  # pixels
_TICKS = 4  # per panel, roughly
_TOOLTIP = [
    alt.Tooltip("arch:N"),
    alt.Tooltip("mode:N"),
    alt.Tooltip("ratio:Q", title="times as fast", format=".3f"),
    alt.Tooltip("low:Q", title="from", format=".3f"),
    alt.Tooltip("high:Q", title="to", format=".3f"),
]


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each dtype, batch size, task and device in which cells are compared."""
    for title, rows in summary.groups(frame.summary(run)):
        reference = summary.reference(run, rows)
        compared = rows[rows["speedup_over_reference"].notna()]
        if reference is None or len(compared) < 2:
            continue
        yield style.to_chart(
            f"ratios-{summary.slug(title)}",
            f"Speed relative to the reference: {title}",
            CAPTION.format(reference=reference.name),
            _plot(_rows(compared, reference), reference),
        )


def _rows(compared: pd.DataFrame, reference: Cell) -> pd.DataFrame:
    """Return a row for each cell; the reference is 1 by definition, so it is sure."""
    ratio, low, high = (
        compared[f"speedup_over_reference{end}"].astype(float) for end in ("", "_low", "_high")
    )
    is_reference = (compared["arch"] == reference.arch) & (compared["mode"] == reference.label)
    rows = compared[["arch", "mode"]].assign(
        ratio=ratio,
        low=low,
        high=high,
        left=low.fillna(ratio),
        right=high.fillna(ratio),
        is_sure=is_reference | (low > 1) | (high < 1),
    )
    return rows.astype({"is_sure": bool}).join(_panels(rows), on="mode")


def _panels(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the title and the ends of each mode's axis, as wide as that of the widest mode.

    An axis contains 1 if the mode has cells on both sides of it, or is no wider for it.
    """
    by_mode = rows.groupby("mode", sort=False)
    first, last = np.log(by_mode["left"].min()), np.log(by_mode["right"].max())
    span = max((last - first).max() * _ROOM, _LEAST_SPAN)
    with_1_first, with_1_last = first.clip(upper=0), last.clip(lower=0)
    has_1 = (with_1_last - with_1_first) * _ROOM <= span
    middle = (first.mask(has_1, with_1_first) + last.mask(has_1, with_1_last)) / 2
    ends = zip(by_mode["ratio"].min(), by_mode["ratio"].max(), strict=True)
    start = np.exp(middle - span / 2)
    return pd.DataFrame(
        {
            "panel": [
                f"{mode}: {_range(low, high)} ×"
                for mode, (low, high) in zip(first.index, ends, strict=True)
            ],
            "start": start,
            "end": np.exp(middle + span / 2),
            "even": start.mask(has_1, 1.0),  # drawn only if it is 1
        }
    )


def _range(low: float, high: float) -> str:
    ends = dict.fromkeys(f"{ratio:.2f}" for ratio in (low, high))
    return "–".join(ends)


def _plot(rows: pd.DataFrame, reference: Cell) -> alt.TopLevelMixin:
    modes, panels = (list(dict.fromkeys(rows[name])) for name in ("mode", "panel"))
    colours = style.colour("mode", "mode", modes, is_explained=False)
    x = alt.X(
        "start:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False),
        axis=style.log_axis(
            rows[["start", "end"]].to_numpy(dtype=float), grid=True, tickCount=_TICKS
        ),
    )
    y = alt.Y("arch:N", title=None, sort=None)
    base = alt.Chart(rows)
    # Invisible, from end to end of the axis.
    frame = base.mark_rule(opacity=0).encode(x=x, x2=alt.X2("end:Q"))
    even = base.mark_rule(color=style.GREY).encode(
        x=alt.X("even:Q"),
        opacity=alt.condition("datum.even == 1", alt.value(1), alt.value(0)),
    )
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("left:Q"),
        x2=alt.X2("right:Q"),
        y=y,
        color=colours,
        strokeOpacity=alt.condition("datum.is_sure", alt.value(1), alt.value(0.5)),
        tooltip=_TOOLTIP,
    )
    dots = base.mark_point(size=50, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("ratio:Q"),
        y=y,
        stroke=colours,
        fill=colours,
        fillOpacity=alt.condition("datum.is_sure", alt.value(1), alt.value(0)),
        tooltip=_TOOLTIP,
    )
    title = [f"times as fast as {reference.arch}", f"in {reference.label} (log scale)"]
    plot: alt.TopLevelMixin = style.panels(
        alt.layer(frame, even, lines, dots).properties(height=alt.Step(_ROW_HEIGHT)),
        alt.Facet("panel:N", title=title, sort=panels),
        panels,
    ).resolve_scale(x="independent")
    return plot
