"""The fit: the largest batch that memory holds of a network, by doubling and then halving. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from bench.cells.cell import Cell
from bench.records.record import Attempt

MOST = 65_536  # images: what still fits then is bound by something else than memory
# Halving ends where what is not known is this part of the batch at the most: five attempts more
# than doubling takes. The last images would cost as many again.
RESOLUTION = 32


def cells(measured: Iterable[Cell]) -> tuple[Cell, ...]:
    """What a largest batch is looked for of: every arch, mode, dtype and task, of one image."""
    return tuple(dict.fromkeys(replace(cell, batch_size=1) for cell in measured))


def search(attempt: Callable[[int], Attempt]) -> tuple[Attempt, ...]:
    """Attempts, each of a batch size, until the largest that fits is known, or one is an error."""
    found: list[Attempt] = []
    fits, fails = 0, None
    size: int | None = 1
    while size is not None:
        found.append(attempt(size))
        if found[-1].is_error:
            break
        if found[-1].fits:
            fits = size
        else:
            fails = size
        size = next_size(fits, fails)
    return tuple(found)


def next_size(fits: int, fails: int | None) -> int | None:
    """What to try after ``fits`` did and ``fails`` did not; None where that is near enough."""
    if fails is None:
        return 2 * fits if 2 * fits <= MOST else None
    if fails - fits <= max(1, fits // RESOLUTION):
        return None
    return (fits + fails) // 2
