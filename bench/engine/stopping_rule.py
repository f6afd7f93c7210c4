"""Stopping rules: which cells to measure in one more set, and when enough is known."""

from collections.abc import Collection
from typing import Protocol

from bench import stats
from bench.cells import waves
from bench.cells.cell import Cell
from bench.records.outcome import Outcome


class StoppingRule(Protocol):
    """A rule that decides when enough sets are measured."""

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """Return the cells of a group to measure in set ``set_index``; empty if enough is known."""
        ...


class UntilPrecise:
    """Measures the sets of the plan, and then more until every ratio is precise enough."""

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """Return all cells of a group or none, because each is compared with the reference.

        After the planned sets, cells that a resumed run tried again get the sets that they lack,
        with the reference only. The control is left out once the reference has failed, because it
        then shows nothing.
        """
        wave = outcome.waves[group][0]
        cells: Collection[Cell] = wave.group
        if set_index >= outcome.plan.sets and _is_enough(outcome, group):
            lacking = _lacking(outcome, group)
            if not lacking:
                return ()
            if wave.reference not in lacking:
                cells = {*lacking, wave.reference}
        has_failed = wave.reference.id in outcome.failures
        return cells if has_failed else (*cells, waves.control(wave.reference))


class PlannedSets:
    """Measures the sets of the plan, without controls: for figures that are not ratios."""

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """Return the cells of a group in the sets of the plan."""
        return outcome.waves[group][0].group if set_index < outcome.plan.sets else ()


def _lacking(outcome: Outcome, group: str) -> frozenset[Cell]:
    """Return the cells that were tried again and have fewer complete sets than the plan."""
    return frozenset(
        cell
        for cell in outcome.waves[group][0].group
        if cell.id in outcome.tried_again
        and cell.id not in outcome.failures
        and _complete_sets(outcome, cell) < outcome.plan.sets
    )


def _complete_sets(outcome: Outcome, cell: Cell) -> int:
    indices = range(outcome.last_set.get(cell.group, -1) + 1)
    return sum(outcome.is_measured(cell.group, index, (cell,)) for index in indices)


def _is_enough(outcome: Outcome, group: str) -> bool:
    """Return whether every ratio is precise, or failures leave no ratio to make precise."""
    records = outcome.group_records(group)
    has_ratio = any(
        cell.failure is None and to.failure is None for cell, to in stats.ratios(records)
    )
    return not has_ratio or stats.is_precise(stats.widest(records), outcome.plan.precision)
