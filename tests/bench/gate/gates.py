"""Hand-made gates, for tests of code that reads gates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bench.cells import waves
from bench.cells.cell import Cell
from bench.gate.decision import Gate, SideNames
from bench.gate.group_sequential import Settings
from bench.records.code import Code
from bench.records.record import CellRecord, Failure, RunRecord, Visit
from tests.bench import runs

BASE_S = 0.02
HEAD_CODE = Code(commit="abc" * 13 + "a", digest="1" * 64)
BASE_CODE = Code(commit="def" * 13 + "d", digest="2" * 64)
SIDES = SideNames(head="abc with uncommitted changes", base="def")
FAILURE = Failure(kind="error", message="a | b", phase="preparing", set_index=0, stderr="Traceback")


def measured(
    cell: Cell, latencies_s: Sequence[float], *, slow_tail: float = 0.0, **fields: object
) -> CellRecord:
    """Return a cell visited once per set; its slowest fifth is slower by a share, ``slow_tail``."""
    factors = (1.0,) * 8 + (1 + slow_tail,) * 2 if slow_tail else (1.0,)
    visits = tuple(
        Visit(
            set_index=index, round_index=0, host_s=tuple(latency_s * factor for factor in factors)
        )
        for index, latency_s in enumerate(latencies_s)
    )
    return replace(CellRecord(cell=cell), visits=visits, **fields)  # type: ignore[arg-type]


def run(log_ratios: Mapping[Cell, Sequence[float]], slow_tail: float = 0.0) -> RunRecord:
    """Return a run with these log-ratios of head's latency to the base's, one per set."""
    heads, bases = [], []
    for cell, ratios in log_ratios.items():
        drift = [BASE_S * (1 + index) for index in range(len(ratios))]
        slower = [latency * math.exp(ratio) for latency, ratio in zip(drift, ratios, strict=True)]
        heads.append(measured(cell, slower, slow_tail=slow_tail))
        bases.append(measured(waves.base(cell), drift))
    small = runs.small("complete")
    return replace(
        small,
        plan=msgspec.structs.replace(small.plan, rounds=1),
        cells=tuple(heads),
        bases=tuple(bases),
        controls=(),
        rounds=(),
        allotted={cell.group: 1 for cell in log_ratios},
        base_environment=small.environment,
        code=HEAD_CODE,
        base_code=BASE_CODE,
    )


def gate(
    log_ratios: Mapping[Cell, Sequence[float]], *, slow_tail: float = 0.0, **settings: object
) -> Gate:
    """Return a gate; head's slowest fifth of iterations is slower by a share, ``slow_tail``."""
    gate_settings = replace(Settings(), **settings)  # type: ignore[arg-type]
    return Gate(run=run(log_ratios, slow_tail), sides=SIDES, settings=gate_settings)


SAME = (0.001, -0.001, 0.0)
SLOWER = (0.10, 0.101, 0.099, 0.10, 0.101, 0.099)
FASTER = tuple(-ratio for ratio in SLOWER)
UNCLEAR = (0.1, -0.1, 0.05)


def failed(gate: Gate, cell: Cell, *, head: bool = False, base: bool = False) -> Gate:
    """Return a copy of a gate in which a cell failed on one side or both."""

    def with_failure(records: Sequence[CellRecord], fails: bool) -> tuple[CellRecord, ...]:
        return tuple(
            replace(record, failure=FAILURE)
            if fails and replace(record.cell, base=False) == cell
            else record
            for record in records
        )

    failing = replace(
        gate.run,
        cells=with_failure(gate.run.cells, head),
        bases=with_failure(gate.run.bases, base),
    )
    return replace(gate, run=failing)
