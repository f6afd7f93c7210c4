"""Tournaments without workers: runs whose latencies are known."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bench.cells import waves
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.machine.environment import Environment
from bench.records.record import CellRecord, Failure, RunRecord, Visit
from bench.records.reported import ArchCost, Setup
from bench.records.stored_plan import StoredPlan

ROUNDS = 3
NOISE = 0.002  # of a set's ratio


@dataclass
class Machine:
    """Takes the place of ``measuring.measure_here``: cells take their time, with a little noise."""

    speed: Callable[[Cell], float]
    """How many times as fast as eager in fp32 a cell is; raises ``ValueError`` if it fails."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Relative errors by dtype."""
    statuses: Mapping[int, str] = field(default_factory=dict)
    """How a run ends, by its number from 1; others are complete."""
    sets: Mapping[int, int] = field(default_factory=dict)
    """Sets that a run completes, by its number; others complete those of the plan."""
    plans: list[Plan] = field(default_factory=list)

    def wait(self) -> None:
        """Take the place of a launcher's ``wait``."""

    @contextmanager
    def start(self, _plan: Plan) -> Iterator["Machine"]:
        """Take the place of ``measuring.start_launcher``."""
        yield self

    def measure(self, _request: Any, plan: Plan, *_others: Any, **_named: Any) -> RunRecord:
        self.plans.append(plan)
        number = len(self.plans)
        sets = self.sets.get(number, plan.sets)
        controls = [self._record(cell, sets) for cell in plan.controls]
        return RunRecord(
            cells=tuple(self._record(cell, sets) for cell in plan.cells),
            controls=tuple(controls),
            rounds=(),
            allotted={},
            notes=(),
            environment=Environment(device="cpu", threads=2),
            plan=StoredPlan.of(plan),
            status=self.statuses.get(number, "complete"),
            phases_s={},
        )

    def _record(self, cell: Cell, sets: int) -> CellRecord:
        try:
            speed = self.speed(replace(cell, control=False))
        except ValueError as error:
            failure = Failure(kind="error", message=str(error), phase="preparing", set_index=0)
            return CellRecord(cell=cell, failure=failure)
        noise = (len(cell.id) % 5 - 2) * NOISE
        visits = [
            Visit(
                set_index=set_index,
                round_index=round_index,
                host_s=(cell.batch_size * 0.01 / speed * (1 + noise * (-1) ** set_index),),
            )
            for set_index in range(sets)
            for round_index in range(ROUNDS)
        ]
        setup = Setup(output_error=self.errors.get(cell.dtype, 1e-7), image_size=32)
        return CellRecord(
            cell=cell,
            visits=tuple(visits),
            setups=(setup,) if visits else (),
            cost=ArchCost(params=1),
        )


def modes_of(plan: Plan) -> list[str]:
    """Return the labels of a plan's cells, without the reference."""
    reference = waves.reference(plan.cells, plan.reference_arch, plan.reference_mode)
    return [cell.label for cell in plan.cells if cell != reference]
