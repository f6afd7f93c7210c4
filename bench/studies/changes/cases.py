"""The cases of the study: series of known levels."""

import math
from dataclasses import dataclass
from itertools import pairwise

RUNS = 50
"""Runs of a series."""
AFTER = 5
"""Runs within which a change should be found."""
SIZES = (0.02, 0.05, 0.10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A change that a series really has, or that a detector reports."""

    index: int
    """Index of the first run after it."""
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The levels of a series."""

    name: str
    levels: tuple[tuple[int, float], ...]
    """Numbers of runs, and the logarithm of their level."""
    percent: float = 0.0
    """Size of its changes; 0 if there is none."""
    is_watched: bool = False
    """Whether a detector looks at it after every run, as in CI, and not only at its end."""

    @property
    def logs(self) -> list[float]:
        """The level of each run, as a logarithm."""
        return [level for count, level in self.levels for _ in range(count)]

    @property
    def truths(self) -> tuple[Truth, ...]:
        """The changes, by index."""
        return tuple(
            Truth(index=index, is_up=after > before)
            for index, (before, after) in enumerate(pairwise(self.logs), 1)
            if after != before
        )


UNCHANGED = Case(name="unchanged", levels=((RUNS, 0.0),))
WATCHED = Case(name="watched", levels=((RUNS, 0.0),), is_watched=True)


def _steps(size: float, sign: int) -> tuple[Case, ...]:
    change = sign * math.log1p(size)
    percent = 100 * sign * size
    return (
        Case(name="recent", levels=((RUNS - AFTER, 0.0), (AFTER, change)), percent=percent),
        Case(name="middle", levels=((RUNS // 2, 0.0), (RUNS // 2, change)), percent=percent),
        Case(name="fixed", levels=((20, 0.0), (10, change), (20, 0.0)), percent=percent),
    )


STEPS = tuple(case for size in SIZES for sign in (1, -1) for case in _steps(size, sign))
RECENT = tuple(case for case in STEPS if case.name == "recent")
CASES = (UNCHANGED, WATCHED, *STEPS)
