"""The verdict: what a gate says of a cell, on what grounds, and what follows. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bench.exits import Exit
from bench.means import Interval


class Verdict(StrEnum):
    """What a gate says of a cell; bench/gate/judge.py has what each of them means."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    INCONCLUSIVE = "inconclusive"


_DECISIVE_TAILS = (Verdict.REGRESSED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What is said of the slowest fifth of a cell's iterations, where its median is not slower."""

    verdict: Verdict | None
    """``regressed``; ``inconclusive`` where it looks slower, and could not be shown; ``unchanged``;
    or None: it does not look slower, and no more can be said."""
    interval: Interval
    """Mean of head's slowest fifth over that of base's, at 95 %."""
    sets: int
    """How many sets were used."""
    is_open: bool = False
    """Whether it takes another set to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a cell, and on what grounds."""

    verdict: Verdict | None
    """None while it is open."""
    interval: Interval
    """Head's latency over base's, at 95 %."""
    sets: int
    """How many sets were used, those that gave the cell no number not among them."""
    tail: Tail | None = None
    """Where the medians are not slower."""

    @property
    def used(self) -> int:
        """How many sets were used for either verdict."""
        return max(self.sets, self.tail.sets if self.tail else 0)

    @property
    def overall(self) -> Verdict | None:
        """What decides: the tail where it became slower, or may have, else the medians."""
        if self.verdict and self.tail and self.tail.verdict in _DECISIVE_TAILS:
            return self.tail.verdict
        return self.verdict

    @property
    def wants_set(self) -> bool:
        """Whether it takes another set to decide."""
        return self.verdict is None


def exit_code(judgements: Mapping[str, Judgement]) -> int:
    """1 where a cell regressed; else 3 where one is not decided, or there is none; else 0."""
    verdicts = {judgement.overall for judgement in judgements.values()}
    if Verdict.REGRESSED in verdicts:
        return Exit.FAILED
    passes = verdicts and verdicts <= {Verdict.IMPROVED, Verdict.UNCHANGED}
    return Exit.FINE if passes else Exit.UNDECIDED
