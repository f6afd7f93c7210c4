"""Change points of a series: where its level changed, by how much, and how sure that is.

Pure functions of numbers, on logarithms. The search takes one change after the other:

1. Exact least squares with a low penalty (PELT; Killick, Fearnhead and Eckley 2012, in
   ``ruptures``) propose where the level may have changed.
2. The strongest of these candidates is tested against permutations of the values' distances from
   the levels accepted so far (bench/history/scan.py). The test compares it with the strongest
   window anywhere in the series, so its level holds for the whole search, not for one place.
3. If it is accepted, the search goes on with one segment more; else it ends.

The hypotheses are tested in a fixed order, until one is not rejected, so each has the full level:
the chance to report more changes than there are is at most the level, if those before are right.
The values of an unchanged series must be exchangeable. Autocorrelated noise causes more alarms, and
a drift is reported as one or several changes (docs/history-changes.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from bench import means, optional
from bench.errors import RequestError
from bench.history import scan
from bench.history.scan import LEAST_VALUES, Array, Windows
from bench.means import NORMAL_MAD, Interval
from bench.metrics.metric import Better

LEVEL = 0.01
"""Chance of any alarm in an unchanged series at one look."""
# Permutations times the level. The standard error of a p-value at the level is 0.4 of it.
_REACHED_AT_LEVEL = 5
# Scores are cut off here, in standard deviations, so that an outlier does not look like a level.
_MOST_SCORE = 4.0
_REACH = 5  # values by which the place of a change may be corrected
# PELT's penalty in units of variance × log(number of values): that of Schwarz's criterion for the
# level and the place of a change. It lets through candidates far weaker than the test accepts.
_PENALTY = 2.0


class Direction(StrEnum):
    """What a change of a figure means."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    CHANGE = "change"
    """A change of a figure of which neither more nor less is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of level."""

    index: int
    """Index of the first value after it."""
    last_before: int
    """Index of the last value before it; values between the two are missing."""
    ratio: Interval
    """Level after it over the level before, with its 95 % interval. Levels reach to the next
    change. The interval does not allow for the search for the place of the change."""
    p_value: float
    """Chance of so strong a change anywhere, if there were no more than the stronger ones."""
    direction: Direction

    @property
    def log(self) -> float:
        """Logarithm of the ratio."""
        return math.log(self.ratio.estimate)


def find(
    values: Sequence[float | None],
    *,
    level: float = LEVEL,
    seed: int = 0,
    better: Better | None = None,
) -> tuple[Change, ...]:
    """Return the changes of level of a series, by index.

    ``values`` are positive; None and numbers that are not finite are missing. ``level`` is the
    chance of any alarm if the level does not change. ``seed`` is that of the permutations.

    Raises ``RequestError`` if a value is 0 or negative, or if ``ruptures`` is not installed.
    """
    places = [index for index, value in enumerate(values) if _is_known(value)]
    logs = _logarithms([values[index] for index in places], places)
    if len(logs) < least_values(level):
        return ()
    p_values = _refined(logs, _search(logs, level, np.random.default_rng(seed)))
    bounds = [0, *sorted(p_values), len(logs)]
    return tuple(
        Change(
            index=places[middle],
            last_before=places[middle - 1],
            ratio=ratio,
            p_value=p_values[middle],
            direction=_direction(ratio.estimate, better),
        )
        for start, middle, end in zip(bounds, bounds[1:], bounds[2:], strict=False)
        for ratio in [_ratio(logs[start:middle], logs[middle:end])]
    )


def least_values(level: float = LEVEL) -> int:
    """Return the number of values below which no change can be accepted at a level.

    If a level of k values stands out of n as clearly as possible, 2 in C(n, k) permutations look
    as clear.
    """
    count = 2 * LEAST_VALUES
    while 2 / math.comb(count, count // 2) > level:
        count += 1
    return count


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _logarithms(values: Sequence[float | None], places: Sequence[int]) -> Array:
    numbers = np.array(values, dtype=float)
    if numbers.size and numbers.min() <= 0:
        worst = int(numbers.argmin())
        raise RequestError(
            f"changes are ratios of levels and need positive values, but value {places[worst]} of "
            f"the series is {numbers[worst]:g}"
        )
    logs: Array = np.log(numbers)
    return logs


def _search(logs: Array, level: float, random: np.random.Generator) -> dict[int, float]:
    """Return the p-value of each accepted change, by the index of the first value after it."""
    permutations = math.ceil(_REACHED_AT_LEVEL / level) - 1
    accepted: dict[int, float] = {}
    while True:
        bounds = [0, *sorted(accepted), len(logs)]
        scores = _scores(logs, bounds)
        split, statistic = _strongest(scores, bounds)
        if not split:
            return accepted
        p_value = scan.p_value(
            scores, bounds, statistic, level=level, permutations=permutations, random=random
        )
        if p_value > level:
            return accepted
        accepted[split] = p_value


def _refined(logs: Array, accepted: Mapping[int, float]) -> dict[int, float]:
    """Return the changes at the splits, near those found, that suit both levels best.

    The sum of absolute distances from the medians decides. Scores are cut off, so to them the last
    value before a large change may look like those after it.
    """
    bounds = [0, *sorted(accepted), len(logs)]
    for index in range(1, len(bounds) - 1):
        start, split, end = bounds[index - 1 : index + 2]
        first = max(start + LEAST_VALUES, split - _REACH)
        last = min(end - LEAST_VALUES, split + _REACH)
        # The split itself comes first, so that it is kept if others are only as good.
        near = sorted(range(first, last + 1), key=lambda each: abs(each - split))
        bounds[index] = min(
            near, key=lambda each: _spread(logs[start:each]) + _spread(logs[each:end])
        )
    return dict(zip(bounds[1:-1], (accepted[key] for key in sorted(accepted)), strict=True))


def _spread(values: Array) -> float:
    return float(np.abs(values - np.median(values)).sum())


def _scores(logs: Array, bounds: Sequence[int]) -> Array:
    """Return each value's distance from its segment's median, in standard deviations, cut off.

    The result is 0 everywhere if all segments are constant.
    """
    medians = [np.full(end - start, np.median(logs[start:end])) for start, end in pairwise(bounds)]
    distances: Array = logs - np.concatenate(medians)
    # Rounding errors of logarithms are no noise.
    distances[np.abs(distances) < 1e-12 * (1 + np.abs(logs))] = 0.0
    # In a series of counts, most distances can be 0.
    scale = NORMAL_MAD * float(np.median(np.abs(distances))) or float(np.std(distances))
    if scale:
        distances = np.clip(distances / scale, -_MOST_SCORE, _MOST_SCORE)
    return distances


def _strongest(scores: Array, bounds: Sequence[int]) -> tuple[int, float]:
    """Return the split of the strongest candidate and its statistic; 0 without a candidate."""
    strongest, largest = 0, 0.0
    scanned = scan.windows(bounds)
    for split in _candidates(scores, bounds):
        at_split = scanned.at([split])
        statistics = at_split.statistics(scores)
        best = int(np.abs(statistics).argmax())
        if abs(statistics[best]) > largest and _moves_median(scores, at_split, best):
            strongest, largest = split, float(abs(statistics[best]))
    return strongest, largest


def _candidates(scores: Array, bounds: Sequence[int]) -> list[int]:
    """Return where least squares with a penalty divide the segments."""
    if missing := optional.missing("finding changes", ["ruptures"], extra="history"):
        raise RequestError(missing)
    from ruptures import KernelCPD

    if not scores.any():
        return []
    steps = np.abs(np.concatenate([np.diff(scores[start:end]) for start, end in pairwise(bounds)]))
    variance = (NORMAL_MAD * float(np.median(steps))) ** 2 / 2
    # Without noise, any penalty above the rounding errors will do.
    penalty = max(_PENALTY * variance * math.log(len(scores)), 1e-6)
    splits = []
    for start, end in pairwise(bounds):
        if end - start >= 2 * LEAST_VALUES:
            search = KernelCPD(kernel="linear", min_size=LEAST_VALUES)
            ends = search.fit(scores[start:end, None]).predict(pen=penalty)
            splits += [start + split for split in ends[:-1]]
    return splits


def _moves_median(scores: Array, scanned: Windows, index: int) -> bool:
    """Return whether a window's medians differ as its means do; an outlier moves the mean only."""
    start, split, end = (int(each[index]) for each in (scanned.start, scanned.split, scanned.end))
    before, after = scores[start:split], scores[split:end]
    means_differ = float(np.mean(after) - np.mean(before))
    return means_differ * float(np.median(after) - np.median(before)) > 0


def _ratio(before: Array, after: Array) -> Interval:
    """Return the ratio of two levels, of values as logarithms, with Welch's interval."""
    difference = means.difference(means.mean(before.tolist()), means.mean(after.tolist()))
    return means.exponential(difference.interval())


def _direction(ratio: float, better: Better | None) -> Direction:
    if better is None:
        return Direction.CHANGE
    is_more = ratio > 1
    return Direction.IMPROVEMENT if is_more == (better is Better.MORE) else Direction.REGRESSION
