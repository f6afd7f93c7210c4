"""Fitting: having workers try batch sizes, one fresh process each, until the largest is known."""

from dataclasses import asdict, replace

from bench.cells.cell import Cell
from bench.engine import fit, timeouts
from bench.engine.context import Context
from bench.engine.process import WorkerError
from bench.records.record import Attempt, Fit
from bench.units import in_mib


def largest(context: Context, cell: Cell) -> Fit:
    """The largest batch of a cell's arch, mode, dtype and task; raises where none can be started.

    A fresh worker tries each size, alone on the device: what an attempt that failed left behind
    cannot fail the next one.
    """
    return Fit(cell=cell, attempts=fit.search(lambda size: _attempt(context, cell, size)))


def _attempt(context: Context, cell: Cell, batch_size: int) -> Attempt:
    worker = context.launcher.launch()
    try:
        facts = worker.request(
            "attempt",
            limit_s=timeouts.PREPARE_S,
            cell=asdict(replace(cell, batch_size=batch_size, device=context.plan.device_of(0))),
            image_size=context.plan.image_size,
            seed=context.plan.seed,
        )
    except WorkerError as error:
        if error.kind == "start":
            raise
        if error.kind == "died":
            context.launcher.check()
            if error.was_killed and context.memory_budget.claims_kill():
                return _does_not(batch_size, "the system killed it for want of memory")
        return _does_not(batch_size, str(error), is_error=error.kind != "out_of_memory")
    finally:
        worker.kill()
    return judged(batch_size, facts["held_bytes"], context.plan.fit_bytes)


def judged(batch_size: int, held_bytes: int, limit_bytes: int | None) -> Attempt:
    """An attempt that ran to its end; one that held more than it may does not fit."""
    if limit_bytes is not None and held_bytes > limit_bytes:
        reason = f"it held {in_mib(held_bytes)} of {in_mib(limit_bytes)} (--memory)"
        return Attempt(batch_size=batch_size, fits=False, held_bytes=held_bytes, reason=reason)
    return Attempt(batch_size=batch_size, fits=True, held_bytes=held_bytes)


def _does_not(batch_size: int, reason: str, *, is_error: bool = False) -> Attempt:
    return Attempt(batch_size=batch_size, fits=False, reason=reason, is_error=is_error)
