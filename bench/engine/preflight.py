"""Preflight: what is measured before the first set, by probe workers that belong to no cell.

These are the environment, the cost of each arch, the peak rates of the device and the largest
batches that fit.
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
    """The preflight of one run; skips what its outcome already has."""

    def __init__(
        self,
        context: Context,
        outcome: Outcome,
        plan: Plan,
        begin: Callable[[Sequence[dict[str, Any]]], None],
    ) -> None:
        """``begin`` is called with the environment of each side, before any event is emitted.

        ``plan`` is the requested plan. When a run is resumed, it may request a ceiling or fits that
        the run's own plan does not have.
        """
        self._context = context
        self._plan = plan
        self._outcome = outcome
        self._begin = begin

    def run(self) -> None:
        """Run the preflight; raises ``WorkerError`` if no worker starts or no device is found."""
        self._describe_and_count()
        if self._plan.fit and not self._plan.against_base:
            self._find_fits()

    def _describe_and_count(self) -> None:
        """Describe the environment and count the costs, for each side."""
        context, known = self._context, self._outcome.costs
        archs = dict.fromkeys(cell.arch for cell in self._plan.cells)
        sides = (False, True) if self._plan.against_base else (False,)
        uncounted = [(arch, base) for base in sides for arch in archs if (arch, base) not in known]
        context.progress.phase("importing torch", len(sides) + len(uncounted))
        start = context.now()
        with ExitStack() as closing:
            probes = [closing.enter_context(self._probe_worker(base=base)) for base in sides]
            self._begin([probe.describe() for probe in probes])
            context.emit(events.PhaseTimed(phase="importing", seconds=context.now() - start))
            with context.timed("counting"):
                for arch, base in uncounted:
                    cost = probes[base].count(arch)
                    context.emit(events.Counted(arch=arch, cost=cost, base=base))
                    context.progress.advance(arch)
            context.wait()
            if self._plan.ceiling and not self._plan.against_base:
                self._measure_peaks(probes[0])

    def _measure_peaks(self, probe: ProbeWorker) -> None:
        """Measure the peak rates of the device for each dtype that has none yet."""
        context, known = self._context, self._outcome.ceilings
        dtypes = dict.fromkeys(cell.dtype for cell in self._plan.cells if cell.dtype not in known)
        if not dtypes:
            return
        context.progress.phase("measuring the ceiling", len(dtypes))
        with context.timed("measuring the ceiling"):
            for dtype in dtypes:
                facts = probe.measure_peak(dtype)
                context.emit(events.PeakMeasured(dtype=dtype, facts=facts))
                context.progress.advance(dtype)
                if facts.error:
                    context.progress.note(self._outcome.notes[-1])

    def _find_fits(self) -> None:
        """Search for the largest batches that are unknown, one at a time on the device."""
        context = self._context
        unknown = [cell for cell in fit.cells(self._plan.cells) if cell not in self._outcome.fits]
        if not unknown:
            return
        context.progress.phase("looking for the largest batches", len(unknown))
        with context.timed("looking for the largest batches"):
            for cell in unknown:
                largest = fitting.largest(context, cell)
                context.emit(events.Fitted(fit=largest))
                context.progress.advance(f"{cell.arch} in {cell.mode}")

    def _probe_worker(self, *, base: bool) -> ProbeWorker:
        return ProbeWorker(self._context.launcher_of(base=base), self._plan, is_base=base)
