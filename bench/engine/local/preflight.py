"""Preflight: what is measured before the first set, by probe workers that belong to no cell."""

from collections.abc import Collection, Sequence

from bench.cells.cell import Cell
from bench.engine.local import fitting
from bench.engine.local.context import Context, Steps
from bench.engine.local.probe_worker import ProbeWorker
from bench.records import events


def count(
    context: Context, probes: Sequence[ProbeWorker], archs: Collection[tuple[str, bool]]
) -> Steps:
    """Count the cost of each arch; with each comes whether it is the base's, the second probe's."""
    with context.timed("counting"):
        for arch, base in archs:
            cost = probes[base].count(arch)
            context.emit(events.Counted(arch=arch, cost=cost, base=base))
            context.progress.advance(arch)
            yield


def measure_ceilings(context: Context, probe: ProbeWorker, dtypes: Collection[str]) -> Steps:
    """Measure the peak rates of the device for each dtype."""
    if not dtypes:
        return
    context.progress.phase("measuring the ceiling", len(dtypes))
    with context.timed("measuring the ceiling"):
        for dtype in dtypes:
            measured = events.CeilingMeasured(dtype=dtype, facts=probe.measure_ceiling(dtype))
            context.emit(measured)
            context.progress.advance(dtype)
            if measured.caveat:
                context.progress.note(measured.caveat)
            yield


def find_fits(context: Context, cells: Collection[Cell]) -> Steps:
    """Search for the largest batch of each cell, one at a time on the device."""
    if not cells:
        return
    context.progress.phase("looking for the largest batches", len(cells))
    with context.timed("looking for the largest batches"):
        for cell in cells:
            largest = fitting.largest(context, cell)
            context.emit(events.Fitted(fit=largest))
            context.progress.advance(f"{cell.arch} in {cell.mode}")
            yield
