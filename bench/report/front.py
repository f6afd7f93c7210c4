"""Fronts: the cells that no other cell beats both in accuracy and on an axis (Pareto fronts).

The axis is a metric: the latency by default, or others that the run's plan names.

A user chooses a network and a mode, so a group has one front with all modes together. A mode may
not be available to a user (compilation needs a compiler and time), so each cell also has a verdict
among the cells of its own mode.

The accuracy is exact, and so are counts. What is measured is compared like everywhere: latencies by
the ratio of two cells within rounds, then over sets. The more cells a cell is compared with, the
wider the intervals of these ratios (``confidence``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from bench import metrics
from bench.cells.plan import FRONT
from bench.columns import Column
from bench.means import CONFIDENCE, Interval
from bench.metrics.accuracy import ACCURACY, ACCURACY_SOURCE
from bench.metrics.cost import IS_LOWER_BOUND, MACS, PARAMS
from bench.metrics.latency import LATENCY, SETS
from bench.metrics.metric import Axis, Better, MeasuredCell, Metric
from bench.metrics.throughput import IMAGES
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import summary

MIN_NETWORKS = 3  # two networks need no front: the ratio in the findings compares them
ON_FRONT, DOMINATED, UNCLEAR = "yes", "no", "unclear"
_FILED_ONLY = (IS_LOWER_BOUND, SETS, ACCURACY_SOURCE)
_SHOWN = (ACCURACY, LATENCY, IMAGES, MACS, PARAMS)
_VERDICTS = (
    Column(name="front", heading="front", is_text=True, wraps=True),
    Column(name="dominated_by", heading="dominated by", is_text=True, wraps=True),
    Column(name="front_of_mode", heading="front of its mode", is_text=True, rank=6),
)
AXIS_COLUMN = Column(name="axis", heading="accuracy and", is_text=True)
_FIELDS = (
    *("axis", "arch", "mode", *summary.GROUPED_BY, "accuracy"),
    *("latency_s", "latency_s_low", "latency_s_high"),
    *("images_per_s", "images_per_s_low", "images_per_s_high"),
    *("macs_per_image", "macs_is_lower_bound", "params", "sets"),
    *("front", "dominated_by", "front_of_mode", "dominated_by_of_mode", "accuracy_source"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a cell is among other cells: on the front or behind it."""

    front: str
    """``ON_FRONT``: no other cell is better by the estimates. ``DOMINATED``: another cell has at
    least its accuracy, and the whole interval of their ratio says that it is better on the axis;
    wrong for at most 5 of 100 cells. ``UNCLEAR``: another cell is better by the estimates, but that
    may be chance."""
    dominated_by: CellRecord | None = None
    """The best on the axis of the cells that dominate it; the most accurate of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of cells of a run on an axis, a metric."""

    metric: Metric
    run: RunRecord

    @property
    def axis(self) -> Axis:
        """The axis of the metric."""
        if self.metric.axis is None:
            raise ValueError(f"{self.metric.name} is no axis of a front")
        return self.metric.axis

    def figure(self, record: CellRecord) -> float:
        """Return the metric of a cell; NaN if it is unknown."""
        value = self._compute(self.metric, record)
        found = value.estimate if isinstance(value, Interval) else value
        return math.nan if found is None else float(found)

    def advantage(self, cell: CellRecord, other: CellRecord, of_each: float) -> Interval:
        """Return how many times better ``cell`` is, with an interval of confidence ``of_each``.

        Exact figures have an interval without a width. There is no interval if the figure of
        ``cell`` is a lower bound, or if only estimates can be compared.
        """
        compare = self.axis.advantage
        if compare is not None:
            reference = self.run.reference(cell.cell.group)
            found = compare(cell, other, of_each, reference=reference)
            if found.sets:
                return found
        ratio = self.figure(other) / self.figure(cell)
        estimate = 1 / ratio if self.metric.better is Better.MORE else ratio
        is_exact = compare is None and not self._is_lower_bound(cell)
        end = estimate if is_exact else math.nan
        return Interval(estimate=estimate, low=end, high=end, sets=0)

    def _is_lower_bound(self, record: CellRecord) -> bool:
        name = self.metric.at_least
        return bool(name and self._compute(metrics.METRICS[name], record))

    def _compute(self, metric: Metric, record: CellRecord) -> Any:
        return metric.compute(MeasuredCell(record=record, run=self.run, reference=None))


def standing(record: CellRecord, others: Sequence[CellRecord], comparison: Comparison) -> Standing:
    """Return where a cell is among others, which may include itself; all accuracies are known.

    Another cell is better by the estimates if it has at least this accuracy and is better on the
    axis, or has a higher accuracy and is as good. Equal cells are on the front together.

    The cell is compared with each other cell of at least its accuracy, and one wrong comparison is
    enough to call it dominated. ``confidence`` keeps the chance of that at 5 % or less.
    """
    rivals = [
        other for other in others if other is not record and accuracy(other) >= accuracy(record)
    ]
    of_each = confidence(len(rivals))
    is_beaten = False
    best, best_key = None, (-math.inf, -math.inf)
    for other in rivals:
        ratio = comparison.advantage(other, record, of_each)
        is_more_accurate = accuracy(other) > accuracy(record)
        is_as_good = ratio.estimate == 1 and is_more_accurate
        is_beaten = is_beaten or ratio.estimate > 1 or is_as_good
        is_exact = comparison.axis.advantage is None
        is_shown = min(ratio.low, ratio.estimate) > 1 or (
            is_as_good and is_exact and ratio.low == 1
        )
        key = (ratio.estimate, accuracy(other))
        if is_shown and key > best_key:
            best, best_key = other, key
    if best is not None:
        return Standing(front=DOMINATED, dominated_by=best)
    return Standing(front=UNCLEAR if is_beaten else ON_FRONT)


def confidence(comparisons: int) -> float:
    """Return the confidence of each of several intervals, so that all together have 95 %.

    This is Bonferroni's correction, which holds however the comparisons depend on each other.
    """
    return 1 - (1 - CONFIDENCE) / max(comparisons, 1)


def axes(run: RunRecord) -> tuple[Metric, ...]:
    """Return the metrics that a run's reports set against accuracy."""
    known = metrics.axes()
    found = tuple(known[name] for name in run.plan.front or FRONT if name in known)
    return found or tuple(known[name] for name in FRONT)  # a plugin's axis may be missing


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return a row for each axis and cell of known accuracy, in groups with enough such networks.

    The cells of a front come first in a group, then the others; each by falling accuracy.
    """
    rows: list[dict[str, Any]] = []
    for group in run.measured:
        for metric in axes(run):
            comparison = Comparison(metric=metric, run=run)
            known = compared(run, group, comparison)
            if len({record.cell.arch for record in known}) >= MIN_NETWORKS:
                rows += sorted(
                    (_row(record, known, comparison) for record in known),
                    key=partial(_place, comparison),
                )
    more = (name for row in rows[:1] for name in row if name not in _FIELDS)
    return pd.DataFrame(rows, columns=[*_FIELDS, *more])


def compared(run: RunRecord, group: str, comparison: Comparison) -> list[CellRecord]:
    """Return the cells of a group whose accuracy and figure are known."""
    return [
        record
        for record in run.measured[group]
        if record.cost.accuracy is not None and comparison.figure(record) > 0
    ]


def title(axis: Axis) -> str:
    """Return the title of a front."""
    return f"Accuracy and {'speed' if axis.name in FRONT else axis.title}"


def chart_name(group: str, axis: Axis) -> str:
    """Return the name of the chart of a front; ``group``: title of the group of cells."""
    prefix = "front" if axis.name in FRONT else f"front-{axis.name}"
    return f"{prefix}-{summary.slug(group)}"


def columns(run: RunRecord) -> tuple[Column, ...]:
    """Return the columns of the table, without those of the group and the axis."""
    figures = (metric.column(run) for metric in _shown(run))
    precise = (
        replace(column, write=write_accuracy) if column.name == ACCURACY.name else column
        for column in figures
    )
    return (*summary.CELL_COLUMNS, *precise, *_VERDICTS)


def _shown(run: RunRecord) -> tuple[Metric, ...]:
    """Return the metrics of the table: the usual ones, and those of the run's axes."""
    return (*_SHOWN, *(metric for metric in axes(run) if metric not in _SHOWN))


def write_accuracy(percent: float) -> str:
    """Format with two decimals: the front may depend on a difference that one decimal hides."""
    return f"{percent:.2f}"


def unknown(run: RunRecord, group: str, comparison: Comparison) -> list[str]:
    """Return the networks of a group that have figures, but are not compared on an axis."""
    known = {record.cell.id for record in compared(run, group, comparison)}
    left = (record for record in run.measured[group] if record.cell.id not in known)
    return list(dict.fromkeys(record.cell.arch for record in left))


def accuracy(record: CellRecord) -> float:
    """Return the published accuracy of a cell's network in percent; NaN if it is unknown."""
    return math.nan if record.cost.accuracy is None else record.cost.accuracy


def _row(record: CellRecord, known: Sequence[CellRecord], comparison: Comparison) -> dict[str, Any]:
    of_mode = [other for other in known if other.cell.mode == record.cell.mode]
    overall, in_mode = (standing(record, others, comparison) for others in (known, of_mode))
    cell, measured = record.cell, MeasuredCell.of_run(record, comparison.run)
    return {
        "axis": comparison.axis.name,
        "arch": cell.arch,
        "mode": cell.mode,
        **{name: getattr(cell, name) for name in summary.GROUPED_BY},
        **{
            name: value
            for metric in (*_shown(comparison.run), *_FILED_ONLY)
            for name, value in metric.columns(measured).items()
        },
        "front": overall.front,
        "dominated_by": _name(overall.dominated_by),
        "front_of_mode": in_mode.front,
        "dominated_by_of_mode": _name(in_mode.dominated_by),
    }


def _place(comparison: Comparison, row: Mapping[str, Any]) -> tuple[bool, float, float]:
    figure = row[comparison.metric.name]
    is_more = comparison.metric.better is Better.MORE
    return row["front"] != ON_FRONT, -row["accuracy"], -figure if is_more else figure


def _name(record: CellRecord | None) -> str | None:
    return None if record is None else record.cell.name
