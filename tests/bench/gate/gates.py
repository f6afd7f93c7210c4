"""Gates made by hand, for the tests of what reads them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.cells import waves
from bench.cells.cell import Cell
from bench.gate.decision import Gate, SideNames
from bench.gate.judge import Settings
from bench.records.record import CellRecord, Failure, RunRecord, Visit
from tests.bench import runs

BASE_S = 0.02
SIDES = SideNames(head="abc with uncommitted changes", base="def")
FAILURE = Failure(kind="error", message="a | b", phase="preparing", set_index=0, stderr="Traceback")


def measured(
    cell: Cell, latencies_s: Sequence[float], *, slow_tail: float = 0.0, **given: object
) -> CellRecord:
    """A cell visited once in each set; the slowest fifth may be slower by a share."""
    tail = (1.0,) * 8 + (1 + slow_tail,) * 2 if slow_tail else (1.0,)
    visits = tuple(
        Visit(set_index=index, round_index=0, host_s=tuple(latency_s * by for by in tail))
        for index, latency_s in enumerate(latencies_s)
    )
    return replace(CellRecord(cell=cell), visits=visits, **given)  # type: ignore[arg-type]


def run(log_ratios: Mapping[Cell, Sequence[float]], slow_tail: float = 0.0) -> RunRecord:
    """Cells whose head is slower than their base by these, set by set."""
    heads, bases = [], []
    for cell, ratios in log_ratios.items():
        drift = [BASE_S * (1 + index) for index in range(len(ratios))]
        slower = [latency * math.exp(ratio) for latency, ratio in zip(drift, ratios, strict=True)]
        heads.append(measured(cell, slower, slow_tail=slow_tail))
        bases.append(measured(waves.base(cell), drift))
    small = runs.small("complete")
    return replace(
        small,
        plan={**small.plan, "rounds": 1},
        cells=tuple(heads),
        bases=tuple(bases),
        controls=(),
        rounds=(),
        allotted={cell.group: 1 for cell in log_ratios},
        base_environment=small.environment,
    )


def gate(
    log_ratios: Mapping[Cell, Sequence[float]], *, slow_tail: float = 0.0, **settings: object
) -> Gate:
    """A gate; ``slow_tail``: by which share the slowest fifth of head's iterations is slower."""
    asked = replace(Settings(), **settings)  # type: ignore[arg-type]
    return Gate(run=run(log_ratios, slow_tail), sides=SIDES, settings=asked)


SAME = (0.001, -0.001, 0.0)
SLOWER = (0.10, 0.101, 0.099, 0.10, 0.101, 0.099)
FASTER = tuple(-ratio for ratio in SLOWER)
UNCLEAR = (0.1, -0.1, 0.05)


def failed(found: Gate, cell: Cell, *, head: bool = False, base: bool = False) -> Gate:
    """The same gate, in which a cell failed on a side, or both."""

    def on(records: Sequence[CellRecord], fails: bool) -> tuple[CellRecord, ...]:
        return tuple(
            replace(record, failure=FAILURE)
            if fails and replace(record.cell, base=False) == cell
            else record
            for record in records
        )

    failing = replace(found.run, cells=on(found.run.cells, head), bases=on(found.run.bases, base))
    return replace(found, run=failing)
