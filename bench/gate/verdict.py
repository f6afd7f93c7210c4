"""Verdicts and judgements of a gate's cells, and their exit code. Plain data."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bench.exits import Exit
from bench.means import Interval


class Verdict(StrEnum):
    """The verdict of a cell; bench/gate/group_sequential.py defines the members."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    INCONCLUSIVE = "inconclusive"


FAILED: Final = "failed"
"""In place of a verdict, of a cell that failed on head and not on the base."""

_DECISIVE_TAILS = (Verdict.REGRESSED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The judgement of a cell's slowest fifth of iterations, if its median is not slower."""

    verdict: Verdict | None
    """``regressed``; ``inconclusive`` if it looks slower but this is not shown; ``unchanged``;
    or None if it does not look slower and nothing more is shown."""
    interval: Interval
    """Mean of head's slowest fifth over the mean of base's, at 95 %."""
    sets: int
    """Number of sets used."""
    is_open: bool = False
    """Whether the tail needs another set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict of a cell and the figures behind it."""

    verdict: Verdict | None
    """None while the cell is open."""
    interval: Interval
    """Head's latency over base's, at 95 %."""
    sets: int
    """Number of sets used, without those that gave no log-ratio."""
    tail: Tail | None = None
    """The judgement of the tail if the medians are not slower; else None."""

    @property
    def used(self) -> int:
        """Number of sets used for either verdict, whichever is larger."""
        return max(self.sets, self.tail.sets if self.tail else 0)

    @property
    def overall(self) -> Verdict | None:
        """The final verdict: the tail's if it is or may be slower, else that of the medians."""
        if self.verdict and self.tail and self.tail.verdict in _DECISIVE_TAILS:
            return self.tail.verdict
        return self.verdict

    @property
    def needs_set(self) -> bool:
        """Whether the cell needs another set."""
        return self.verdict is None


def exit_code(verdicts: Collection[str]) -> int:
    """Return the exit code of the verdicts of all cells.

    1 if a cell regressed or failed, else 3 if a cell is undecided or there are no cells, else 0.
    """
    if not {Verdict.REGRESSED, FAILED}.isdisjoint(verdicts):
        return Exit.FAILED
    passes = verdicts and {Verdict.IMPROVED, Verdict.UNCHANGED}.issuperset(verdicts)
    return Exit.FINE if passes else Exit.UNDECIDED
