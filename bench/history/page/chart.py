"""The chart of a trend: every run with its interval, the levels, and the changes between them."""

import altair as alt
import pandas as pd

from bench.columns import signed
from bench.history.changes import Change, Direction
from bench.history.trend import Trend
from bench.metrics import METRICS
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Every run, in time order, with its 95 % interval. The horizontal lines are the levels between "
    "changes; a vertical line is a change: a regression, an improvement, or neither."
)
HEIGHT = 200  # pixels
_COLOURS = {
    Direction.REGRESSION: style.SLOWER,
    Direction.IMPROVEMENT: style.FASTER,
    Direction.CHANGE: style.NEITHER,
}
_PERCENT = signed(100, 1)
_DAY = "%Y-%m-%d %H:%M"
_RUNS = alt.Axis(format="d", tickMinStep=1)


def build(trend: Trend, name: str, title: str) -> Chart:
    """Return the chart of a trend that has points."""
    return style.to_chart(name, title, CAPTION, _plot(trend), _points(trend))


def percent(change: Change) -> str:
    """Return the size of a change in percent, with its sign."""
    return f"{_PERCENT(change.ratio.estimate - 1)} %"


def heading(metric: str) -> str:
    """Return the heading of a metric, or its name if the registry does not have it."""
    known = METRICS.get(metric)
    return known.heading.format(reference="reference", host="") if known else metric


def _points(trend: Trend) -> pd.DataFrame:
    """Return a row for each run. A run without an interval has one of no width."""
    return pd.DataFrame(
        [
            {
                "run": index,
                "value": point.value,
                "low": point.value if point.low is None else point.low,
                "high": point.value if point.high is None else point.high,
                "when": point.when.strftime(_DAY),
                "commit": point.commit or "unknown",
                "id": point.run_id,
            }
            for index, point in enumerate(trend.series.points, 1)
        ]
    )


def _plot(trend: Trend) -> alt.TopLevelMixin:
    title = heading(trend.series.metric)
    scale = alt.Scale(zero=False, nice=False)
    x = alt.X("run:Q", title="run, in time order", scale=scale, axis=_RUNS)
    base = alt.Chart(style.ROWS)
    y = alt.Y("low:Q", title=title, scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.2, color=style.GREY).encode(x=x, y=y, y2=alt.Y2("high:Q"))
    dots = base.mark_point(size=14, filled=True, opacity=0.7, color=style.GREY).encode(
        x=x,
        y=alt.Y("value:Q"),
        tooltip=[
            alt.Tooltip("run:Q"),
            alt.Tooltip("when:N"),
            alt.Tooltip("commit:N"),
            alt.Tooltip("id:N", title="run id"),
            alt.Tooltip("value:Q", title=title, format=".4~g"),
            alt.Tooltip("low:Q", title="from", format=".4~g"),
            alt.Tooltip("high:Q", title="to", format=".4~g"),
        ],
    )
    return alt.layer(band, dots, *_levels(trend), *_changes(trend)).properties(
        width=style.WIDTH, height=HEIGHT
    )


def _levels(trend: Trend) -> list[alt.Chart]:
    rows = [
        {"first": level.first + 0.5, "last": level.last + 1.5, "level": level.value}
        for level in trend.levels
    ]
    lines = alt.Chart(pd.DataFrame(rows)).mark_rule(strokeWidth=2, color=style.GREY)
    return [
        lines.encode(x=alt.X("first:Q"), x2=alt.X2("last:Q"), y=alt.Y("level:Q")) for _ in rows[:1]
    ]


def _changes(trend: Trend) -> list[alt.Chart]:
    rows = []
    for change in trend.changes:
        before, after = trend.around(change)
        rows.append(
            {
                "at": change.index + 0.5,
                "change": percent(change),
                "direction": change.direction.value,
                "before": f"{before.commit or 'unknown'} ({before.when.strftime(_DAY)})",
                "after": f"{after.commit or 'unknown'} ({after.when.strftime(_DAY)})",
            }
        )
    if not rows:
        return []
    shown = list(dict.fromkeys(change.direction for change in trend.changes))
    colours = alt.Color(
        "direction:N",
        title="change",
        scale=alt.Scale(
            domain=[each.value for each in shown], range=[_COLOURS[each] for each in shown]
        ),
    )
    lines = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("at:Q"),
            color=colours,
            tooltip=[
                alt.Tooltip("direction:N"),
                alt.Tooltip("change:N", title="size"),
                alt.Tooltip("before:N", title="last before"),
                alt.Tooltip("after:N", title="first after"),
            ],
        )
    )
    return [lines]
