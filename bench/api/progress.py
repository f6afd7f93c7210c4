"""Progress of a run: phase, cell and remaining steps, as bars on a terminal or lines in a log."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from bench.cells.cell import Cell
from bench.records.record import Failure
from bench.units import counted


class _Bars(Progress):
    """Bars, with a line below them that stays until it changes."""

    below = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bars and the line."""
        yield from super().get_renderables()
        if self.below:
            yield Text(self.below, style="yellow")


class TerminalProgress:
    """A live bar for each phase; a line for each phase if the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_voided = False  # whether the most recent rounds were voided
        self._bars = _Bars(
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
            self._line(f"{name} ({counted(total, 'step')})")

    def advance(self, what: str, steps: int = 1) -> None:
        """Count steps of the phase, the last of which did ``what``."""
        if self._bars.task_ids:
            self._bars.update(self._bars.task_ids[-1], advance=steps, what=escape(what))

    def visited(self, what: str) -> None:
        """Show a part of a step that is done."""
        self.advance(what, steps=0)

    def judged(self, voided: int, rounds: int, why: str) -> None:
        """Show how many rounds were voided: below the bars, or in a log each time that changes."""
        text = f"{voided} of {counted(rounds, 'round')} voided: {why or 'the last ones are valid'}"
        self._bars.below = text if voided else ""
        changes, self._is_voided = bool(why) != self._is_voided, bool(why)
        if changes and not self._console.is_terminal:
            self._line(text)

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
