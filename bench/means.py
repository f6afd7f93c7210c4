"""Means of independent values, and how sure they are. Pure: numbers in, numbers out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np
from scipy import special

CONFIDENCE = 0.95

NORMAL_MAD = 1.4826  # standard deviations of a normal distribution in its MAD
# Further from the median than this many median absolute deviations. With 4 one healthy mean in
# eleven of eight sets is trimmed, and its interval holds the truth in 84 of 100; a 99 % one misses
# it 1.5 times as often as it should. With 8 it is one in a hundred, and 1.1 times (simulated).
OUTLIER_MADS = 8.0
TRIMMED = 0.2  # of the sets, at each end, where one is an outlier: Yuen's trimmed mean
# Of fewer, healthy ones look like outliers: with five, intervals held the truth in 92 of 100.
LEAST_TRIMMED_SETS = 8


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
    if sets < LEAST_TRIMMED_SETS or not has_outlier(values):
        estimate = fmean(values)
        squares = math.fsum((value - estimate) ** 2 for value in values)
        error = math.sqrt(squares / (sets - 1) / sets)
        return Mean(estimate=estimate, error=error, freedom=sets - 1, sets=sets)
    cut = math.floor(TRIMMED * sets)
    ordered = np.sort(values)
    # scipy's trimmed_mean_ci takes the share asked for and not the one cut off, which a fifth of
    # eight is not: its interval is then a quarter too wide.
    winsorized = np.clip(ordered, ordered[cut], ordered[sets - 1 - cut])
    return Mean(
        estimate=float(np.mean(ordered[cut : sets - cut])),
        error=float(np.std(winsorized, ddof=1)) / ((1 - 2 * cut / sets) * math.sqrt(sets)),
        freedom=sets - 2 * cut - 1,
        sets=sets,
        trimmed=True,
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
