"""What samples mean. Pure: numbers in, numbers out; no torch, no files.

The set of fresh processes is what is repeated, so it is what intervals are taken over: two
processes differ for their whole life, which no number of iterations in one of them can show.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy import special

from bench.record import CellRecord

CONFIDENCE = 0.95
CONTROL_CONFIDENCE = 0.99  # a run in a hundred is called untrustworthy though it is not

NORMAL_MAD = 1.4826  # standard deviations of a normal distribution in its MAD
OUTLIER_MADS = 4.0  # further from the median than this many median absolute deviations
TRIMMED = 0.2  # of the sets, at each end, where one is an outlier: Yuen's trimmed mean
# Of fewer, healthy ones look like outliers: with five, intervals held the truth in 92 of 100.
LEAST_TRIMMED_SETS = 8
LEAST_SHARE = 0.5  # of the rounds of the longest set; a set of fewer is too noisy to count as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the interval around it; NaN bounds where one set is all there is."""

    estimate: float
    low: float
    high: float
    sets: int
    trimmed: bool = False
    """Whether a set was an outlier, so that the mean and its interval are Yuen's trimmed ones."""

    @property
    def half_width(self) -> float:
        """Of an interval of positive numbers: the factor from its middle to its ends, less one."""
        return math.sqrt(self.high / self.low) - 1

    def contains(self, value: float) -> bool:
        """Whether a value lies inside; False where there are no bounds."""
        return self.low <= value <= self.high


NOTHING = Interval(estimate=math.nan, low=math.nan, high=math.nan, sets=0)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The sample below which ``percent`` of them lie, interpolated; NaN where there are none."""
    return float(np.percentile(samples, percent)) if len(samples) else math.nan


def images_per_second(latency_s: float, batch_size: int) -> float:
    """Throughput of one batch after the other at this latency."""
    return batch_size / latency_s if latency_s > 0 else math.nan


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's t-interval of the mean of independent values, one for each set.

    Where a value lies over ``OUTLIER_MADS`` from the median it is the trimmed mean's (Tukey and
    McLaughlin 1963; Yuen 1974), if there are sets enough to tell an outlier.
    """
    sets = len(values)
    if sets == 0:
        return NOTHING
    mean = float(np.mean(values))
    if sets == 1:
        return Interval(estimate=mean, low=math.nan, high=math.nan, sets=1)
    may_trim = sets >= LEAST_TRIMMED_SETS and has_outlier(values)
    cut = math.floor(TRIMMED * sets) if may_trim else 0
    ordered = np.sort(values)
    # scipy's trimmed_mean_ci takes the share asked for and not the one cut off, which a fifth of
    # eight is not: its interval is then a quarter too wide.
    winsorized = np.clip(ordered, ordered[cut], ordered[sets - 1 - cut])
    error = float(np.std(winsorized, ddof=1)) / ((1 - 2 * cut / sets) * math.sqrt(sets))
    reach = float(special.stdtrit(sets - 2 * cut - 1, (1 + confidence) / 2)) * error
    mean = float(np.mean(ordered[cut : sets - cut]))
    return Interval(estimate=mean, low=mean - reach, high=mean + reach, sets=sets, trimmed=cut > 0)


def has_outlier(values: Sequence[float]) -> bool:
    """Whether a value lies over ``OUTLIER_MADS`` median absolute deviations from the median.

    The deviation is scaled to be a normal distribution's standard deviation. Unscaled, four of them
    are 2.7 of these: healthy sets would be trimmed, and intervals then miss the truth too often.
    """
    distances = np.abs(np.asarray(values) - np.median(values))
    return bool(distances.max() > OUTLIER_MADS * NORMAL_MAD * np.median(distances))


def speedup(cell: CellRecord, reference: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """How many times as fast as the reference a cell is: over 1 is faster.

    The median over a set's rounds of the ratio within the round, where the machine's drift cancels
    because both were visited moments apart; and over the sets the geometric mean.
    """
    own, theirs = _log_latencies(cell), _log_latencies(reference)
    by_set: dict[int, list[float]] = {}
    for visit in own.keys() & theirs.keys():
        by_set.setdefault(visit[0], []).append(theirs[visit] - own[visit])
    return _over_sets(by_set, confidence)


def ratios(group: Sequence[CellRecord]) -> Iterator[tuple[CellRecord, CellRecord]]:
    """Every cell and reference of a group whose ratio is shown, the control's among them.

    ``group`` holds the control, whose cell says what the reference is.
    """
    by_id = {record.cell.id: record for record in group}
    for control in (record for record in group if record.cell.control):
        to = replace(control.cell, control=False)
        for record in group:
            same_mode = replace(to, mode=record.cell.mode)
            for other in dict.fromkeys((to.id, same_mode.id)):
                if other in by_id and other != record.cell.id:
                    yield record, by_id[other]


def widest(group: Sequence[CellRecord]) -> float:
    """The largest half-width of the ratios in a group; NaN where one has none, or none is there."""
    found = [
        speedup(record, reference).half_width
        for record, reference in ratios(group)
        if record.failure is None and reference.failure is None
    ]
    return float(np.max(found)) if found else math.nan


def latency(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """A cell's latency in seconds: the geometric mean over the sets of the median of its visits.

    The machine's drift is in it: where two cells are compared, their ratio is much surer.
    """
    by_set: dict[int, list[float]] = {}
    for visit, logarithm in _log_latencies(cell).items():
        by_set.setdefault(visit[0], []).append(logarithm)
    return _over_sets(by_set, confidence)


def _over_sets(by_set: Mapping[int, Sequence[float]], confidence: float) -> Interval:
    """The interval of the sets' medians of logarithms, as plain numbers again."""
    most = max(map(len, by_set.values()), default=0)
    medians = [median(logs) for logs in by_set.values() if len(logs) >= LEAST_SHARE * most]
    found = interval(medians, confidence)
    return Interval(
        estimate=math.exp(found.estimate),
        low=math.exp(found.low),
        high=math.exp(found.high),
        sets=found.sets,
        trimmed=found.trimmed,
    )


def _log_latencies(cell: CellRecord) -> Mapping[tuple[int, int, int], float]:
    """Logarithm of the median latency of each valid visit, by set, wave and round."""
    return {
        (visit.set_index, visit.wave_index, visit.round_index): math.log(median(visit.host_s))
        for visit in cell.visits
        if not visit.voided
    }
