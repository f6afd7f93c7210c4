"""The scan for a change of level: how far two parts of a series differ at most, and by chance.

A window is a part of a segment, and a split divides it in two. The statistic of a window at a split
is the difference of the two means over its standard error, for values with a standard deviation
of 1. Windows of many lengths (Kovács, Bühlmann, Li and Munk 2023, "Seeded binary segmentation")
find short levels, such as a regression that was fixed after some runs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

LEAST_VALUES = 3
"""Number of values that a level has at least, so that one outlier, or two, is no level."""
_SHRINK = math.sqrt(2)  # each length of windows over the next; the paper's recommendation
_MOST_NUMBERS = 500_000  # in an array of one batch of permutations: 4 MB, as in a cache
_FIRST_BATCH = 50  # permutations; for most unchanged series, they are enough

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows, each with one split; arrays of the same length."""

    start: Array
    split: Array
    """Index of the first value after the split."""
    end: Array
    """Index after the last value."""

    def statistics(self, scores: Array) -> Array:
        """Return the statistic of each window, signed: positive if the values after are larger.

        The first axis of ``scores`` is that of the series, and the first of the result that of the
        windows.
        """
        sums = np.concatenate([np.zeros((1, *scores.shape[1:])), np.cumsum(scores, axis=0)])
        before, after = self.split - self.start, self.end - self.split
        error = np.sqrt(1 / before + 1 / after)
        shape = (-1, *[1] * (scores.ndim - 1))
        of_end, of_start = ((1 / (part * error)).reshape(shape) for part in (after, before))
        middle = sums[self.split]
        result: Array = of_end * (sums[self.end] - middle) - of_start * (middle - sums[self.start])
        return result

    def at(self, splits: Sequence[int]) -> "Windows":
        """Return the windows that are split at one of ``splits``."""
        chosen = np.isin(self.split, splits)
        return Windows(start=self.start[chosen], split=self.split[chosen], end=self.end[chosen])


def windows(bounds: Sequence[int]) -> Windows:
    """Return the windows of all segments; ``bounds`` are 0, the first index of each next, and n."""
    parts = [_of_segment(end - start) + start for start, end in pairwise(bounds)]
    start, split, end = np.concatenate(parts, axis=1)
    return Windows(start=start, split=split, end=end)


@lru_cache(maxsize=256)
def _of_segment(length: int) -> Array:
    """Return start, split and end of the windows of a segment, as three rows."""
    triples = [
        (start, split, end)
        for start, end in dict.fromkeys(_seeded(length))
        for split in range(start + LEAST_VALUES, end - LEAST_VALUES + 1)
    ]
    return np.array(triples, dtype=int).reshape(-1, 3).T


def _seeded(length: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of windows: of each length, they overlap by about a half."""
    layer = 0
    while (size := length / _SHRINK**layer) >= 2 * LEAST_VALUES:
        count = 2 * math.ceil(_SHRINK**layer) - 1
        shift = (length - size) / max(count - 1, 1)
        for index in range(count):
            end = min(math.ceil(index * shift + size - 1e-9), length)
            yield math.floor(index * shift), end
        layer += 1


def p_value(
    scores: Array,
    bounds: Sequence[int],
    statistic: float,
    *,
    level: float,
    permutations: int,
    random: np.random.Generator,
) -> float:
    """Return how often a window of permuted values has a statistic of at least ``statistic``.

    ``scores`` are distances from the levels of the segments, and change places in the whole series;
    windows stay inside segments. In a single segment the test is exact. In several it is
    approximate, but even short ones can be searched, because all values together say how large the
    noise is. The search stops as soon as the result must be above ``level``; such a result is a
    lower bound.
    """
    scanned = windows(bounds)
    reached = done = 0
    most = max(1, _MOST_NUMBERS // max(len(scanned.split), 1))
    batch = min(_FIRST_BATCH, most)
    while done < permutations:
        batch = min(batch, permutations - done)
        shuffled = random.permuted(np.tile(scores, (batch, 1)), axis=1).T
        largest = np.abs(scanned.statistics(shuffled)).max(axis=0)
        reached += int(np.count_nonzero(largest >= statistic * (1 - 1e-9)))
        done += batch
        batch = most
        if (1 + reached) / (1 + permutations) > level:
            break
    return (1 + reached) / (1 + permutations)
