"""Runs that were never measured: the entry of a real run, with other figures at other times."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice

import msgspec

from bench.history import from_run
from bench.history.entry import CellEntry, Entry, Figure
from bench.records.record import RunRecord

SPREAD = 0.01  # standard deviation of a figure from run to run, as a share: that of ratios here
INTERVAL = timedelta(hours=1)


def widened(run: RunRecord, cells: int) -> RunRecord:
    """Return a run with a number of cells: its own, and copies of them under other archs."""
    records = []
    for index, record in enumerate(islice(cycle(run.cells), cells)):
        copy = index // len(run.cells)
        arch = f"{record.cell.arch}{f'-copy-{copy}' if copy else ''}"
        records.append(replace(record, cell=replace(record.cell, arch=arch)))
    return replace(run, cells=tuple(records))


def entries(run: RunRecord, count: int, seed: int = 0) -> Iterator[Entry]:
    """Yield entries one after the other in time; each figure varies from run to run."""
    noise = random.Random(seed)
    first = from_run.entry(run)
    for index in range(count):
        cells = tuple(_varied(cell, noise) for cell in first.cells)
        yield msgspec.structs.replace(
            first,
            run_id=f"{noise.getrandbits(128):032x}",
            when=first.when + (index + 1) * INTERVAL,
            commit=f"{noise.getrandbits(160):040x}",
            branch="main",
            cells=cells,
        )


def _varied(cell: CellEntry, noise: random.Random) -> CellEntry:
    figures = []
    for figure in cell.figures:
        factor = noise.gauss(1.0, SPREAD)
        ends = [None if end is None else end * factor for end in (figure.low, figure.high)]
        figures.append(
            Figure(metric=figure.metric, value=figure.value * factor, low=ends[0], high=ends[1])
        )
    return msgspec.structs.replace(cell, figures=tuple(figures))
