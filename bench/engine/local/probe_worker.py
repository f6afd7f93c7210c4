"""A probe worker: belongs to no cell, describes the environment and counts the cost of archs.

In a gate each side has its own, because the sides may differ in both.
"""

from types import TracebackType
from typing import Self

import msgspec

from bench.cells.plan import Plan
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerError, WorkerProcess
from bench.machine.environment import Environment
from bench.records.reported import ArchCost, Ceiling
from bench.worker.protocol import CountCost, Describe, MeasureCeiling

SIDES = ("head: ", "base: ")  # prefixes of errors, for the sides of a gate


class ProbeWorker:
    """A probe worker and its process, for the duration of a ``with`` block."""

    def __init__(self, launcher: Launcher, plan: Plan, *, is_base: bool = False) -> None:
        """Start the worker; raises ``WorkerError`` if that fails.

        In a gate, errors name the side.
        """
        self._launcher = launcher
        self._plan = plan
        self._is_base = is_base
        self._side = SIDES[is_base] if plan.against_base else ""
        self._worker = self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._worker.close()
        else:
            self._worker.kill()

    def describe(self) -> Environment:
        """Return the environment; raises ``WorkerError`` if the device is missing."""
        try:
            plan = self._plan
            request = Describe(device=plan.device_of(0), libraries=plan.libraries)
            return self._worker.request(request, limit_s=timeouts.SHORT_S)
        except WorkerError as error:
            raise error.prefixed(self._side) from error

    def count(self, arch: str) -> ArchCost:
        """Return the theoretical cost of an arch, or why it is unknown, and its accuracy.

        An accuracy of the user's own replaces the published one.
        Raises ``WorkerError`` if the arch is unknown or a user's own factory raises, except for the
        base of a gate, which need not have the arch.
        """
        cost = self._count(arch)
        own = self._plan.accuracies.get(arch)
        if own is None:
            return cost
        return msgspec.structs.replace(cost, accuracy=own.percent, accuracy_source=own.source)

    def _count(self, arch: str) -> ArchCost:
        try:
            plan = self._plan
            request = CountCost(
                arch=arch,
                image_size=plan.image_size,
                input_shape=plan.input_shape,
                seed=plan.seed,
            )
            return self._worker.request(request, limit_s=timeouts.SHORT_S)
        except WorkerError as error:
            if error.kind == "request" and not self._is_base:
                raise error.prefixed(self._side) from error
            return ArchCost(error=self._reason(error))

    def measure_ceiling(self, dtype: str) -> Ceiling:
        """Return the device's peak rates for a dtype, or why they are unknown."""
        try:
            request = MeasureCeiling(dtype=dtype, device=self._plan.device_of(0))
            return self._worker.request(request, limit_s=timeouts.SHORT_S)
        except WorkerError as error:
            return Ceiling(error=self._reason(error))

    def _reason(self, error: WorkerError) -> str:
        """Return the message of an error; replace the worker if it has ended."""
        if error.kind in {"died", "timeout"}:
            self._worker = self._launch()
        return str(error)

    def _launch(self) -> WorkerProcess:
        try:
            return self._launcher.launch()
        except WorkerError as error:
            raise error.prefixed(self._side) from error
