"""Saturation: from which batch size on a larger batch hardly gains throughput any more. Pure.

Of each arch, mode, dtype and task that was measured at three batch sizes or more. Batch sizes are
groups of their own, measured minutes apart, so that their throughputs are not compared within a
round: the share of the best is taken within each set, and its interval over the sets. Drift slower
than a set cancels in it, and none faster; and the best is picked from the figures that it is
compared by. So nothing here is said to be shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench import stats
from bench.cells.cell import Cell
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.report.run_cache import cached_per_run
from bench.tables import Column, bounded, milliseconds, scaled

LEAST_SIZES = 3  # two are a line, and say nothing of where it bends
NEAR = 0.95  # of the best throughput: the rest is not worth a larger batch's latency
NOT_REACHED = "a larger batch may give more"
BY_INTERVALS, UNSURE = "by these intervals", "by the estimates alone"
_FACTORS = ("arch", "mode", "dtype", "task", "device")  # all that tells cells apart but the batch
COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="task", heading="task", is_text=True),
    Column(name="device", heading="device", is_text=True),
    Column(name="batch_sizes", heading="batches measured", is_text=True),
    Column(name="best_batch_size", heading="best batch"),
    Column(name="best_images_per_s", heading="its images/s", write=scaled(1, 1)),
    Column(name="saturated_from", heading="within 5 % from"),
    Column(name="images_per_s", heading="its images/s", write=scaled(1, 1)),
    Column(name="share_of_best", heading="% of best", write=scaled(100, 1), bounded=True),
    Column(name="latency_s", heading="its latency ms", write=milliseconds),
    Column(name="shown", heading="how sure", is_text=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """What batch sizes of one network, executed in one way, come to."""

    cells: tuple[CellRecord, ...]
    """By batch size, the smallest first; each has figures."""
    shares: Mapping[int, Interval]
    """Of the best throughput, by batch size; the best's own has no interval."""
    best: CellRecord
    near: CellRecord
    """The smallest within 5 % of the best, by the estimates."""

    @property
    def is_reached(self) -> bool:
        """Whether a batch larger than ``near`` was measured."""
        return self.near is not self.cells[-1]

    @property
    def is_by_intervals(self) -> bool:
        """Whether no interval allows a smaller or a larger batch to be the first near the best."""
        own = self.shares[self.near.cell.batch_size]
        smaller = (
            self.shares[record.cell.batch_size]
            for record in self.cells
            if record.cell.batch_size < self.near.cell.batch_size
        )
        is_near = self.near is self.best or own.low >= NEAR
        return is_near and self._has_intervals and all(share.high < NEAR for share in smaller)

    @property
    def _has_intervals(self) -> bool:
        return all(
            not math.isnan(self.shares[record.cell.batch_size].low)
            for record in self.cells
            if record is not self.best
        )


@cached_per_run
def find(run: RunRecord) -> tuple[Saturation, ...]:
    """What the batch sizes of a run come to, wherever there are enough of them."""
    sweeps: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in run.cells:
        if record.has_figures:
            sweeps.setdefault(_key(record.cell), []).append(record)
    return tuple(_of(records) for records in sweeps.values() if len(records) >= LEAST_SIZES)


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """One row for each network, mode, dtype and task with enough batch sizes."""
    rows = []
    for found in find(run):
        near, best = found.near, found.best
        rows.append(
            {
                **dict(zip(_FACTORS, _key(near.cell), strict=True)),
                "batch_sizes": ", ".join(str(record.cell.batch_size) for record in found.cells),
                "best_batch_size": best.cell.batch_size,
                **bounded("best_images_per_s", stats.throughput(best)),
                "saturated_from": near.cell.batch_size,
                **bounded("images_per_s", stats.throughput(near)),
                **bounded("share_of_best", found.shares[near.cell.batch_size]),
                **bounded("latency_s", stats.latency(near)),
                "is_reached": found.is_reached,
                "shown": _how_sure(found),
            }
        )
    return pd.DataFrame(rows)


def findings(run: RunRecord) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A title for each dtype, task and device, and what their batch sizes show in sentences."""
    said: dict[str, list[str]] = {}
    for found in find(run):
        cell = found.near.cell
        title = f"{cell.dtype}, {cell.task}, {cell.device}, over batch sizes"
        said.setdefault(title, []).append(_sentence(found))
    for title, sentences in said.items():
        yield title, tuple(sentences)


def _sentence(found: Saturation) -> str:
    near, best = found.near.cell, found.best.cell
    name = f"{near.arch} in {near.mode}"
    rate = f"{stats.throughput(found.best).estimate:,.0f} images/s"
    sizes = ", ".join(str(record.cell.batch_size) for record in found.cells)
    sure = BY_INTERVALS if found.is_by_intervals else UNSURE
    if not found.is_reached:
        return (
            f"{name} is not saturated: of batches of {sizes} the largest gives the most, {rate}, "
            f"and none smaller comes within 5 % of it, {sure}."
        )
    return (
        f"{name} is saturated from batch {near.batch_size} on, {sure}: of {sizes} it is the "
        f"smallest within 5 % of the best, {rate} at batch {best.batch_size}."
    )


def _of(records: Sequence[CellRecord]) -> Saturation:
    ordered = tuple(sorted(records, key=lambda record: record.cell.batch_size))
    best = max(ordered, key=lambda record: stats.throughput(record).estimate)
    logs = {r.cell.batch_size: stats.medians_by_set(stats.log_throughputs(r)) for r in ordered}
    most = logs[best.cell.batch_size]
    shares = {
        size: stats.over({index: own[index] - most[index] for index in most if index in own})
        for size, own in logs.items()
    }
    shares[best.cell.batch_size] = Interval(
        estimate=1.0, low=math.nan, high=math.nan, sets=len(most)
    )
    near = next(
        (record for record in ordered if shares[record.cell.batch_size].estimate >= NEAR), best
    )
    return Saturation(cells=ordered, shares=shares, best=best, near=near)


def _key(cell: Cell) -> tuple[str, ...]:
    return tuple(getattr(cell, name) for name in _FACTORS)


def _how_sure(found: Saturation) -> str:
    sure = BY_INTERVALS if found.is_by_intervals else UNSURE
    return sure if found.is_reached else f"{sure}; {NOT_REACHED}"
