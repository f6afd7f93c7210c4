"""Measurement of the largest batch size: each size is tried in a fresh worker process."""

from dataclasses import replace

from bench.cells.cell import Cell
from bench.engine import largest_batch
from bench.engine.local.context import Context
from bench.launch import timeouts
from bench.launch.process import WorkerError
from bench.records.record import Attempt, Fit
from bench.units import in_mib
from bench.worker.protocol import TryBatch


def largest(context: Context, cell: Cell) -> Fit:
    """Return the largest batch for a cell's arch, mode, dtype and task.

    A fresh worker, alone on the device, tries each size, so that a failed attempt cannot affect the
    next one. Raises ``WorkerError`` if no worker can be started.
    """
    return Fit(cell=cell, attempts=largest_batch.search(lambda size: _attempt(context, cell, size)))


def _attempt(context: Context, cell: Cell, batch_size: int) -> Attempt:
    worker = context.launcher.launch()
    try:
        request = TryBatch(
            cell=replace(cell, batch_size=batch_size, device=context.plan.device_of(0)),
            image_size=context.plan.image_size,
            input_shape=context.plan.input_shape,
            seed=context.plan.seed,
        )
        attempted = worker.request(request, limit_s=timeouts.PREPARE_S)
    except WorkerError as error:
        if error.kind == "start":
            raise
        if error.kind == "died":
            context.launcher.check()
            if error.was_killed and context.memory_budget.claims_kill():
                return _failed(batch_size, "the system ran out of memory and killed the worker")
        return _failed(batch_size, str(error), is_error=error.kind != "out_of_memory")
    finally:
        worker.kill()
    return judge(batch_size, attempted.held_bytes, context.plan.fit_bytes)


def judge(batch_size: int, held_bytes: int, limit_bytes: int | None) -> Attempt:
    """Return the result of an attempt that completed: it fits if it held at most the limit."""
    if limit_bytes is not None and held_bytes > limit_bytes:
        reason = f"it held {in_mib(held_bytes)}; --memory allows {in_mib(limit_bytes)}"
        return Attempt(batch_size=batch_size, fits=False, held_bytes=held_bytes, reason=reason)
    return Attempt(batch_size=batch_size, fits=True, held_bytes=held_bytes)


def _failed(batch_size: int, reason: str, *, is_error: bool = False) -> Attempt:
    return Attempt(batch_size=batch_size, fits=False, reason=reason, is_error=is_error)
