"""The clerk: a worker of no cell, which tells what all of them run in and what they cost.

In a gate each side has one: they may differ in both.
"""

from types import TracebackType
from typing import Any, Self

from bench.cells.plan import Plan
from bench.engine import timeouts
from bench.engine.launch import Launcher
from bench.engine.process import WorkerError, WorkerProcess

SIDES = ("head: ", "base: ")  # of a gate, as an error names them


class ProbeWorker:
    """A clerk, for as long as it is asked something."""

    def __init__(self, launcher: Launcher, plan: Plan, *, is_base: bool = False) -> None:
        """Of a gate the side is named in what goes wrong; raises ``WorkerError``."""
        self._launcher = launcher
        self._plan = plan
        self._is_base = is_base
        self._side = SIDES[is_base] if plan.against_base else ""
        self._worker = self._launched()

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

    def describe(self) -> dict[str, Any]:
        """The environment; raises ``WorkerError`` where the device is not there."""
        try:
            return self._worker.request(
                "describe", limit_s=timeouts.SHORT_S, device=self._plan.device_of(0)
            )
        except WorkerError as error:
            raise error.named(self._side) from error

    def count(self, arch: str) -> dict[str, Any]:
        """What an arch costs on paper, or under ``error`` why that is not known.

        Raises ``WorkerError`` where there is no such arch, or a user's own factory raises; a gate's
        base need not have it.
        """
        try:
            return self._worker.request(
                "cost",
                limit_s=timeouts.SHORT_S,
                arch=arch,
                image_size=self._plan.image_size,
                seed=self._plan.seed,
            )
        except WorkerError as error:
            if error.kind == "request" and not self._is_base:
                raise error.named(self._side) from error
            return self._unknown(error)

    def measure_peak(self, dtype: str) -> dict[str, Any]:
        """What the device does at the most in a dtype, or under ``error`` why that is not known."""
        try:
            return self._worker.request(
                "ceiling", limit_s=timeouts.SHORT_S, dtype=dtype, device=self._plan.device_of(0)
            )
        except WorkerError as error:
            return self._unknown(error)

    def _unknown(self, error: WorkerError) -> dict[str, Any]:
        """Why something is not known; a worker that is gone is replaced for what comes next."""
        if error.kind in {"died", "timeout"}:
            self._worker = self._launched()
        return {"error": str(error)}

    def _launched(self) -> WorkerProcess:
        try:
            return self._launcher.launch()
        except WorkerError as error:
            raise error.named(self._side) from error
