"""The workers that are alive together, by their cells.

What goes wrong with one is its cell's result, and costs no other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.cells.cell import Cell
from bench.engine.context import Context
from bench.engine.process import WorkerError, WorkerProcess
from bench.records import events
from bench.records.record import Failure


class Pool:
    """The workers of one wave in one set."""

    def __init__(self, context: Context, *, set_index: int, wave_index: int) -> None:
        self.where: dict[str, Any] = {"set_index": set_index, "wave_index": wave_index}
        """What every event of theirs says."""
        self.without_memory: dict[Cell, Failure] = {}
        """Cells whose workers ran out of memory, which fewer workers at a time may help."""
        self._context = context
        self._set = set_index
        self._live: dict[Cell, WorkerProcess] = {}

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._live

    def __iter__(self) -> Iterator[Cell]:
        """The cells whose workers are alive, as of now: they may be ended meanwhile."""
        return iter(tuple(self._live))

    def __len__(self) -> int:
        return len(self._live)

    def __getitem__(self, cell: Cell) -> WorkerProcess:
        return self._live[cell]

    @property
    def pids(self) -> tuple[int, ...]:
        """Their processes."""
        return tuple(worker.pid for worker in self._live.values())

    def launch(self, cell: Cell) -> WorkerProcess:
        """Start a cell's worker."""
        self._live[cell] = self._context.launcher_of(base=cell.base).launch()
        return self._live[cell]

    def close(self, cell: Cell) -> None:
        """End a worker that has done what it was started for."""
        self._live.pop(cell).close()

    def kill(self) -> None:
        """End whatever is still alive."""
        for worker in self._live.values():
            worker.kill()
        self._live.clear()

    def learn(self, cell: Cell, **facts: Any) -> None:
        """Tell what a worker showed."""
        self._context.tell(events.WorkerReported(cell=cell.id, **self.where, facts=facts))

    @contextmanager
    def may_fail(self, cell: Cell, phase: str) -> Iterator[None]:
        """Make a worker's failure its cell's result, and go on without the worker.

        That none can be started any more is no cell's failure, and raised.
        """
        try:
            yield
        except WorkerError as error:
            if cell in self._live:
                self._live.pop(cell).kill()
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
                self.without_memory[cell] = failure
                return
            self.fail(cell, failure)

    def fail(self, cell: Cell, failure: Failure) -> None:
        """Tell of a failure."""
        self._context.tell(events.Failed(cell=cell.id, failure=failure))
        self._context.progress.failed(cell, failure)

    def _kind(self, error: WorkerError) -> str:
        starved = error.was_killed and self._context.memory_budget.claims_kill()
        return "out_of_memory" if starved else error.kind
