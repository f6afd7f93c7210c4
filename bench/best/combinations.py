"""Combinations of an executor, rewrites, a memory format and a dtype: which ones to try.

The tournament begins with eager in fp32 and with every single change of it: an executor, a rewrite,
a memory format, or another dtype. Each later step adds one change to the fastest that are left. All
combinations of six changes would be dozens, most of them of changes that do not help.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from bench.cells import modes
from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.executors import EXECUTORS

FP32 = "fp32"


def size(cell: Cell) -> int:
    """Return how many changes a cell makes to eager in fp32."""
    return len(changes(cell))


def tokens(device: str) -> tuple[str, ...]:
    """Return the tokens of modes that run inference on a device, installed or not."""
    return tuple(name for name in modes.available(device) if "infer" in modes.tokens()[name].tasks)


def tries_kernels_out(token: str) -> bool:
    """Whether a token is an executor that takes minutes in which nothing else may run."""
    return token in EXECUTORS and EXECUTORS[token].is_exclusive


def is_possible(cell: Cell) -> bool:
    """Whether a cell's mode exists, and runs inference in its dtype on its device."""
    try:
        modes.check(cell.mode, cell.device, (cell.task,), (cell.dtype,))
    except RequestError:
        return False
    return True


def neighbours(cell: Cell, names: Iterable[str], dtypes: Collection[str]) -> Iterator[Cell]:
    """Yield the cells that make one more change: one of the tokens, or one of the dtypes."""
    changed = [*_with_tokens(cell, names)]
    if cell.dtype == FP32:
        changed += [replace(cell, dtype=dtype) for dtype in dtypes if dtype != FP32]
    yield from (each for each in changed if each != cell and is_possible(each))


def _with_tokens(cell: Cell, names: Iterable[str]) -> Iterator[Cell]:
    given = [] if cell.mode == modes.DEFAULT else cell.mode.split("+")
    for name in names:
        if name == modes.DEFAULT or name in given:
            continue
        combined = replace(cell, mode="+".join([*given, name]))
        if is_possible(combined):
            yield replace(combined, mode=modes.canonical(combined.mode))


def changes(cell: Cell) -> frozenset[str]:
    """Return the changes that a cell makes to eager in fp32: names of tokens and of a dtype."""
    given = {*cell.mode.split("+")} - {modes.DEFAULT}
    return frozenset(given if cell.dtype == FP32 else {*given, cell.dtype})
