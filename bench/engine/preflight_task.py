"""The task of a preflight: what a run does not know yet."""

from collections.abc import Sequence

from bench.cells.plan import Plan
from bench.engine import fit
from bench.engine.hosts.host import PreflightTask
from bench.records import events
from bench.records.outcome import Outcome


def unknown(
    plan: Plan, outcome: Outcome, known: Sequence[events.Counted | events.PeakMeasured]
) -> PreflightTask:
    """Return what the preflight has to measure: what neither the outcome nor ``known`` has.

    A resumed run follows the new request, ``plan``, which may ask for ceilings and fits that its
    own plan does not have.
    """
    costs = {*outcome.costs, *((e.arch, e.base) for e in known if isinstance(e, events.Counted))}
    peaks = {*outcome.ceilings, *(e.dtype for e in known if isinstance(e, events.PeakMeasured))}
    sides = (False, True) if plan.against_base else (False,)
    dtypes = (cell.dtype for cell in plan.cells) if plan.ceiling else ()
    fits = fit.cells(plan.cells) if plan.fit else ()
    return PreflightTask(
        archs=tuple(
            (arch, base)
            for base in sides
            for arch in dict.fromkeys(cell.arch for cell in plan.cells)
            if (arch, base) not in costs
        ),
        dtypes=tuple(dict.fromkeys(name for name in dtypes if name not in peaks)),
        fits=tuple(cell for cell in fits if cell not in outcome.fits),
    )
