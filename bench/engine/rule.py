"""The rule: for which cells one more set is worth measuring."""

from collections.abc import Collection
from typing import Protocol

from bench import stats
from bench.cells import waves
from bench.cells.cell import Cell
from bench.records.outcome import Outcome


class SetRule(Protocol):
    """Something that knows when enough is known."""

    def wanted(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """The cells of a group that set ``set_index`` should measure; none where that is enough."""
        ...


class UntilPrecise:
    """As many sets as the plan asks for, and then more until every ratio is precise enough."""

    def wanted(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """All of a group's cells, or none: each is compared with the reference.

        The control shows nothing once the reference has failed.
        """
        whole = outcome.waves[group][0]
        if set_index >= outcome.plan.sets and _is_enough(outcome, group):
            return ()
        has_failed = whole.reference.id in outcome.failures
        return whole.group if has_failed else (*whole.group, waves.control(whole.reference))


def _is_enough(outcome: Outcome, group: str) -> bool:
    """Whether every ratio is precise, or failures leave none that more sets could make so."""
    records = outcome.group_records(group)
    has_ratio = any(
        cell.failure is None and to.failure is None for cell, to in stats.ratios(records)
    )
    return not has_ratio or stats.is_precise(stats.widest(records), outcome.plan.precision)
