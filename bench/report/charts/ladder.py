"""Ladder chart: a waterfall of the latency from network to network, one factor at a time."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import pandas as pd

from bench.records.record import RunRecord
from bench.report import ladder, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Each bar is one step: from the latency of the previous network to that of the named network, "
    "in percent of the latency of {first}. The line is the 95 % interval of the step itself. If a "
    "bar is grey, no difference has been shown: it may be chance."
)


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each group with at least two steps, with a panel for each mode."""
    for title, group in summary.grouped(ladder.frame(run)):
        path = [step.after for step in ladder.path({*group["before"], *group["after"]})]
        rows = pd.DataFrame(_rows(group, path))
        if len(path) < 2 or rows.empty:
            continue
        name = f"ladder-{summary.slug(title)}"
        first = str(group[group["after"] == path[0]]["before"].iloc[0])
        caption = CAPTION.format(first=first)
        yield style.to_chart(
            name, f"One factor at a time: {title}", caption, _plot(rows, path, first)
        )


def _rows(group: pd.DataFrame, path: list[str]) -> Iterator[dict[str, object]]:
    """Yield a row for each bar: its start and end, in percent of the first network's latency."""
    for mode, mode_rows in group.groupby("mode", sort=False):
        steps = mode_rows.set_index("after")
        if not set(path) <= set(steps.index):
            continue
        start = 100.0
        for after in path:
            step: Any = steps.loc[after]
            end = start * float(step["latency_ratio"])
            yield {
                "mode": mode,
                "network": after,
                "factor": step["factor"],
                "start": start,
                "end": end,
                "low": start * step["latency_ratio_low"],
                "high": start * step["latency_ratio_high"],
                "shown": step["shown"],
            }
            start = end


def _plot(rows: pd.DataFrame, path: list[str], first: str) -> alt.TopLevelMixin:
    x = alt.X("network:N", title=None, sort=path, axis=alt.Axis(labelAngle=-35))
    tooltip = [
        "network:N",
        "factor:N",
        alt.Tooltip("end:Q", title="latency %", format=".1f"),
        alt.Tooltip("low:Q", title="from %", format=".1f"),
        alt.Tooltip("high:Q", title="to %", format=".1f"),
        "shown:N",
    ]
    colours = alt.Color(
        "shown:N",
        title=None,
        scale=alt.Scale(
            domain=["slower", "faster", ladder.NOTHING_SHOWN],
            range=[style.SLOWER, style.FASTER, style.NEITHER],
        ),
        legend=alt.Legend(symbolOpacity=1),
    )
    base = alt.Chart(rows)
    y = alt.Y("start:Q", title=f"latency, % of {first}", scale=alt.Scale(zero=False))
    bars = base.mark_bar(size=26).encode(x=x, y=y, y2="end:Q", color=colours, tooltip=tooltip)
    # The tick makes a bar of zero height visible.
    ends = base.mark_tick(thickness=3, size=34).encode(x=x, y="end:Q", color=colours)
    intervals = base.mark_rule(strokeWidth=1.5, color=style.GREY).encode(
        x=x, y="low:Q", y2="high:Q", tooltip=tooltip
    )
    dashes = alt.Chart(rows).mark_rule(strokeDash=[4, 3], color=style.GREY)
    start = dashes.encode(y=alt.datum(100.0))
    modes = list(dict.fromkeys(rows["mode"]))
    return (
        alt.layer(start, bars, ends, intervals)
        .properties(width=style.WIDTH / 3, height=240)
        .facet(column=alt.Column("mode:N", title=None, sort=modes))
    )
