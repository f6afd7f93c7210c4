"""The samples over the rounds: how the machine drifted while it was measured."""

import math
from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.records.record import CellRecord, RunRecord
from bench.report import summary
from bench.report.chart import Chart
from bench.report.charts import style

CAPTION = (
    "Every cell's iterations, round by round, as a share of the cell's own median: the line is the "
    "middle of all cells, the band holds the middle 80 %. What all cells do together is the "
    "machine's drift, which cancels in ratios as far as it slows cells alike; a voided round is a "
    "cross, at the edge where it lies beyond it."
)

THINNED = " So many rounds are drawn as fewer points, each the middle of several neighbours."
MOST_POINTS = 500  # more of them stand closer than a pixel
_REACH = (0.1, 0.5, 0.9)
_WHOLE = alt.Axis(format="d", tickMinStep=1)


def charts(run: RunRecord) -> Iterator[Chart]:
    """A chart for each group with two rounds at least."""
    groups: dict[str, list[CellRecord]] = {}
    for record in (*run.cells, *run.controls):
        if record.has_figures:
            groups.setdefault(record.cell.group, []).append(record)
    for group, records in groups.items():
        rounds = _rounds(records)
        if len(rounds) > 1:
            name = f"drift-{summary.slug(group)}"
            caption = CAPTION + (THINNED if len(rounds) > MOST_POINTS else "")
            points = _thinned(rounds)
            title = f"Over the rounds: {group}"
            drawn = _drawn(list(points["set"].unique()), _extent(points))
            yield style.made(name, title, caption, drawn, points)


def _rounds(records: Sequence[CellRecord]) -> pd.DataFrame:
    """The middle and the reach of each round, in the order measured."""
    percent: dict[tuple[int, int, int], list[npt.NDArray[np.float64]]] = {}
    valid = {visit.key for record in records for visit in record.valid}
    for record in records:
        middle_s = np.median(record.host_s)
        for visit in record.visits:
            percent.setdefault(visit.key, []).append(100 * np.array(visit.host_s) / middle_s)
    rows = [
        (str(set_index + 1), wave, round_index, (set_index, wave, round_index) not in valid)
        for set_index, wave, round_index in sorted(percent)
    ]
    found = pd.DataFrame(rows, columns=["set", "wave", "round", "voided"])
    reach = [np.quantile(np.concatenate(percent[key]), _REACH) for key in sorted(percent)]
    found[["low", "middle", "high"]] = np.array(reach)
    return found.assign(order=np.arange(1, len(found) + 1))


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


def _extent(points: pd.DataFrame) -> list[float]:
    """What the axis shows: all that counts. A voided round beyond it stands at its edge."""
    counting = points if points["voided"].all() else points[~points["voided"]]
    return [float(counting["low"].min()), float(counting["high"].max())]


def _drawn(sets: list[str], reach: list[float]) -> alt.TopLevelMixin:
    scale = alt.Scale(zero=False, nice=False)
    x = alt.X("order:Q", title="round, in the order measured", scale=scale, axis=_WHOLE)
    colours = style.colour("set", "set", sets)
    if len(sets) > len(style.PALETTE):
        colours = colours.legend(None)
    base = alt.Chart(style.ROWS)
    percent = alt.Scale(domain=reach, clamp=True)
    y = alt.Y("low:Q", title="% of a cell's median", scale=percent)
    band = base.mark_area(opacity=0.25).encode(x=x, y=y, y2=alt.Y2("high:Q"), color=colours)
    middle = alt.Y("middle:Q")
    line = base.mark_line().encode(x=x, y=middle, color=colours)
    dots = base.mark_point(size=40, filled=True, opacity=1).encode(
        x=x,
        y=middle,
        color=colours,
        shape=alt.condition("datum.voided", alt.value("cross"), alt.value("circle")),
        tooltip=[
            alt.Tooltip("set:N"),
            alt.Tooltip("round:Q"),
            alt.Tooltip("middle:Q", format=".1f"),
            alt.Tooltip("voided:N"),
        ],
    )
    return alt.layer(band, line, dots).properties(width=style.WIDTH, height=200)
