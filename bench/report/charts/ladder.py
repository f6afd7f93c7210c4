"""Ladder chart: a waterfall of the latency from network to network, one factor at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from bench.records.record import RunRecord
from bench.report import ladder, ladder_table, summary
from bench.report.chart import Chart
from bench.report.charts import style
from bench.report.ladder import LadderStep

CAPTION = (
    "Each bar is one step: from the latency of the previous network to that of the named network, "
    "in percent of the latency of {first}. The line is the 95 % interval of the step itself. If a "
    "bar is grey, no difference has been shown: it may be chance."
)
CODE_ONLY = " The step to {names} changes only the code: the network is the same."
_COLOURS = {
    "slower": style.SLOWER,
    "faster": style.FASTER,
    ladder_table.NOTHING_SHOWN: style.NEITHER,
    ladder_table.SAME_NETWORK: style.CODE,
}


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each group with at least two steps, with a panel for each mode."""
    for title, group in summary.grouped(ladder_table.frame(run)):
        path = ladder.path({*group["before"], *group["after"]})
        rows = pd.DataFrame(_rows(group, path))
        if len(path) < 2 or rows.empty:
            continue
        name = f"ladder-{summary.slug(title)}"
        yield style.to_chart(
            name, f"One factor at a time: {title}", _caption(path), _plot(rows, path)
        )


def _caption(path: Sequence[LadderStep]) -> str:
    same = [step.after for step in path if step.is_same_network]
    caption = CAPTION.format(first=path[0].before)
    return caption + CODE_ONLY.format(names=", ".join(same)) if same else caption


def _rows(group: pd.DataFrame, path: Sequence[LadderStep]) -> Iterator[dict[str, object]]:
    """Yield a row for each bar: its start and end, in percent of the first network's latency."""
    for mode, mode_rows in group.groupby("mode", sort=False):
        steps = mode_rows.set_index("after")
        if not {step.after for step in path} <= set(steps.index):
            continue
        start = 100.0
        for step in path:
            row: Any = steps.loc[step.after]
            end = start * float(row["latency_ratio"])
            yield {
                "mode": mode,
                "network": step.after,
                "factor": step.factor,
                "start": start,
                "end": end,
                "low": start * row["latency_ratio_low"],
                "high": start * row["latency_ratio_high"],
                "shown": row["shown"],
                "step": ladder_table.SAME_NETWORK if step.is_same_network else row["shown"],
            }
            start = end


def _plot(rows: pd.DataFrame, path: Sequence[LadderStep]) -> alt.TopLevelMixin:
    names = [step.after for step in path]
    x = alt.X("network:N", title=None, sort=names, axis=alt.Axis(labelAngle=-35))
    tooltip = [
        "network:N",
        "factor:N",
        alt.Tooltip("end:Q", title="latency %", format=".1f"),
        alt.Tooltip("low:Q", title="from %", format=".1f"),
        alt.Tooltip("high:Q", title="to %", format=".1f"),
        "shown:N",
    ]
    drawn = {step: colour for step, colour in _COLOURS.items() if step in set(rows["step"])}
    colours = alt.Color(
        "step:N",
        title=None,
        scale=alt.Scale(domain=list(drawn), range=list(drawn.values())),
        legend=alt.Legend(symbolOpacity=1),
    )
    base = alt.Chart(rows)
    y = alt.Y("start:Q", title=f"latency, % of {path[0].before}", scale=alt.Scale(zero=False))
    bars = base.mark_bar(size=26).encode(x=x, y=y, y2="end:Q", color=colours, tooltip=tooltip)
    # The tick makes a bar of zero height visible.
    ends = base.mark_tick(thickness=3, size=34).encode(x=x, y="end:Q", color=colours)
    intervals = base.mark_rule(strokeWidth=1.5, color=style.GREY).encode(
        x=x, y="low:Q", y2="high:Q", tooltip=tooltip
    )
    dashes = alt.Chart(rows).mark_rule(strokeDash=[4, 3], color=style.GREY)
    start = dashes.encode(y=alt.datum(100.0))
    modes = list(dict.fromkeys(rows["mode"]))
    return style.panels(
        alt.layer(start, bars, ends, intervals).properties(height=240),
        alt.Facet("mode:N", title=None, sort=modes),
        modes,
    )
