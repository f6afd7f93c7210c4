"""The workers that are alive together, by cell.

A worker's failure becomes the result of its cell and does not affect other cells.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.cells.cell import Cell
from bench.engine.local.context import Context
from bench.launch.process import WorkerError, WorkerProcess
from bench.records import events
from bench.records.record import Failure
from bench.records.reported import Setup


class Pool:
    """The workers of one wave in one set."""

    def __init__(self, context: Context, *, set_index: int, wave_index: int) -> None:
        self.indices: dict[str, Any] = {"set_index": set_index, "wave_index": wave_index}
        """Set and wave, as fields of every event about these workers."""
        self.out_of_memory: dict[Cell, Failure] = {}
        """Cells whose workers ran out of memory; they may work with fewer workers at a time."""
        self._context = context
        self._set = set_index
        self._live: dict[Cell, WorkerProcess] = {}

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._live

    def __iter__(self) -> Iterator[Cell]:
        """Iterate over a copy of the live cells, because workers may end during the iteration."""
        return iter(tuple(self._live))

    def __len__(self) -> int:
        return len(self._live)

    def __getitem__(self, cell: Cell) -> WorkerProcess:
        return self._live[cell]

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the live workers."""
        return tuple(worker.pid for worker in self._live.values())

    def launch(self, cell: Cell) -> WorkerProcess:
        """Start the worker of a cell."""
        self._live[cell] = self._context.launcher_of(base=cell.base).launch()
        return self._live[cell]

    def close(self, cell: Cell) -> None:
        """End the worker of a cell, and wait for it to exit."""
        self._live.pop(cell).close()

    def drop(self, cell: Cell) -> None:
        """Kill the worker of a cell, if it is alive."""
        if cell in self._live:
            self._live.pop(cell).kill()

    def kill(self) -> None:
        """Kill all live workers."""
        for worker in self._live.values():
            worker.kill()
        self._live.clear()

    def report(self, cell: Cell, facts: Setup) -> None:
        """Emit facts about the worker of a cell."""
        self._context.emit(events.WorkerReported(cell=cell.id, **self.indices, facts=facts))

    @contextmanager
    def may_fail(self, cell: Cell, phase: str) -> Iterator[None]:
        """Record a worker's failure as the result of its cell, and continue without the worker.

        Raises ``WorkerError`` if no worker can be started, which is not the failure of a cell.
        """
        try:
            yield
        except WorkerError as error:
            self.drop(cell)
            if error.kind == "start":
                raise
            if error.kind == "died":
                self._context.launcher_of(base=cell.base).check()
            failure = Failure(
                kind=self._kind(error),
                message=str(error),
                phase=phase,
                set_index=self._set,
                stderr=error.stderr,
            )
            if failure.kind == "out_of_memory":
                self.out_of_memory[cell] = failure
                return
            self._context.fail(cell, failure)

    def _kind(self, error: WorkerError) -> str:
        ran_out = error.was_killed and self._context.memory_budget.claims_kill()
        return "out_of_memory" if ran_out else error.kind
