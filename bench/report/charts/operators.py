"""Operators chart: the time of a profiled iteration by category, a stacked bar for each cell."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from bench.records.record import RunRecord
from bench.report import operators, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Time of an iteration under the profiler of the cell's library, by category of operator. The "
    "profiler itself takes a part of it, so a bar is usually longer than the latency."
)


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each group with a profiled cell."""
    rows = operators.frame(run)
    if rows.empty:
        return
    for title, group in summary.grouped(rows):
        yield style.to_chart(
            f"operators-{summary.slug(title)}", f"Time by operator: {title}", CAPTION, _plot(group)
        )


def _plot(group: pd.DataFrame) -> alt.TopLevelMixin:
    by_category = group.groupby(["arch", "mode", "category"], sort=False)["time_s"].sum()
    bars = by_category.mul(1e3).rename("ms").reset_index()
    bars["position"] = bars["category"].map(operators.CATEGORIES.index)
    bars["cell"] = bars["arch"] + " in " + bars["mode"]
    shown = [name for name in operators.CATEGORIES if name in set(bars["category"])]
    plot: alt.Chart = (
        alt.Chart(bars)
        .mark_bar()
        .encode(
            x=alt.X("ms:Q", title="ms per iteration, under the profiler", stack="zero"),
            y=alt.Y("cell:N", title=None, sort=list(dict.fromkeys(bars["cell"]))),
            color=alt.Color(
                "category:N",
                title=None,
                scale=alt.Scale(domain=shown, range=[_colour(name) for name in shown]),
                legend=alt.Legend(symbolOpacity=1, orient="bottom", columns=3),
            ),
            order=alt.Order("position:Q"),
            tooltip=[
                "arch:N",
                "mode:N",
                "category:N",
                alt.Tooltip("ms:Q", title="ms", format=".3f"),
            ],
        )
        .properties(width=style.WIDTH, height=alt.Step(22))
    )
    return plot


def _colour(category: str) -> str:
    if category == operators.NOT_ATTRIBUTED:
        return style.NEITHER
    return style.PALETTE[operators.CATEGORIES.index(category)]
