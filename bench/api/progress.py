"""Progress of a run: phase, cell and remaining steps, as bars on a terminal or lines in a log."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.cells.cell import Cell
from bench.records.record import Failure


class TerminalProgress:
    """A live bar for each phase; a line for each phase if the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[dim]{task.fields[what]}"),
            console=console,
        )
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # stop() writes a line even if bars are disabled
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish_phase()
        if self._console.is_terminal:
            self._bars.stop()

    def phase(self, name: str, total: int) -> None:
        """Begin a phase of ``total`` steps."""
        self._finish_phase()
        if self._console.is_terminal:
            self._bars.add_task(name, total=total, what="")
        else:
            self._line(f"{name} ({total} steps)")

    def advance(self, what: str) -> None:
        """Count one step of the phase, which did ``what``."""
        if self._bars.task_ids:
            self._bars.update(self._bars.task_ids[-1], advance=1, what=escape(what))

    def add_steps(self, steps: int, why: str) -> None:
        """Add steps to the total of the phase, and show why."""
        if self._bars.task_ids:
            task = self._bars.tasks[-1]
            self._bars.update(task.id, total=(task.total or 0) + steps, what=escape(why))

    def note(self, what: str) -> None:
        """Print a message immediately, during any phase."""
        self._line(what)

    def failed(self, cell: Cell, failure: Failure) -> None:
        """Print immediately that a cell failed, and why."""
        self._line(f"failed: {cell.id} while {failure.phase}: {failure.message}")

    def _finish_phase(self) -> None:
        if self._bars.task_ids:
            self._bars.update(self._bars.task_ids[-1], what="")

    def _line(self, text: str) -> None:
        elapsed = time.monotonic() - self._start
        self._console.print(f"{elapsed:6.1f} s  {text}", markup=False, highlight=False)
