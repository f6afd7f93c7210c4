"""Measurement: what a visit asks of a worker. Any measurement has the same waves and rounds."""

from dataclasses import dataclass
from typing import Protocol

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.local import visit_policy
from bench.engine.local.visit_policy import VisitPolicy
from bench.launch.process import WorkerProcess
from bench.worker.protocol import Measure, Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTask:
    """One visit to the worker of a cell."""

    cell: Cell
    key: tuple[int, int, int]
    """The indices of set, wave and round."""
    timed: int
    """Iterations that count."""
    dropped: int
    """Iterations before them that do not."""
    seed: int
    limit_s: float
    """Time limit for the reply, in seconds."""


class Measurement(Protocol):
    """A way to measure a worker."""

    def policy(self, plan: Plan, device: str) -> VisitPolicy:
        """Return how workers on a device are visited."""
        ...

    def visit(self, worker: WorkerProcess, task: VisitTask) -> Measured:
        """Measure a worker; raises ``WorkerError`` if it fails."""
        ...


class Iterations:
    """Times the iterations of a cell: one by one, and then back to back."""

    def policy(self, plan: Plan, device: str) -> VisitPolicy:
        """Return the policy for the device, the environment and what is compared."""
        return visit_policy.choose(device, plan.environment, versions=plan.compares_versions)

    def visit(self, worker: WorkerProcess, task: VisitTask) -> Measured:
        """Time the iterations of a visit."""
        request = Measure(
            iterations=task.timed,
            dropped=task.dropped,
            back_to_back=max(visit_policy.MIN_BACK_TO_BACK, task.timed),
        )
        return worker.request(request, limit_s=task.limit_s)
