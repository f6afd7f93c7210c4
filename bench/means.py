"""Means of independent values and their confidence intervals. Pure functions of numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median

import numpy as np
from scipy import special

CONFIDENCE = 0.95

NORMAL_MAD = 1.4826  # standard deviation of a normal distribution over its MAD
# A value further from the median than this many median absolute deviations (MAD) is an outlier.
# With 4, one in eleven means of eight healthy sets is trimmed: such an interval contains the true
# value in 84 of 100 cases, and a 99 % interval misses it 1.5 times as often as it should. With 8,
# one in a hundred is trimmed, and the factor is 1.1 (simulated).
OUTLIER_MADS = 8.0
TRIMMED = 0.2  # share of the sets to cut off at each end in Yuen's trimmed mean
# With fewer sets, healthy values look like outliers: with five, intervals contained the true value
# in 92 of 100 cases.
MIN_TRIMMED_SETS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the interval around it; the bounds are NaN with fewer than two sets."""

    estimate: float
    low: float
    high: float
    sets: int
    trimmed: bool = False
    """Whether a set was an outlier, so that this is Yuen's trimmed mean and interval."""

    @property
    def half_width(self) -> float:
        """Factor from the geometric middle to the bounds, minus one; for positive numbers."""
        return math.sqrt(self.high / self.low) - 1

    def contains(self, value: float) -> bool:
        """Return whether a value lies inside the interval; False if the bounds are NaN."""
        return self.low <= value <= self.high


NO_INTERVAL = Interval(estimate=math.nan, low=math.nan, high=math.nan, sets=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean of independent values, one per set, and its standard error."""

    estimate: float
    error: float
    """Standard error; NaN with fewer than two sets."""
    freedom: float
    """Degrees of freedom of the error; NaN if the error is NaN."""
    sets: int
    trimmed: bool = False
    """Whether a set was an outlier, so that this is a trimmed mean."""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Return Student's t-interval."""
        reach = _quantile(self.freedom, (1 + confidence) / 2) * self.error
        low, high = self.estimate - reach, self.estimate + reach
        return Interval(
            estimate=self.estimate, low=low, high=high, sets=self.sets, trimmed=self.trimmed
        )


@lru_cache(maxsize=256)
def _quantile(freedom: float, level: float) -> float:
    """Return a quantile of Student's t; cached, because a gate uses few of them, at every look."""
    return float(special.stdtrit(freedom, level))


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return a percentile of the samples, interpolated; NaN without samples."""
    return float(np.percentile(samples, percent)) if len(samples) else math.nan


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return Student's t-interval of the mean of independent values, one per set."""
    return mean(values).interval(confidence)


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of independent values, one per set.

    If there are at least ``MIN_TRIMMED_SETS`` values and one of them is an outlier
    (``has_outlier``), the result is the trimmed mean (Tukey and McLaughlin 1963; Yuen 1974).
    """
    sets = len(values)
    if sets < 2:
        estimate = float(values[0]) if sets else math.nan
        return Mean(estimate=estimate, error=math.nan, freedom=math.nan, sets=sets)
    if sets < MIN_TRIMMED_SETS or not has_outlier(values):
        estimate = fmean(values)
        squares = math.fsum([(value - estimate) ** 2 for value in values])
        error = math.sqrt(squares / (sets - 1) / sets)
        return Mean(estimate=estimate, error=error, freedom=sets - 1, sets=sets)
    cut = math.floor(TRIMMED * sets)
    ordered = np.sort(values)
    # scipy's trimmed_mean_ci uses the requested share, and not the share that is really cut off.
    # The two differ for a fifth of eight sets, and its interval is then a quarter too wide.
    winsorized = np.clip(ordered, ordered[cut], ordered[sets - 1 - cut])
    return Mean(
        estimate=float(np.mean(ordered[cut : sets - cut])),
        error=float(np.std(winsorized, ddof=1)) / ((1 - 2 * cut / sets) * math.sqrt(sets)),
        freedom=sets - 2 * cut - 1,
        sets=sets,
        trimmed=True,
    )


def difference(before: Mean, after: Mean) -> Mean:
    """Return ``after - before`` for means of different sets with any variances (Welch 1947).

    ``sets`` of the result is the smaller of the two.
    """
    before_variance, after_variance = before.error**2, after.error**2
    variance = before_variance + after_variance
    spread = before_variance**2 / before.freedom + after_variance**2 / after.freedom
    return Mean(
        estimate=after.estimate - before.estimate,
        error=math.sqrt(variance),
        freedom=variance**2 / spread if spread else before.freedom + after.freedom,
        sets=min(before.sets, after.sets),
        trimmed=before.trimmed or after.trimmed,
    )


def has_outlier(values: Sequence[float]) -> bool:
    """Return whether a value is over ``OUTLIER_MADS`` median absolute deviations from the median.

    The deviation is scaled to equal the standard deviation for a normal distribution.
    """
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    return bool(max(distances) > OUTLIER_MADS * NORMAL_MAD * median(distances))


def correlation_level(x: Mapping[int, float], y: Mapping[int, float], *, least: int) -> float:
    """Return the p-value of Pearson's correlation of two quantities, one value per set, two-sided.

    Returns 1 if fewer than ``least`` sets have both, or if one of the quantities is constant.
    """
    shared = [index for index in x if index in y]
    if len(shared) < least:
        return 1.0
    pairs = np.array([(x[index], y[index]) for index in shared])
    if np.ptp(pairs, axis=0).min() == 0:
        return 1.0
    correlation = float(np.corrcoef(pairs.T)[0, 1])
    freedom = len(shared) - 2
    t = abs(correlation) * math.sqrt(freedom / max(1 - correlation**2, 1e-300))
    return 2 * float(special.stdtr(freedom, -t))


def exponential(logs: Interval) -> Interval:
    """Return the exponential of an interval of logarithms; infinity if it is too large a number."""
    return Interval(
        estimate=_exp(logs.estimate),
        low=_exp(logs.low),
        high=_exp(logs.high),
        sets=logs.sets,
        trimmed=logs.trimmed,
    )


def _exp(log: float) -> float:
    try:
        return math.exp(log)
    except OverflowError:
        # Two sets have one degree of freedom: at a high confidence, their interval is huge.
        return math.inf
