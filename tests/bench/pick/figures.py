"""Candidates and runs written by hand, for tests of choices."""

from dataclasses import replace

import msgspec

from bench.archs.source import Accuracy
from bench.cells.cell import Cell
from bench.pick.candidate import Candidate
from bench.records.record import CellRecord, RunRecord, Visit
from bench.records.reported import ArchCost, Setup
from tests.bench import runs
from tests.bench.runs import cell

ROUNDS = 3
# Sets and rounds drift alike for all cells, so that it cancels in ratios.
SET_DRIFT, ROUND_DRIFT = 0.01, 0.002


def candidate(
    arch: str,
    percent: float | None = None,
    *,
    mode: str = "eager",
    batch_size: int = 1,
    source: str = "a paper",
) -> Candidate:
    accuracy = None if percent is None else Accuracy(percent=percent, source=source)
    return Candidate(cell=cell(arch, mode, batch_size=batch_size), accuracy=accuracy)


def cost(params: int = 5_000_000, macs: int = 1_000_000_000) -> ArchCost:
    return ArchCost(params=params, macs_per_image=macs)


def record(
    of: Cell,
    latency_s: float,
    sets: int,
    memory_bytes: int | None = None,
    percent: float | None = None,
) -> CellRecord:
    """Return a cell whose latency differs by a few percent between sets."""
    return CellRecord(
        cell=of,
        visits=tuple(
            Visit(
                set_index=index,
                round_index=round_index,
                host_s=(latency_s * (1 + SET_DRIFT * index) * (1 + ROUND_DRIFT * round_index),),
            )
            for index in range(sets)
            for round_index in range(ROUNDS)
        ),
        setups=tuple(Setup(peak_memory_bytes=memory_bytes) for _ in range(sets)),
        cost=msgspec.structs.replace(cost(), accuracy=percent),
    )


def run(*records: CellRecord) -> RunRecord:
    """Return a complete run of these cells; the first one of each group is the reference."""
    references: dict[str, CellRecord] = {}
    for each in records:
        references.setdefault(each.cell.group, each)
    controls = (
        replace(each, cell=replace(each.cell, control=True)) for each in references.values()
    )
    return replace(runs.small("complete"), cells=records, controls=tuple(controls), fits=())
