"""A gate that is held: which cells want another set, and what is said of each in the end."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, median
from typing import Self

import msgspec

from bench import stats
from bench.cells import waves
from bench.cells.cell import Cell
from bench.exits import Exit
from bench.gate import judge
from bench.gate.judge import History, Settings
from bench.gate.verdict import Judgement, exit_code
from bench.names import RequestError
from bench.records.outcome import Outcome
from bench.records.record import CellRecord, Failure, RunRecord

# The share of iterations, the slowest, whose mean is judged besides the median. One slow iteration
# in ten makes half of them slow. The 90th percentile is at the edge of those, and tells less: of a
# network that takes half as long again once in ten, a set's log-ratio was 1.6 standard deviations
# from 0 by the 90th percentile, and 2.2 by the slowest fifth (49 iterations a set).
TAIL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SideNames:
    """What the two sides are called: a commit, and an interpreter where they differ in that."""

    head: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cell measured on both sides."""

    head: CellRecord
    base: CellRecord
    rounds: int
    """That a set should have."""

    @property
    def cell(self) -> Cell:
        """Head's."""
        return self.head.cell

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """log(head's latency / base's), one for each set; NaN for one that lost most of its rounds.

        What is most does not depend on later sets, so that no look at the first few is undone.
        """
        return tuple(median(ratios) if ratios else math.nan for ratios in self._by_set.values())

    @property
    def tail_log_ratios(self) -> tuple[float, ...]:
        """log(mean of head's slowest fifth of iterations / of base's), of the same sets."""
        head, base = (_log_tails(record) for record in (self.head, self.base))
        return tuple(
            head[index] - base[index] if ratios else math.nan
            for index, ratios in self._by_set.items()
        )

    @property
    def _by_set(self) -> Mapping[int, Sequence[float]]:
        """The log-ratio of each round, by the set; none of a set that lost most of its rounds."""
        head, base = map(stats.log_latencies, (self.head, self.base))
        found = stats.by_set(stats.log_ratios(base, head))
        least = max(1, stats.LEAST_SHARE * self.rounds)
        return {
            index: ratios if len(ratios := found.get(index, ())) >= least else ()
            for index in sorted({visit.set_index for visit in self.head.visits})
        }

    @property
    def failures(self) -> Mapping[str, Failure]:
        """Why there is no ratio, by the side that failed."""
        sides = (("head", self.head.failure), ("base", self.base.failure))
        return {side: failure for side, failure in sides if failure}


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateFacts:
    """What a run file says of its gate."""

    sides: SideNames
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate that was held, whole."""

    run: RunRecord
    sides: SideNames
    settings: Settings

    @classmethod
    def from_run(cls, run: RunRecord) -> Self:
        """The gate that a run file tells of; raises ``RequestError`` where that was none."""
        if run.gate is None:
            raise RequestError("this run was no gate: it has no base, and no verdicts")
        try:
            told = msgspec.convert(run.gate, _GateFacts)
        except msgspec.ValidationError as error:
            raise RequestError(f"what this run says of its gate is damaged: {error}") from error
        # Older files may allow more sets than are looked at, or fewer.
        most_sets = max(judge.FIRST_CHANGE, min(told.settings.most_sets, judge.MOST_SETS))
        settings = replace(told.settings, most_sets=most_sets)
        judge.check(settings)
        return cls(run=run, sides=told.sides, settings=settings)

    @property
    def kept(self) -> RunRecord:
        """The run with everything in it from which the gate can be made again."""
        told = _GateFacts(sides=self.sides, settings=self.settings)
        return replace(self.run, gate=msgspec.to_builtins(told))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The cells, in the order of the plan."""
        return pairs(self.run.cells, self.run.bases, self.run.allotted)

    @cached_property
    def judgements(self) -> Mapping[str, Judgement]:
        """What is said of each cell, by its id; of one that failed, that nothing can be said."""
        return judge.judge(_history(self.pairs), self.settings, is_over=True)

    @property
    def exit_code(self) -> int:
        """1 where head alone fails or is slower; else 3 where something is undecided; else 0."""
        if any(pair.failures.keys() == {"head"} for pair in self.pairs):
            return Exit.FAILED
        found = exit_code(self.judgements)
        return Exit.UNDECIDED if found == 0 and any(pair.failures for pair in self.pairs) else found


class UntilDecided:
    """The rule of a gate: as many sets as it takes to say something of each cell.

    A cell is given up where the machine is too busy for it: from the first look on, if too few of
    the sets gave it a number, whatever these say.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def wanted(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """A group's undecided cells with their bases; the control with what it is a control of."""
        found = pairs(outcome.records(), outcome.bases(), outcome.allotted)
        history = _history(found)
        judgements = judge.judge(history, self._settings, is_over=False)
        whole = outcome.waves[group][0]
        wanted = [
            cell
            for cell in whole.group
            if judgements[cell.id].wants_set
            and not judge.is_hopeless(history[cell.id].medians, set_index)
            and outcome.failures.keys().isdisjoint((cell.id, waves.base(cell).id))
        ]
        control = (waves.control(whole.reference),) if whole.reference in wanted else ()
        return (*wanted, *map(waves.base, wanted), *control)


def pairs(
    heads: Iterable[CellRecord], bases: Iterable[CellRecord], allotted: Mapping[str, int]
) -> tuple[Pair, ...]:
    """Each cell of head with the base's, both in the same order; ``allotted``: rounds by group."""
    return tuple(
        Pair(head=head, base=base, rounds=allotted.get(head.cell.group, 0))
        for head, base in zip(heads, bases, strict=True)
    )


def _history(found: Iterable[Pair]) -> dict[str, History]:
    """The log-ratios of each cell; none of one that failed, whatever it gave before."""
    return {
        pair.cell.id: History((), ())
        if pair.failures
        else History(pair.log_ratios, pair.tail_log_ratios)
        for pair in found
    }


def _log_tails(record: CellRecord) -> Mapping[int, float]:
    """By the set, the logarithm of the mean of a cell's slowest iterations in seconds."""
    by_set: dict[int, list[float]] = {}
    for visit in record.valid:
        by_set.setdefault(visit.set_index, []).extend(visit.host_s)
    return {
        index: math.log(fmean(sorted(found)[-max(1, round(TAIL * len(found))) :]))
        for index, found in by_set.items()
    }
