"""The gate's decisions: which cells need another set, and the judgement of each cell."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, median
from typing import Literal, Self

import msgspec

from bench import stats
from bench.cells import waves
from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.gate import group_sequential
from bench.gate.group_sequential import History, Settings
from bench.gate.verdict import FAILED, Judgement, Verdict, exit_code
from bench.records.outcome import Outcome
from bench.records.record import CellRecord, Failure, RunRecord

# The share of slowest iterations whose mean is judged in addition to the median. If one iteration
# in ten is slow, then half of this share is slow. The 90th percentile lies at the edge of the slow
# iterations and shows less. For a network that takes 1.5 times as long in one of ten iterations, a
# set's log-ratio was 1.6 standard deviations from 0 by the 90th percentile, and 2.2 by the slowest
# fifth (49 iterations per set).
TAIL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SideNames:
    """Display names of the two sides: the commit, and the interpreter if it differs."""

    head: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cell measured on both sides."""

    head: CellRecord
    base: CellRecord
    rounds: int
    """Number of rounds that a set should have."""

    @property
    def cell(self) -> Cell:
        """The cell of head's record."""
        return self.head.cell

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """log(head's latency / base's), per set; NaN for a set that lost most of its rounds.

        "Most" does not depend on later sets, so that later sets do not change an earlier look.
        """
        return tuple(median(ratios) if ratios else math.nan for ratios in self._by_set.values())

    @property
    def tail_log_ratios(self) -> tuple[float, ...]:
        """log(mean of head's slowest fifth of iterations / mean of base's), for the same sets."""
        head, base = (_log_tails(record) for record in (self.head, self.base))
        return tuple(
            head[index] - base[index] if ratios else math.nan
            for index, ratios in self._by_set.items()
        )

    @property
    def _by_set(self) -> Mapping[int, Sequence[float]]:
        """Log-ratios of the rounds, by set; empty for a set that lost most of its rounds."""
        head, base = map(stats.log_latencies, (self.head, self.base))
        by_set = stats.by_set(stats.log_ratios(base, head))
        least = max(1, stats.MIN_ROUNDS_SHARE * self.rounds)
        return {
            index: ratios if len(ratios := by_set.get(index, ())) >= least else ()
            for index in sorted({visit.set_index for visit in self.head.visits})
        }

    @property
    def failures(self) -> Mapping[str, Failure]:
        """Why there is no ratio, by failed side: ``head`` or ``base``."""
        sides = (("head", self.head.failure), ("base", self.base.failure))
        return {side: failure for side, failure in sides if failure}

    @property
    def failed_only_on_head(self) -> bool:
        """Whether only head failed. If the base did too, head is not known to be worse."""
        return self.failures.keys() == {"head"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateFacts:
    """The data of a gate in a run file."""

    sides: SideNames
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A completed gate."""

    run: RunRecord
    sides: SideNames
    settings: Settings

    @classmethod
    def from_run(cls, run: RunRecord) -> Self:
        """Return the gate recorded in a run; raise ``RequestError`` if the run is not a gate."""
        if run.gate is None:
            raise RequestError("this run is not a gate: it has no base and no verdicts")
        try:
            facts = msgspec.convert(run.gate, _GateFacts)
        except msgspec.ValidationError as error:
            raise RequestError(f"the gate data of this run is damaged: {error}") from error
        # Older files may allow more sets than the last look has, or fewer than a change needs.
        most_sets = max(
            group_sequential.FIRST_CHANGE, min(facts.settings.most_sets, group_sequential.MOST_SETS)
        )
        settings = replace(facts.settings, most_sets=most_sets)
        group_sequential.check(settings)
        return cls(run=run, sides=facts.sides, settings=settings)

    @property
    def run_with_settings(self) -> RunRecord:
        """The run with the gate's settings, from which ``from_run`` restores the gate."""
        facts = _GateFacts(sides=self.sides, settings=self.settings)
        return replace(self.run, gate=msgspec.to_builtins(facts))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The cells with both sides, in the order of the plan."""
        return pairs(self.run.cells, self.run.bases, self.run.allotted)

    @cached_property
    def judgements(self) -> Mapping[str, Judgement]:
        """Judgements by cell id; a cell that failed is inconclusive."""
        return group_sequential.judge(_history(self.pairs), self.settings, is_over=True)

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict | Literal["failed"]]:
        """The verdict of each cell, by its id; ``failed`` if only head failed.

        A cell whose base failed, or both sides, is inconclusive. The exit code, the reports and the
        items of pytest follow this.
        """
        return {
            pair.cell.id: FAILED
            if pair.failed_only_on_head
            else self.judgements[pair.cell.id].overall or Verdict.INCONCLUSIVE
            for pair in self.pairs
        }

    @property
    def exit_code(self) -> int:
        """1 if a cell regressed or failed only on head; else 3 if a cell is undecided; else 0."""
        return exit_code(self.verdicts.values())


class UntilDecided:
    """The rule of a gate: measure sets until each cell has a verdict.

    From the first look on, a cell is given up if too few of its sets have a log-ratio, because the
    machine is too busy. The values of the log-ratios do not matter.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """Return a group's undecided cells with their bases, and the control with its reference."""
        cell_pairs = pairs(outcome.records(), outcome.bases(), outcome.allotted)
        history = _history(cell_pairs)
        judgements = group_sequential.judge(history, self._settings, is_over=False)
        wave = outcome.waves[group][0]
        undecided = [
            cell
            for cell in wave.group
            if judgements[cell.id].needs_set
            and not group_sequential.is_hopeless(history[cell.id].medians, set_index)
            and outcome.failures.keys().isdisjoint((cell.id, waves.base(cell).id))
        ]
        control = (waves.control(wave.reference),) if wave.reference in undecided else ()
        return (*undecided, *map(waves.base, undecided), *control)


def pairs(
    heads: Iterable[CellRecord], bases: Iterable[CellRecord], allotted: Mapping[str, int]
) -> tuple[Pair, ...]:
    """Pair the cells of head and base, given in the same order; ``allotted``: rounds by group."""
    return tuple(
        Pair(head=head, base=base, rounds=allotted.get(head.cell.group, 0))
        for head, base in zip(heads, bases, strict=True)
    )


def _history(cell_pairs: Iterable[Pair]) -> dict[str, History]:
    """Return the log-ratios by cell id; empty for a cell that failed, even after valid sets."""
    return {
        pair.cell.id: History((), ())
        if pair.failures
        else History(pair.log_ratios, pair.tail_log_ratios)
        for pair in cell_pairs
    }


def _log_tails(record: CellRecord) -> Mapping[int, float]:
    """Return the logarithm of the mean of a cell's slowest iterations, in seconds, by set."""
    by_set: dict[int, list[float]] = {}
    for visit in record.valid:
        by_set.setdefault(visit.set_index, []).extend(visit.host_s)
    return {
        index: math.log(fmean(sorted(samples)[-max(1, round(TAIL * len(samples))) :]))
        for index, samples in by_set.items()
    }
