"""What samples mean. Pure: numbers in, numbers out; no torch, no files.

The set of fresh processes is what is repeated, so it is what intervals are taken over: two
processes differ for their whole life, which no number of iterations in one of them can show.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeAlias

import numpy as np
from scipy import special

from bench.records.record import CellRecord

CONFIDENCE = 0.95
CONTROL_CONFIDENCE = 0.99  # a group in a hundred is called untrustworthy though it is not

NORMAL_MAD = 1.4826  # standard deviations of a normal distribution in its MAD
# Further from the median than this many median absolute deviations. With 4 one healthy mean in
# eleven of eight sets is trimmed, and its interval holds the truth in 84 of 100; a 99 % one misses
# it 1.5 times as often as it should. With 8 it is one in a hundred, and 1.1 times (simulated).
OUTLIER_MADS = 8.0
TRIMMED = 0.2  # of the sets, at each end, where one is an outlier: Yuen's trimmed mean
# Of fewer, healthy ones look like outliers: with five, intervals held the truth in 92 of 100.
LEAST_TRIMMED_SETS = 8
ANY_PRECISION = 1.0  # a half-width that nobody asks for who wants to know a ratio
LEAST_SHARE = 0.5  # of the rounds of the longest wave; a set of fewer is too noisy to count as one


ByVisit: TypeAlias = Mapping[tuple[int, int, int], float]
"""A number for each visit of a cell, by its set, wave and round."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean of independent values, one for each set, and how sure it is."""

    estimate: float
    error: float
    """Its standard error; NaN where one set is all there is."""
    freedom: float
    """The degrees of freedom of the error; NaN with it."""
    sets: int
    trimmed: bool = False
    """Whether a set was an outlier, so that it is a trimmed mean."""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student's t-interval."""
        reach = float(special.stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        low, high = self.estimate - reach, self.estimate + reach
        return Interval(
            estimate=self.estimate, low=low, high=high, sets=self.sets, trimmed=self.trimmed
        )


def percentile(samples: Sequence[float], percent: float) -> float:
    """The sample below which ``percent`` of them lie, interpolated; NaN where there are none."""
    return float(np.percentile(samples, percent)) if len(samples) else math.nan


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's t-interval of the mean of independent values, one for each set."""
    return mean(values).interval(confidence)


def mean(values: Sequence[float]) -> Mean:
    """The mean of independent values, one for each set.

    Where a value lies over ``OUTLIER_MADS`` from the median it is the trimmed mean (Tukey and
    McLaughlin 1963; Yuen 1974), if there are sets enough to tell an outlier.
    """
    sets = len(values)
    if sets < 2:
        estimate = float(values[0]) if sets else math.nan
        return Mean(estimate=estimate, error=math.nan, freedom=math.nan, sets=sets)
    may_trim = sets >= LEAST_TRIMMED_SETS and has_outlier(values)
    cut = math.floor(TRIMMED * sets) if may_trim else 0
    ordered = np.sort(values)
    # scipy's trimmed_mean_ci takes the share asked for and not the one cut off, which a fifth of
    # eight is not: its interval is then a quarter too wide.
    winsorized = np.clip(ordered, ordered[cut], ordered[sets - 1 - cut])
    return Mean(
        estimate=float(np.mean(ordered[cut : sets - cut])),
        error=float(np.std(winsorized, ddof=1)) / ((1 - 2 * cut / sets) * math.sqrt(sets)),
        freedom=sets - 2 * cut - 1,
        sets=sets,
        trimmed=cut > 0,
    )


def difference(before: Mean, after: Mean) -> Mean:
    """How much larger a mean of other sets is, whatever the spread of either (Welch 1947).

    Its ``sets`` are the fewer of the two.
    """
    of_before, of_after = before.error**2, after.error**2
    variance = of_before + of_after
    spread = of_before**2 / before.freedom + of_after**2 / after.freedom
    return Mean(
        estimate=after.estimate - before.estimate,
        error=math.sqrt(variance),
        freedom=variance**2 / spread if spread else before.freedom + after.freedom,
        sets=min(before.sets, after.sets),
        trimmed=before.trimmed or after.trimmed,
    )


def has_outlier(values: Sequence[float]) -> bool:
    """Whether a value lies over ``OUTLIER_MADS`` median absolute deviations from the median.

    The deviation is scaled to be a normal distribution's standard deviation.
    """
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    return bool(max(distances) > OUTLIER_MADS * NORMAL_MAD * median(distances))


def speedup(
    cell: CellRecord,
    other: CellRecord,
    confidence: float = CONFIDENCE,
    *,
    beside: CellRecord | None = None,
) -> Interval:
    """How many times as fast as another a cell is: over 1 is faster.

    The median over a set's rounds of the ratio within the round, where the machine's drift cancels
    because both were visited moments apart; and over the sets the geometric mean. ``beside`` is the
    reference, which is alive in each wave: through it two cells of different waves are compared.
    """
    logs = between(
        log_latencies(cell), log_latencies(other), {} if beside is None else log_latencies(beside)
    )
    return exponential(interval(list(logs.values()), confidence))


def between(own: ByVisit, theirs: ByVisit, beside: ByVisit) -> Mapping[int, float]:
    """By the set, the logarithm of how many times as fast as they are we are.

    In a set in which no wave had both, it is the difference of what either is to ``beside``.
    """
    ours, others = (medians_by_set(log_ratios(logs, beside)) for logs in (own, theirs))
    through = {index: ours[index] - others[index] for index in ours if index in others}
    return {**through, **medians_by_set(log_ratios(own, theirs))}


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


def is_precise(widest: float, asked: float) -> bool:
    """Whether ratios are as sure as was asked for: each way no further than this share.

    A NaN, as of one set, is not; but whoever asks for 100 % or more asks for nothing.
    """
    return widest <= asked or asked >= ANY_PRECISION


def widest(group: Sequence[CellRecord]) -> float:
    """The largest half-width of the ratios in a group; NaN where one has none, or none is there."""
    logs = {record.cell.id: log_latencies(record) for record in group}
    found = [
        over_sets(log_ratios(logs[record.cell.id], logs[reference.cell.id])).half_width
        for record, reference in ratios(group)
        if record.failure is None and reference.failure is None
    ]
    return float(np.max(found)) if found else math.nan


def latency(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """A cell's latency in seconds: the geometric mean over the sets of the median of its visits.

    The machine's drift is in it: where two cells are compared, their ratio is much surer.
    """
    return over_sets(log_latencies(cell), confidence)


def iteration(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Seconds of an iteration: in back-to-back blocks where there are any, else its latency."""
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
    """Images a second: of back-to-back blocks where there are any, else at the latency."""
    return over_sets(log_throughputs(cell), confidence)


def busy_share(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """The share of a back-to-back block in which the device works; ``NOTHING`` where unknown.

    What an iteration takes on a device that waits for nothing, over what one takes in the block.
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
    """The interval of the sets' medians of logarithms, as plain numbers again."""
    return exponential(interval(set_medians(logs), confidence))


def set_medians(logs: ByVisit) -> list[float]:
    """The median of each set's visits, those sets left out that were cut off early."""
    return list(medians_by_set(logs).values())


def medians_by_set(logs: ByVisit) -> Mapping[int, float]:
    """The same, by the set. A set may have more waves than another, whose rounds are as many."""
    lengths = Counter((set_index, wave) for set_index, wave, _ in logs)
    least = LEAST_SHARE * max(lengths.values(), default=0)
    whole = {set_index for (set_index, _), rounds in lengths.items() if rounds >= least}
    return {index: median(found) for index, found in by_set(logs).items() if index in whole}


def by_set(logs: ByVisit) -> Mapping[int, Sequence[float]]:
    """The numbers of each set's visits."""
    found: dict[int, list[float]] = {}
    for (set_index, _, _), logarithm in logs.items():
        found.setdefault(set_index, []).append(logarithm)
    return found


def correlation_level(one: Mapping[int, float], other: Mapping[int, float], *, least: int) -> float:
    """How often sets of two unrelated numbers are correlated so well: Pearson's, two-sided.

    1 where fewer sets than ``least`` have both, or one of the numbers never changes.
    """
    shared = [index for index in one if index in other]
    if len(shared) < least:
        return 1.0
    pairs = np.array([(one[index], other[index]) for index in shared])
    if np.ptp(pairs, axis=0).min() == 0:
        return 1.0
    found = float(np.corrcoef(pairs.T)[0, 1])
    freedom = len(shared) - 2
    t = abs(found) * math.sqrt(freedom / max(1 - found**2, 1e-300))
    return 2 * float(special.stdtr(freedom, -t))


def exponential(found: Interval) -> Interval:
    """An interval of logarithms, as plain numbers again."""
    return replace(
        found,
        estimate=math.exp(found.estimate),
        low=math.exp(found.low),
        high=math.exp(found.high),
    )


def log_ratios(own: ByVisit, theirs: ByVisit) -> ByVisit:
    """Logarithm of how many times as fast as they are we are, in each round that visited both."""
    return {visit: theirs[visit] - own[visit] for visit in own if visit in theirs}


def log_latencies(cell: CellRecord) -> ByVisit:
    """Logarithm of the median latency of each valid visit, by set, wave and round."""
    return {visit: math.log(median_s) for visit, median_s in cell.medians_s.items()}


def log_throughputs(cell: CellRecord) -> ByVisit:
    """Logarithm of the images a second of each valid visit, by set, wave and round."""
    size = math.log(cell.cell.batch_size)
    if not cell.has_blocks:
        return {visit: size - latency_s for visit, latency_s in log_latencies(cell).items()}
    return {
        visit.key: size + math.log(block.iterations / block.host_s)
        for visit in cell.valid
        if (block := visit.back_to_back)
    }
