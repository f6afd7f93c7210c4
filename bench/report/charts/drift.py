"""The samples over the rounds: how the machine drifted while it was measured."""

import math
from collections.abc import Iterator

import altair as alt
import numpy as np
import pandas as pd

from bench.record import RunRecord
from bench.report import summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Every cell's iterations, round by round, as a share of the cell's own median: the line is the "
    "middle of all cells, the band holds the middle 80 %. What all cells do together is the "
    "machine's drift, which cancels in ratios; a voided round is a cross."
)

THINNED = " So many rounds are drawn as fewer points, each the middle of several neighbours."
MOST_POINTS = 500  # more of them stand closer than a pixel
_WHOLE = alt.Axis(format="d", tickMinStep=1)


def charts(run: RunRecord) -> Iterator[Chart]:
    """A chart for each group with two rounds at least."""
    groups: dict[str, list[dict[str, object]]] = {}
    for record in (*run.cells, *run.controls):
        if not record.has_figures:
            continue
        middle = float(np.median(record.host_s))
        rows = groups.setdefault(record.cell.group, [])
        rows += [
            {
                "set": visit.set_index + 1,
                "round": visit.round_index,
                "wave": visit.wave_index,
                "voided": visit.voided,
                "percent": 100 * float(sample) / middle,
            }
            for visit in record.visits
            for sample in visit.host_s
        ]
    for group, rows in groups.items():
        rounds = _rounds(pd.DataFrame(rows))
        if len(rounds) > 1:
            name = f"drift-{summary.slug(group)}"
            caption = CAPTION + (THINNED if len(rounds) > MOST_POINTS else "")
            drawn = _drawn(_thinned(rounds))
            yield style.made(name, f"Over the rounds: {group}", caption, drawn)


def _rounds(samples: pd.DataFrame) -> pd.DataFrame:
    """The middle and the reach of each round, in the order measured."""
    rounds = samples.groupby(["set", "wave", "round"])
    percent = rounds["percent"].quantile(np.array([0.1, 0.5, 0.9])).unstack()
    percent.columns = pd.Index(["low", "middle", "high"])
    found = percent.assign(voided=rounds["voided"].all()).reset_index()
    return found.assign(order=np.arange(1, len(found) + 1), set=found["set"].astype(str))


def _thinned(rounds: pd.DataFrame) -> pd.DataFrame:
    """Neighbours of a set as one point, where there are more than can be told apart."""
    together = math.ceil(len(rounds) / MOST_POINTS)
    if together == 1:
        return rounds
    return (
        rounds.groupby(["set", (rounds["order"] - 1) // together], sort=False)
        .agg(
            round=("round", "first"),
            order=("order", "mean"),
            voided=("voided", "all"),
            **{name: (name, "median") for name in ("middle", "low", "high")},
        )
        .reset_index(level="set")
    )


def _drawn(rounds: pd.DataFrame) -> alt.TopLevelMixin:
    sets = list(dict.fromkeys(rounds["set"]))
    scale = alt.Scale(zero=False, nice=False)
    x = alt.X("order:Q", title="round, in the order measured", scale=scale, axis=_WHOLE)
    colours = style.colour("set", "set", sets)
    if len(sets) > len(style.PALETTE):
        colours = colours.legend(None)
    base = alt.Chart(rounds)
    y = alt.Y("low:Q", title="% of a cell's median", scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.25).encode(x=x, y=y, y2="high:Q", color=colours)
    line = base.mark_line().encode(x=x, y="middle:Q", color=colours)
    dots = base.mark_point(size=40, filled=True, opacity=1).encode(
        x=x,
        y="middle:Q",
        color=colours,
        shape=alt.condition("datum.voided", alt.value("cross"), alt.value("circle")),
        tooltip=["set:N", "round:Q", alt.Tooltip("middle:Q", format=".1f"), "voided:N"],
    )
    return alt.layer(band, line, dots).properties(width=style.WIDTH, height=200)
