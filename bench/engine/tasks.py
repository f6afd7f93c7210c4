"""The tasks of a host: what to measure before the first set, and the sets."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.cells.waves import Wave
from bench.engine import largest_batch
from bench.records import events
from bench.records.outcome import Outcome


class PreflightTask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What to measure before the first set: what the run does not know yet."""

    archs: tuple[tuple[str, bool], ...]
    """Archs whose cost to count; with each, whether it is the base's."""
    dtypes: tuple[str, ...]
    """Dtypes whose peak rates to measure."""
    fits: tuple[Cell, ...]
    """Cells whose largest batch to find."""


class SetTask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One set of one group of cells."""

    group: str
    set_index: int
    cells: tuple[Cell, ...]
    """The cells to measure, in any order; none of them has failed."""
    waves: tuple[Wave, ...]
    """How the group is divided until now. A host that divides it further yields ``Split``."""
    fitting: tuple[Wave, ...] = ()
    """Waves that were measured completely without running out of memory."""
    ended: tuple[int, ...] = ()
    """Indices of the waves that were already measured in this set, before the run was resumed."""
    rounds: int | None = None
    """Valid rounds in each wave; None if neither the plan nor an earlier set decided. Then the host
    does, and yields ``Allotted``."""
    is_over_memory: bool = False
    """Whether a note says already that the group's workers held more memory than the limit."""
    budget_left_s: float | None = None
    """No round begins later than this after the task; None for no limit."""


class Tasks(Protocol):
    """A queue of tasks for several sets."""

    def next(self) -> SetTask | None:
        """Return the next task; None if none is ready, although more may follow."""
        ...

    def end(self, task: SetTask, *, is_undivided: bool = False) -> None:
        """Note that a task has ended; ``is_undivided``: because memory does not hold its wave."""
        ...


def preflight_task(
    plan: Plan, outcome: Outcome, known: Sequence[events.Counted | events.CeilingMeasured]
) -> PreflightTask:
    """Return what the preflight has to measure: what neither the outcome nor ``known`` has.

    A resumed run follows the new request, ``plan``, which may ask for ceilings and fits that its
    own plan does not have.
    """
    costs = {*outcome.costs, *((e.arch, e.base) for e in known if isinstance(e, events.Counted))}
    ceilings = {
        *outcome.ceilings,
        *(e.dtype for e in known if isinstance(e, events.CeilingMeasured)),
    }
    sides = (False, True) if plan.against_base else (False,)
    dtypes = (cell.dtype for cell in plan.cells) if plan.ceiling else ()
    fits = largest_batch.cells(plan.cells) if plan.fit else ()
    return PreflightTask(
        archs=tuple(
            (arch, base)
            for base in sides
            for arch in dict.fromkeys(cell.arch for cell in plan.cells)
            if (arch, base) not in costs
        ),
        dtypes=tuple(dict.fromkeys(name for name in dtypes if name not in ceilings)),
        fits=tuple(cell for cell in fits if cell not in outcome.fits),
    )
