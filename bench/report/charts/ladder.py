"""The ladder as a waterfall: how the latency goes from network to network, a factor at a time."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import pandas as pd

from bench.records.record import RunRecord
from bench.report import ladder, summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Each bar is one step: from the latency of the network before it to that of the one named, as "
    "a share of {first}'s. The line is the step's own 95 % interval; a grey bar has not been shown "
    "to be anything but chance."
)


def charts(run: RunRecord) -> Iterator[Chart]:
    """A chart for each group with two steps at least, a panel for each mode."""
    for title, group in summary.grouped(ladder.frame(run)):
        way = [step.after for step in ladder.path({*group["before"], *group["after"]})]
        rows = pd.DataFrame(_rows(group, way))
        if len(way) < 2 or rows.empty:
            continue
        name = f"ladder-{summary.slug(title)}"
        first = str(group[group["after"] == way[0]]["before"].iloc[0])
        caption = CAPTION.format(first=first)
        yield style.made(name, f"One factor at a time: {title}", caption, _drawn(rows, way, first))


def _rows(group: pd.DataFrame, way: list[str]) -> Iterator[dict[str, object]]:
    """Where each bar begins and ends, in percent of the first network's latency."""
    for mode, of_mode in group.groupby("mode", sort=False):
        steps = of_mode.set_index("after")
        if not set(way) <= set(steps.index):
            continue
        start = 100.0
        for after in way:
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


def _drawn(rows: pd.DataFrame, way: list[str], first: str) -> alt.TopLevelMixin:
    x = alt.X("network:N", title=None, sort=way, axis=alt.Axis(labelAngle=-35))
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
    y = alt.Y("start:Q", title=f"latency, % of {first}'s", scale=alt.Scale(zero=False))
    bars = base.mark_bar(size=26).encode(x=x, y=y, y2="end:Q", color=colours, tooltip=tooltip)
    # A step of nothing is still seen.
    ends = base.mark_tick(thickness=3, size=34).encode(x=x, y="end:Q", color=colours)
    reach = base.mark_rule(strokeWidth=1.5, color=style.GREY).encode(
        x=x, y="low:Q", y2="high:Q", tooltip=tooltip
    )
    whole = alt.Chart(rows).mark_rule(strokeDash=[4, 3], color=style.GREY)
    level = whole.encode(y=alt.datum(100.0))
    modes = list(dict.fromkeys(rows["mode"]))
    return (
        alt.layer(level, bars, ends, reach)
        .properties(width=style.WIDTH / 3, height=240)
        .facet(column=alt.Column("mode:N", title=None, sort=modes))
    )
