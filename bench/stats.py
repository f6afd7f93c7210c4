"""Statistics of samples: latencies, ratios and their intervals. Pure: no torch, no files.

The set of fresh processes is the unit of replication, so intervals are taken over sets. Two
processes differ for their whole life, and no number of iterations in one of them can show that.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import median
from typing import TypeAlias, TypeVar

import numpy as np

from bench.means import CONFIDENCE, Interval, exponential, interval
from bench.records.record import CellRecord
from bench.records.reported import Setup

CONTROL_CONFIDENCE = 0.99  # one healthy group in a hundred is called untrustworthy
ANY_PRECISION = 1.0  # a requested half-width of 100 % or more means that any precision will do
# A set counts if it has at least this share of the rounds of the longest wave; with fewer it is too
# noisy.
MIN_ROUNDS_SHARE = 0.5

Value = TypeVar("Value")
ByVisit: TypeAlias = Mapping[tuple[int, int, int], float]
"""One number per visit of a cell, by (set, wave, round)."""


def speedup(
    cell: CellRecord,
    other: CellRecord,
    confidence: float = CONFIDENCE,
    *,
    reference: CellRecord | None = None,
) -> Interval:
    """Return the speedup of a cell over another: above 1, ``cell`` is faster.

    The ratio is taken within each round, where the machine's drift cancels because both cells were
    visited moments apart. The value of a set is the median over its rounds; the estimate is the
    geometric mean over sets. ``reference`` is the reference, which is alive in every wave: cells of
    different waves are compared through it.
    """
    logs = set_log_ratios(cell, other)
    if reference is not None and not _has_every_set(logs, log_latencies(cell)):
        logs = log_speedups(*map(log_latencies, (cell, other, reference)))
    return over(logs, confidence)


def log_speedups(cell: ByVisit, other: ByVisit, reference: ByVisit) -> Mapping[int, float]:
    """Return the log speedup of ``cell`` over ``other``, one value per set.

    The arguments are log latencies. In a set in which no wave has both cells, the value is the
    difference of their log speedups over ``reference``.
    """
    direct = medians_by_set(log_ratios(cell, other))
    if _has_every_set(direct, cell):
        return direct
    first, second = (medians_by_set(log_ratios(logs, reference)) for logs in (cell, other))
    indirect = {index: first[index] - second[index] for index in first if index in second}
    return {**indirect, **direct}


def _has_every_set(values: Mapping[int, float], visits: ByVisit) -> bool:
    return all(set_index in values for set_index, _, _ in visits)


def ratios(group: Sequence[CellRecord]) -> Iterator[tuple[CellRecord, CellRecord]]:
    """Yield each cell of a group with each reference that it is compared with.

    The control is among the cells. ``group`` must contain the control, because its cell identifies
    the reference.
    """
    by_id = {record.cell.id: record for record in group}
    for control in (record for record in group if record.cell.control):
        to = replace(control.cell, control=False)
        for record in group:
            same_mode = replace(to, mode=record.cell.mode)
            for other in dict.fromkeys((to.id, same_mode.id)):
                if other in by_id and other != record.cell.id:
                    yield record, by_id[other]


def rate(
    cell: CellRecord,
    other: CellRecord,
    confidence: float = CONFIDENCE,
    *,
    reference: CellRecord | None = None,
) -> Interval:
    """Return how many times the throughput of another cell a cell has, at the same batch size.

    It is compared like the latency in ``speedup``, but with the times of back-to-back blocks if
    there are any.
    """
    if not cell.has_blocks or not other.has_blocks:
        return speedup(cell, other, confidence, reference=reference)
    cells = (cell, other, cell if reference is None else reference)
    times = ({visit: -log for visit, log in log_throughputs(each).items()} for each in cells)
    return over(log_speedups(*times), confidence)


def is_precise(widest: float, precision: float) -> bool:
    """Return whether the largest half-width of the ratios is at most the requested precision.

    NaN, as for a single set, is not precise. A requested precision of 100 % or more is always met.
    """
    return widest <= precision or precision >= ANY_PRECISION


def widest(group: Sequence[CellRecord]) -> float:
    """Return the largest half-width of a group's ratios; NaN if one has none or there are none."""
    half_widths = [
        over(set_log_ratios(record, reference)).half_width
        for record, reference in ratios(group)
        if record.failure is None and reference.failure is None
    ]
    return float(np.max(half_widths)) if half_widths else math.nan


def latency(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Return a cell's latency in seconds: the geometric mean over sets of the median of its visits.

    It includes the machine's drift. To compare two cells, use their ratio, which is more precise.
    """
    return over(set_log_latencies(cell), confidence)


def iteration(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Return the seconds per iteration in back-to-back blocks, or the latency without blocks."""
    if not cell.has_blocks:
        return latency(cell, confidence)
    return over_sets(
        {
            visit.key: math.log(block.host_s / block.iterations)
            for visit in cell.valid
            if (block := visit.back_to_back)
        },
        confidence,
    )


def throughput(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Return the images per second in back-to-back blocks, or from the latency without blocks."""
    return over(set_log_throughputs(cell), confidence)


def busy_share(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Return the share of a back-to-back block in which the device works, or ``NO_INTERVAL``.

    This is the time of an iteration on a device that never waits, divided by its time in the block.
    """
    return over_sets(
        {
            visit.key: math.log(block.busy_s * block.iterations / block.host_s)
            for visit in cell.valid
            if (block := visit.back_to_back) and block.busy_s
        },
        confidence,
    )


def over_sets(logs: ByVisit, confidence: float = CONFIDENCE) -> Interval:
    """Return the exponential of the interval of the sets' medians; ``logs`` are logarithms."""
    return over(medians_by_set(logs), confidence)


def over(logs: Mapping[int, float], confidence: float = CONFIDENCE) -> Interval:
    """Return the exponential of the interval of logarithms, one value per set."""
    return exponential(interval(list(logs.values()), confidence))


def set_medians(logs: ByVisit) -> list[float]:
    """Return the median of each set's visits, without sets that were cut off early."""
    return list(medians_by_set(logs).values())


def medians_by_set(logs: ByVisit) -> Mapping[int, float]:
    """Return the median of each set's visits by set index, without sets that were cut off early.

    A set counts if its longest wave has enough rounds; sets may differ in their number of waves.
    """
    sets: dict[int, dict[int, list[float]]] = {}
    for (set_index, wave, _), logarithm in logs.items():
        sets.setdefault(set_index, {}).setdefault(wave, []).append(logarithm)
    longest = {index: max(map(len, waves.values())) for index, waves in sets.items()}
    least = MIN_ROUNDS_SHARE * max(longest.values(), default=0)
    return {
        index: median(chain.from_iterable(waves.values()))
        for index, waves in sets.items()
        if longest[index] >= least
    }


def by_set(logs: ByVisit) -> Mapping[int, Sequence[float]]:
    """Return the values of each set's visits, by set index."""
    values: dict[int, list[float]] = {}
    for (set_index, _, _), logarithm in logs.items():
        values.setdefault(set_index, []).append(logarithm)
    return values


def set_log_latencies(cell: CellRecord) -> Mapping[int, float]:
    """Return the median log latency of each set; computed once per record."""
    return _derived(cell, "log latencies", lambda: medians_by_set(log_latencies(cell)))


def set_log_throughputs(cell: CellRecord) -> Mapping[int, float]:
    """Return the median log throughput of each set; computed once per record."""
    return _derived(cell, "log throughputs", lambda: medians_by_set(log_throughputs(cell)))


def set_log_ratios(cell: CellRecord, other: CellRecord) -> Mapping[int, float]:
    """Return the log speedup of ``cell`` over ``other`` in each set; computed once per pair."""
    _, ratios_of_sets = _derived(
        cell,
        ("log ratios", id(other)),
        # With the other record, so that no later one gets its id.
        lambda: (other, medians_by_set(log_ratios(log_latencies(cell), log_latencies(other)))),
    )
    return ratios_of_sets


def _derived(cell: CellRecord, key: object, compute: Callable[[], Value]) -> Value:
    if key not in cell.derived:
        cell.derived[key] = compute()
    value: Value = cell.derived[key]
    return value


def log_ratios(cell: ByVisit, other: ByVisit) -> ByVisit:
    """Return the log speedup of ``cell`` over ``other``, for each round that visited both.

    The arguments are log latencies.
    """
    return {visit: other[visit] - cell[visit] for visit in cell if visit in other}


def log_latencies(cell: CellRecord) -> ByVisit:
    """Return the logarithm of the median latency of each valid visit, by (set, wave, round)."""
    return cell.log_medians


def log_throughputs(cell: CellRecord) -> ByVisit:
    """Return the logarithm of the images per second of each valid visit, by (set, wave, round)."""
    size = math.log(cell.cell.batch_size)
    if not cell.has_blocks:
        return {visit: size - latency_s for visit, latency_s in log_latencies(cell).items()}
    return {
        visit.key: size + math.log(block.iterations / block.host_s)
        for visit in cell.valid
        if (block := visit.back_to_back)
    }


def energy_per_image_j(setups: Iterable[Setup]) -> Interval:
    """Return the joules per image: the geometric mean over sets, or ``NO_INTERVAL`` without data.

    The value of a set is the median over its windows; a cell in several waves has several windows
    per set. If a file does not record the set of a window, each window counts as a set.
    """
    return over_sets(
        {
            (index if setup.energy_set is None else setup.energy_set, index, 0): math.log(
                setup.energy_j / setup.energy_images
            )
            for index, setup in enumerate(setups)
            if setup.energy_j and setup.energy_images
        }
    )
