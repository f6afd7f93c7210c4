"""What samples mean. Pure: numbers in, numbers out; no torch, no files."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from bench.record import CellRecord


def percentile(samples: Sequence[float], percent: float) -> float:
    """The sample below which ``percent`` of them lie, interpolated; NaN where there are none."""
    return float(np.percentile(samples, percent)) if samples else math.nan


def images_per_second(latency_s: float, batch_size: int) -> float:
    """Throughput of one batch after the other at this latency."""
    return batch_size / latency_s if latency_s > 0 else math.nan


def speedup(cell: CellRecord, reference: CellRecord) -> float:
    """How many times as fast as the reference a cell is: over 1 is faster; NaN if never together.

    The median over a set's rounds of the ratio within the round, where the machine's drift cancels
    because both were visited moments apart; and the geometric mean of that over the sets.
    """
    own, theirs = _log_latencies(cell), _log_latencies(reference)
    by_set: dict[int, list[float]] = {}
    for visit in own.keys() & theirs.keys():
        by_set.setdefault(visit[0], []).append(theirs[visit] - own[visit])
    if not by_set:
        return math.nan
    return math.exp(sum(median(ratios) for ratios in by_set.values()) / len(by_set))


def _log_latencies(cell: CellRecord) -> Mapping[tuple[int, int], float]:
    """Logarithm of the median latency of each visit, by set and round."""
    return {
        (visit.set_index, visit.round_index): math.log(median(visit.host_s))
        for visit in cell.visits
    }
