"""Synthetic runs of the ladder's networks, whose latencies are products of known factors."""

import math
import random
from dataclasses import replace

from bench.cells.cell import Cell
from bench.records.record import CellRecord, RunRecord, Visit
from bench.records.reported import ArchCost
from tests.bench import runs

THREE, POOL, CODE = 0.90, 0.98, 1.00
NOISE = 0.002
FACTORS = {
    "googlenet": 1.0,
    "googlenet-3x3": THREE,
    "googlenet-pool2": POOL,
    "googlenet-3x3-pool2": THREE * POOL,
    "torchvision": THREE * POOL * CODE,
}
SETS, ROUNDS = 4, 5
PARAMS = {"googlenet": 7_000_000, "googlenet-pool2": 7_000_000}


def cell(arch: str, mode: str = "eager") -> Cell:
    return runs.cell(arch, mode)


def measured(cell: Cell, factor: float) -> CellRecord:
    rng = random.Random(cell.id)
    visits = tuple(
        Visit(
            set_index=set_index,
            round_index=round_index,
            host_s=tuple(
                0.05 * factor * (1 + 0.1 * set_index) * math.exp(rng.gauss(0, NOISE))
                for _ in range(4)
            ),
        )
        for set_index in range(SETS)
        for round_index in range(ROUNDS)
    )
    params = PARAMS.get(cell.arch, 6_600_000)
    return CellRecord(
        cell=cell,
        visits=visits,
        setups=(runs.setup(0), runs.setup(1)),
        cost=ArchCost(params=params, macs_per_image=200 * params),
    )


def ladder(modes: tuple[str, ...] = ("eager",), **factors: float) -> RunRecord:
    """Return a run; ``factors`` replace those of networks, with underscores for hyphens."""
    replaced = {name.replace("_", "-"): factor for name, factor in factors.items()}
    cells = tuple(
        measured(cell(arch, mode), factor)
        for mode in modes
        for arch, factor in {**FACTORS, **replaced}.items()
    )
    control = replace(cell("torchvision"), control=True)
    return replace(
        runs.small("complete"),
        cells=cells,
        controls=(measured(control, FACTORS["torchvision"]),),
        rounds=(),
        notes=(),
    )


def in_waves(run: RunRecord, *second: str) -> RunRecord:
    """Return ``run`` with the archs ``second`` in a second wave, on a machine half as fast.

    The reference is in both waves.
    """

    def moved(record: CellRecord) -> tuple[Visit, ...]:
        return tuple(
            replace(visit, wave_index=1, host_s=tuple(2 * sample for sample in visit.host_s))
            for visit in record.visits
        )

    def with_wave(record: CellRecord) -> CellRecord:
        if record.cell == cell("torchvision"):
            return replace(record, visits=(*record.visits, *moved(record)))
        is_second = record.cell.arch in second
        return replace(record, visits=moved(record)) if is_second else record

    return replace(run, cells=tuple(map(with_wave, run.cells)))
