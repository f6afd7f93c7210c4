"""The front of accuracy and speed: the cells that no other cell beats in both (Pareto front).

A user chooses a network and a mode, so a group has one front with all modes together. A mode may
not be available to a user (compilation needs a compiler and time), so each cell also has a verdict
among the cells of its own mode.

The accuracy is exact. The latencies are compared like everywhere: by the ratio of two cells within
rounds, then over sets. The more cells a cell is compared with, the wider the intervals of these
ratios (``_confidence``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench import stats
from bench.means import CONFIDENCE
from bench.metrics.cost import IS_LOWER_BOUND, MACS, PARAMS
from bench.metrics.latency import LATENCY, SETS
from bench.metrics.metric import MeasuredCell
from bench.metrics.published import ACCURACY, ACCURACY_SOURCE
from bench.metrics.throughput import IMAGES
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import summary
from bench.report.phrases import cell_name
from bench.tables import Column

MIN_NETWORKS = 3  # two networks need no front: the ratio in the findings compares them
ON_FRONT, DOMINATED, UNCLEAR = "yes", "no", "unclear"
_FILED_ONLY = (IS_LOWER_BOUND, SETS, ACCURACY_SOURCE)
_SHOWN = (ACCURACY, LATENCY, IMAGES, MACS, PARAMS)
_VERDICTS = (
    Column(name="front", heading="front", is_text=True, wraps=True),
    Column(name="dominated_by", heading="dominated by", is_text=True, wraps=True),
    Column(name="front_of_mode", heading="front of its mode", is_text=True, rank=6),
)
_FIELDS = (
    *("arch", "mode", *summary.GROUPED_BY, "accuracy"),
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
    least its accuracy, and the whole interval of their ratio says that it is faster; wrong for at
    most 5 of 100 cells. ``UNCLEAR``: another cell is better by the estimates, but that may be
    chance."""
    dominated_by: CellRecord | None = None
    """The fastest of the cells that dominate it; the most accurate of several."""


def standing(
    record: CellRecord, others: Sequence[CellRecord], reference: CellRecord | None
) -> Standing:
    """Return where a cell is among others, which may include itself; all accuracies are known.

    Another cell is better by the estimates if it has at least this accuracy and is faster, or has a
    higher accuracy and is as fast. Equal cells are on the front together.

    The cell is compared with each other cell of at least its accuracy, and one wrong comparison is
    enough to call it dominated. ``_confidence`` keeps the chance of that at 5 % or less.
    """
    rivals = [
        other for other in others if other is not record and accuracy(other) >= accuracy(record)
    ]
    confidence = _confidence(len(rivals))
    is_beaten = False
    best, best_key = None, (-math.inf, -math.inf)
    for other in rivals:
        ratio = stats.speedup(other, record, confidence, reference=reference)
        # Without a common set, only the latencies remain, which contain the machine's drift.
        speedup = ratio.estimate if ratio.sets else _latency_s(record) / _latency_s(other)
        is_more_accurate = accuracy(other) > accuracy(record)
        is_beaten = is_beaten or speedup > 1 or (speedup == 1 and is_more_accurate)
        key = (speedup, accuracy(other))
        if ratio.low > 1 and key > best_key:
            best, best_key = other, key
    if best is not None:
        return Standing(front=DOMINATED, dominated_by=best)
    return Standing(front=UNCLEAR if is_beaten else ON_FRONT)


def _confidence(comparisons: int) -> float:
    """Return the confidence of each of several intervals, so that all together have 95 %.

    This is Bonferroni's correction, which holds however the comparisons depend on each other.
    """
    return 1 - (1 - CONFIDENCE) / max(comparisons, 1)


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return a row for each cell of known accuracy, in groups with enough such networks.

    The cells of a front come first in a group, then the others; each by falling accuracy.
    """
    rows: list[dict[str, Any]] = []
    for group, measured in run.measured.items():
        known = [record for record in measured if record.cost.accuracy is not None]
        if len({record.cell.arch for record in known}) < MIN_NETWORKS:
            continue
        reference = run.reference(group)
        rows += sorted((_row(record, known, reference, run) for record in known), key=_place)
    return pd.DataFrame(rows, columns=list(_FIELDS))


def columns(run: RunRecord) -> tuple[Column, ...]:
    """Return the columns of the table, without those of the group."""
    figures = (metric.column(run) for metric in _SHOWN)
    precise = (
        replace(column, write=write_accuracy) if column.name == ACCURACY.name else column
        for column in figures
    )
    return (*summary.CELL_COLUMNS, *precise, *_VERDICTS)


def write_accuracy(percent: float) -> str:
    """Format with two decimals: the front may depend on a difference that one decimal hides."""
    return f"{percent:.2f}"


def unknown(run: RunRecord, group: str) -> list[str]:
    """Return the networks of a group that have figures, but no known accuracy."""
    records = run.measured[group]
    return list(
        dict.fromkeys(record.cell.arch for record in records if record.cost.accuracy is None)
    )


def accuracy(record: CellRecord) -> float:
    """Return the published accuracy of a cell's network in percent; NaN if it is unknown."""
    return math.nan if record.cost.accuracy is None else record.cost.accuracy


def _row(
    record: CellRecord,
    known: Sequence[CellRecord],
    reference: CellRecord | None,
    run: RunRecord,
) -> dict[str, Any]:
    of_mode = [other for other in known if other.cell.mode == record.cell.mode]
    overall, in_mode = (standing(record, others, reference) for others in (known, of_mode))
    cell, measured = record.cell, MeasuredCell.of_run(record, run)
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        **{name: getattr(cell, name) for name in summary.GROUPED_BY},
        **{
            name: value
            for metric in (*_SHOWN, *_FILED_ONLY)
            for name, value in metric.columns(measured).items()
        },
        "front": overall.front,
        "dominated_by": _name(overall.dominated_by),
        "front_of_mode": in_mode.front,
        "dominated_by_of_mode": _name(in_mode.dominated_by),
    }


def _place(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    return row["front"] != ON_FRONT, -row["accuracy"], row["latency_s"]


def _name(record: CellRecord | None) -> str | None:
    return None if record is None else cell_name(record)


def _latency_s(record: CellRecord) -> float:
    return stats.latency(record).estimate
