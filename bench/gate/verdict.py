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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a cell, and on what grounds."""

    verdict: Verdict | None
    """None while it is open."""
    interval: Interval
    """Head's latency over base's, at 95 %."""
    sets: int
    """How many sets were used, those that gave the cell no number not among them."""

    @property
    def wants_set(self) -> bool:
        """Whether it takes another set to decide."""
        return self.verdict is None


def exit_code(judgements: Mapping[str, Judgement]) -> int:
    """1 where a cell regressed; else 3 where one is not decided, or there is none; else 0."""
    verdicts = {judgement.verdict for judgement in judgements.values()}
    if Verdict.REGRESSED in verdicts:
        return Exit.FAILED
    passes = verdicts and verdicts <= {Verdict.IMPROVED, Verdict.UNCHANGED}
    return Exit.FINE if passes else Exit.UNDECIDED
