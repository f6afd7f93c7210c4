"""Ratio chart: how many times as fast as the reference each cell is, with its interval."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from bench.cells.cell import Cell
from bench.records.record import RunRecord
from bench.report import frame, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "How many times as fast as {reference} each cell is. The line is the 95 % interval over sets "
    "of fresh processes; to the right of 1, a cell is faster. A hollow dot has an interval that "
    "contains 1: no difference has been shown. Cells are compared within rounds, so drift that "
    "slows them alike cancels."
)


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
        ratio=ratio, low=low, high=high, is_sure=is_reference | (low > 1) | (high < 1)
    )
    return rows.astype({"is_sure": bool})


def _plot(rows: pd.DataFrame, reference: Cell) -> alt.TopLevelMixin:
    modes = list(dict.fromkeys(rows["mode"]))
    colours = style.colour("mode", "mode", modes)
    tooltip = [
        alt.Tooltip("arch:N"),
        alt.Tooltip("mode:N"),
        alt.Tooltip("ratio:Q", title="times as fast", format=".3f"),
        alt.Tooltip("low:Q", title="from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    x = alt.X(
        "low:Q",
        title=[f"× as fast as {reference.arch}", f"in {reference.label} (log scale)"],
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=style.log_axis(
            rows[["ratio", "low", "high"]].to_numpy(dtype=float),
            grid=True,
            # So that a long title has the room below the names of the networks, too.
            titleAnchor="end",
        ),
    )
    base = alt.Chart(rows)
    even = base.mark_rule(color=style.GREY).encode(x=alt.datum(1))
    lines = base.mark_rule(strokeWidth=2).encode(
        x=x,
        x2=alt.X2("high:Q"),
        color=colours,
        strokeOpacity=alt.condition("datum.is_sure", alt.value(1), alt.value(0.5)),
        tooltip=tooltip,
        **style.row(modes),
    )
    dots = base.mark_point(size=50, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("ratio:Q"),
        stroke=colours,
        fill=colours,
        fillOpacity=alt.condition("datum.is_sure", alt.value(1), alt.value(0)),
        tooltip=tooltip,
        **style.row(modes),
    )
    return alt.layer(even, lines, dots).properties(width=style.WIDTH, height=style.height(rows))
