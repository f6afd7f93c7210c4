"""The rule: for which cells one more set is worth measuring."""

from collections.abc import Collection
from typing import Protocol

from bench import stats
from bench.cells import waves
from bench.cells.cell import Cell
from bench.records.outcome import Outcome


class Rule(Protocol):
    """Something that knows when enough is known."""

    def wanted(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """The cells of a group that set ``set_index`` should measure; none where that is enough."""
        ...


class UntilPrecise:
    """As many sets as the plan asks for, and then more until every ratio is precise enough."""

    def wanted(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        """All of a group's cells, or none: each is compared with the reference."""
        whole = outcome.waves[group][0]
        if set_index >= outcome.plan.sets:
            widest = stats.widest(outcome.group_records(group))
            if stats.is_precise(widest, outcome.plan.precision):
                return ()
        return (*whole.group, waves.control(whole.reference))
