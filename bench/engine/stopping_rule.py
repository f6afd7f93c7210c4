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

        The control is left out once the reference has failed, because it then shows nothing.
        """
        wave = outcome.waves[group][0]
        if set_index >= outcome.plan.sets and _is_enough(outcome, group):
            return ()
        has_failed = wave.reference.id in outcome.failures
        return wave.group if has_failed else (*wave.group, waves.control(wave.reference))


class PlannedSets:
    """Measures the sets of the plan, without controls: for figures that are not ratios."""

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """Return the cells of a group in the sets of the plan."""
        return outcome.waves[group][0].group if set_index < outcome.plan.sets else ()


def _is_enough(outcome: Outcome, group: str) -> bool:
    """Return whether every ratio is precise, or failures leave no ratio to make precise."""
    records = outcome.group_records(group)
    has_ratio = any(
        cell.failure is None and to.failure is None for cell, to in stats.ratios(records)
    )
    return not has_ratio or stats.is_precise(stats.widest(records), outcome.plan.precision)
