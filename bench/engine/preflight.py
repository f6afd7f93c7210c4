"""The inquiry: what is asked before the first set, each time of a worker of no cell of the plan.

The environment, what archs cost, what the device does at the most, and the largest batches.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from bench.cells.plan import Plan
from bench.engine import fit, fitting
from bench.engine.context import Context
from bench.engine.probe_worker import ProbeWorker
from bench.records import events
from bench.records.outcome import Outcome


class Preflight:
    """Of one run; what its outcome knows by now is not asked again."""

    def __init__(
        self,
        context: Context,
        outcome: Outcome,
        asked: Plan,
        take_in: Callable[[Sequence[dict[str, Any]]], None],
    ) -> None:
        """``take_in`` is given the environment of each side, before anything else is told.

        ``asked`` may ask for a ceiling or fits where the plan of a run that is resumed did not.
        """
        self._context = context
        self._plan = asked
        self._outcome = outcome
        self._take_in = take_in

    def run(self) -> None:
        """Ask all of it; raises ``WorkerError`` where no worker starts or the device is missing."""
        self._describe_and_count()
        if self._plan.fit and not self._plan.against_base:
            self._find_fits()

    def _describe_and_count(self) -> None:
        """Have the environment described and costs counted, of each side that there is."""
        context, known = self._context, self._outcome.costs
        archs = dict.fromkeys(cell.arch for cell in self._plan.cells)
        sides = (False, True) if self._plan.against_base else (False,)
        uncounted = [(arch, base) for base in sides for arch in archs if (arch, base) not in known]
        context.progress.phase("importing torch", len(sides) + len(uncounted))
        start = context.now()
        with ExitStack() as closing:
            clerks = [closing.enter_context(self._probe_worker(base=base)) for base in sides]
            self._take_in([clerk.describe() for clerk in clerks])
            context.tell(events.PhaseTimed(phase="importing", seconds=context.now() - start))
            with context.timed("counting"):
                for arch, base in uncounted:
                    cost = clerks[base].count(arch)
                    context.tell(events.Counted(arch=arch, cost=cost, base=base))
                    context.progress.advance(arch)
            context.wait()
            if self._plan.ceiling and not self._plan.against_base:
                self._measure_peaks(clerks[0])

    def _measure_peaks(self, clerk: ProbeWorker) -> None:
        """Have measured what the device does at the most in each dtype where that is not known."""
        context, known = self._context, self._outcome.ceilings
        dtypes = dict.fromkeys(cell.dtype for cell in self._plan.cells if cell.dtype not in known)
        if not dtypes:
            return
        context.progress.phase("measuring the ceiling", len(dtypes))
        with context.timed("measuring the ceiling"):
            for dtype in dtypes:
                facts = clerk.measure_peak(dtype)
                context.tell(events.PeakMeasured(dtype=dtype, facts=facts))
                context.progress.advance(dtype)
                if "error" in facts:
                    context.progress.note(self._outcome.notes[-1])

    def _find_fits(self) -> None:
        """Have the largest batches looked for that are not known, each alone on the device."""
        context = self._context
        unknown = [cell for cell in fit.cells(self._plan.cells) if cell not in self._outcome.fits]
        if not unknown:
            return
        context.progress.phase("looking for the largest batches", len(unknown))
        with context.timed("looking for the largest batches"):
            for cell in unknown:
                found = fitting.largest(context, cell)
                context.tell(events.Fitted(fit=found))
                context.progress.advance(f"{cell.arch} in {cell.mode}")

    def _probe_worker(self, *, base: bool) -> ProbeWorker:
        return ProbeWorker(self._context.launcher_of(base=base), self._plan, is_base=base)
