"""Search for the largest batch size that fits into memory: doubling, then bisection. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from bench.cells.cell import Cell
from bench.records.record import Attempt

MAX_BATCH_SIZE = 65_536  # images: beyond this, something other than memory is the limit
# Bisection ends when the uncertainty is at most one part in this many of the batch. That takes
# five attempts more than doubling; the exact size would take about as many again.
RESOLUTION = 32


def cells(measured: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return the distinct cells to search, each with batch size 1: arch, mode, dtype and task."""
    return tuple(dict.fromkeys(replace(cell, batch_size=1) for cell in measured))


def search(attempt: Callable[[int], Attempt]) -> tuple[Attempt, ...]:
    """Try batch sizes until the largest that fits is known or an attempt is an error.

    Returns all attempts, in order.
    """
    attempts: list[Attempt] = []
    fits, fails = 0, None
    size: int | None = 1
    while size is not None:
        attempts.append(attempt(size))
        if attempts[-1].is_error:
            break
        if attempts[-1].fits:
            fits = size
        else:
            fails = size
        size = next_size(fits, fails)
    return tuple(attempts)


def next_size(fits: int, fails: int | None) -> int | None:
    """Return the next batch size to try, between ``fits`` and ``fails``; None at the end.

    ``fails`` is None while every size has fitted.
    """
    if fails is None:
        return 2 * fits if 2 * fits <= MAX_BATCH_SIZE else None
    if fails - fits <= max(1, fits // RESOLUTION):
        return None
    return (fits + fails) // 2
