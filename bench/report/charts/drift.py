"""Drift chart: the samples over the rounds, which show how the machine drifted during the run."""

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
    "Every cell's iterations, round by round, in percent of the cell's own median. The line is the "
    "median over all cells; the band contains the middle 80 %. A change common to all cells is "
    "drift of the machine. It cancels in ratios as far as it slows cells alike. A voided round is "
    "a cross; if it lies outside the axis, it is drawn at the edge."
)

THINNED = (
    " Because there are many rounds, they are drawn as fewer points: medians of several neighbours."
)
MAX_POINTS = 500  # more points would be less than a pixel apart
_QUANTILES = (0.1, 0.5, 0.9)  # low, middle, high
_INTEGERS = alt.Axis(format="d", tickMinStep=1)


def charts(run: RunRecord) -> Iterator[Chart]:
    """Yield a chart for each group with at least two rounds."""
    groups: dict[str, list[CellRecord]] = {}
    for record in (*run.cells, *run.controls):
        if record.has_figures:
            groups.setdefault(record.cell.group, []).append(record)
    for group, records in groups.items():
        rounds = _rounds(records)
        if len(rounds) > 1:
            name = f"drift-{summary.slug(group)}"
            caption = CAPTION + (THINNED if len(rounds) > MAX_POINTS else "")
            points = _merge_neighbours(rounds)
            title = f"Over the rounds: {group}"
            plot = _plot(list(points["set"].unique()), _extent(points))
            yield style.to_chart(name, title, caption, plot, points)


def _rounds(records: Sequence[CellRecord]) -> pd.DataFrame:
    """Return the quantiles of each round, in percent, in the order of measurement."""
    valid = {visit.key for record in records for visit in record.valid}
    keys = sorted({visit.key for record in records for visit in record.visits})
    number = {key: index for index, key in enumerate(keys)}
    numbers: list[int] = []
    percent: list[npt.NDArray[np.float64]] = []
    for record in records:
        samples = [sample for visit in record.visits for sample in visit.host_s]
        percent.append(100 * np.array(samples) / np.median(record.host_s))
        numbers += [number[visit.key] for visit in record.visits for _ in visit.host_s]
    rows = [(str(key[0] + 1), *key[1:], key not in valid) for key in keys]
    frame = pd.DataFrame(rows, columns=["set", "wave", "round", "voided"])
    quantiles = pd.Series(np.concatenate(percent)).groupby(numbers).quantile(np.array(_QUANTILES))
    frame[["low", "middle", "high"]] = quantiles.unstack()
    return frame.assign(order=np.arange(1, len(frame) + 1))


def _merge_neighbours(rounds: pd.DataFrame) -> pd.DataFrame:
    """Merge neighbouring rounds of a set into one point if there are too many to distinguish."""
    rounds_per_point = math.ceil(len(rounds) / MAX_POINTS)
    if rounds_per_point == 1:
        return rounds
    return (
        rounds.groupby(["set", (rounds["order"] - 1) // rounds_per_point], sort=False)
        .agg(
            round=("round", "first"),
            order=("order", "mean"),
            voided=("voided", "all"),
            **{name: (name, "median") for name in ("middle", "low", "high")},
        )
        .reset_index(level="set")
    )


def _extent(points: pd.DataFrame) -> list[float]:
    """Return the range of the axis, which includes every round that counts.

    A voided round outside this range is drawn at its edge.
    """
    counting = points if points["voided"].all() else points[~points["voided"]]
    return [float(counting["low"].min()), float(counting["high"].max())]


def _plot(sets: list[str], extent: list[float]) -> alt.TopLevelMixin:
    scale = alt.Scale(zero=False, nice=False)
    x = alt.X("order:Q", title="round, in order of measurement", scale=scale, axis=_INTEGERS)
    colours = style.colour("set", "set", sets)
    if len(sets) > len(style.PALETTE):
        colours = colours.legend(None)
    base = alt.Chart(style.ROWS)
    percent = alt.Scale(domain=extent, clamp=True)
    y = alt.Y("low:Q", title="% of the cell's median", scale=percent)
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
