"""Saturation: the batch size from which a larger batch hardly increases the throughput. Pure.

It is computed for each arch, mode, dtype and task that was measured at three or more batch sizes.
Batch sizes are separate groups, measured minutes apart, so their throughputs are not compared
within a round: the share of the best is computed within each set, and its interval over the sets.
Only drift slower than a set cancels in the share. The best is also picked from the same figures
with which it is compared. Therefore no result here is called shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench import stats
from bench.cells.cell import Cell
from bench.columns import Column, bounded, milliseconds, scaled
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run

MIN_SIZES = 3  # batch sizes; two points form a line, which does not show where the curve bends
NEAR = 0.95  # share of the best throughput; the rest is not worth a larger batch's latency
NOT_REACHED = "a larger batch may give more"
BY_INTERVALS, UNSURE = "by these intervals", "by the estimates alone"
_FACTORS = ("arch", "mode", "dtype", "task", "device")  # fields of a cell except the batch
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
    Column(name="shown", heading="certainty", is_text=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """The batch sizes of one arch, mode, dtype and task on a device, and where they saturate."""

    cells: tuple[CellRecord, ...]
    """Cells with figures, in ascending order of batch size."""
    shares: Mapping[int, Interval]
    """Share of the best throughput, by batch size; that of the best itself has no interval."""
    best: CellRecord
    near: CellRecord
    """The smallest batch within 5 % of the best, by the estimates."""

    @property
    def is_reached(self) -> bool:
        """Whether a batch larger than ``near`` was measured."""
        return self.near is not self.cells[-1]

    @property
    def is_by_intervals(self) -> bool:
        """Whether the intervals exclude that another batch is the smallest near the best."""
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
    """Return the saturation of each sweep with at least ``MIN_SIZES`` batch sizes."""
    sweeps: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in run.cells:
        if record.has_figures:
            sweeps.setdefault(_key(record.cell), []).append(record)
    return tuple(_saturation(records) for records in sweeps.values() if len(records) >= MIN_SIZES)


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return one row for each arch, mode, dtype and task with enough batch sizes."""
    rows = []
    for result in find(run):
        near, best = result.near, result.best
        rows.append(
            {
                **dict(zip(_FACTORS, _key(near.cell), strict=True)),
                "batch_sizes": ", ".join(str(record.cell.batch_size) for record in result.cells),
                "best_batch_size": best.cell.batch_size,
                **bounded("best_images_per_s", stats.throughput(best)),
                "saturated_from": near.cell.batch_size,
                **bounded("images_per_s", stats.throughput(near)),
                **bounded("share_of_best", result.shares[near.cell.batch_size]),
                **bounded("latency_s", stats.latency(near)),
                "is_reached": result.is_reached,
                "shown": _certainty(result),
            }
        )
    return pd.DataFrame(rows)


def findings(run: RunRecord) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a title for each dtype, task and device, with sentences about its batch sizes."""
    sentences_by_title: dict[str, list[str]] = {}
    for result in find(run):
        cell = result.near.cell
        title = f"{cell.dtype}, {cell.task}, {cell.device}, over batch sizes"
        sentences_by_title.setdefault(title, []).append(_sentence(result))
    for title, sentences in sentences_by_title.items():
        yield title, tuple(sentences)


def _sentence(result: Saturation) -> str:
    near, best = result.near.cell, result.best.cell
    name = f"{near.arch} in {near.mode}"
    rate = f"{stats.throughput(result.best).estimate:,.0f} images/s"
    sizes = ", ".join(str(record.cell.batch_size) for record in result.cells)
    certainty = BY_INTERVALS if result.is_by_intervals else UNSURE
    if not result.is_reached:
        return (
            f"{name} is not saturated: among batches {sizes}, the largest has the highest "
            f"throughput, {rate}, and no smaller batch is within 5 % of it, {certainty}."
        )
    return (
        f"{name} is saturated from batch {near.batch_size} on, {certainty}: among batches {sizes}, "
        f"it is the smallest within 5 % of the best, {rate} at batch {best.batch_size}."
    )


def _saturation(records: Sequence[CellRecord]) -> Saturation:
    ordered = tuple(sorted(records, key=lambda record: record.cell.batch_size))
    best = max(ordered, key=lambda record: stats.throughput(record).estimate)
    logs = {r.cell.batch_size: stats.set_log_throughputs(r) for r in ordered}
    best_logs = logs[best.cell.batch_size]
    shares = {
        size: stats.over(
            {index: of_size[index] - best_logs[index] for index in best_logs if index in of_size}
        )
        for size, of_size in logs.items()
    }
    shares[best.cell.batch_size] = Interval(
        estimate=1.0, low=math.nan, high=math.nan, sets=len(best_logs)
    )
    near = next(
        (record for record in ordered if shares[record.cell.batch_size].estimate >= NEAR), best
    )
    return Saturation(cells=ordered, shares=shares, best=best, near=near)


def _key(cell: Cell) -> tuple[str, ...]:
    return tuple(getattr(cell, name) for name in _FACTORS)


def _certainty(result: Saturation) -> str:
    certainty = BY_INTERVALS if result.is_by_intervals else UNSURE
    return certainty if result.is_reached else f"{certainty}; {NOT_REACHED}"
