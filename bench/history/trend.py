"""A trend: a series with its levels and the changes between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import geometric_mean

from bench.history import changes
from bench.history.changes import LEVEL, Change
from bench.history.series import Point, Series
from bench.metrics.metric import Better


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The part of a series between two changes."""

    first: int
    """Index of its first point."""
    last: int
    """Index of its last point."""
    value: float
    """Geometric mean of its points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A series, and the changes found in it."""

    series: Series
    changes: tuple[Change, ...]
    """The changes, by index of their points."""
    unsearched: str = ""
    """Why no change could be found, whatever the values; empty if the series was searched."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, in time order; none if a value has no logarithm."""
        points = self.series.points
        if not points or not has_logarithms(self.series):
            return ()
        starts = [0, *(change.index for change in self.changes), len(points)]
        return tuple(
            Level(
                first=first,
                last=end - 1,
                value=geometric_mean(point.value for point in points[first:end]),
            )
            for first, end in pairwise(starts)
        )

    def around(self, change: Change) -> tuple[Point, Point]:
        """Return the last point before a change and the first after it."""
        return self.series.points[change.last_before], self.series.points[change.index]

    def remaining(self, change: Change) -> float:
        """Return which share of a change is left at the end; 0 if later changes undid it."""
        return sum(each.log for each in self.changes if each.index >= change.index) / change.log


def has_logarithms(series: Series) -> bool:
    """Return whether all values are positive."""
    return all(point.value > 0 for point in series.points)


def find(series: Series, *, level: float = LEVEL) -> Trend:
    """Return a series with its changes, at a level for the whole series."""
    if not has_logarithms(series):
        return Trend(series=series, changes=(), unsearched="a value is 0 or negative")
    if (count := len(series.points)) < (least := changes.least_values(level)):
        why = f"it has {count} of the {least} runs that a change can be shown with"
        return Trend(series=series, changes=(), unsearched=why)
    found = changes.find(
        [point.value for point in series.points],
        level=level,
        better=Better(series.better) if series.better else None,
    )
    return Trend(series=series, changes=found)


def all_changes(trends: Sequence[Trend]) -> Iterator[tuple[Trend, Change]]:
    """Return every change with its trend, the most recent change first."""
    pairs = [(trend, change) for trend in trends for change in trend.changes]
    return iter(sorted(pairs, key=lambda pair: pair[0].around(pair[1])[1].when, reverse=True))
