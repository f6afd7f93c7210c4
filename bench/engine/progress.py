"""Progress: what a run tells its user while it measures."""

from typing import Protocol

from bench.cells.cell import Cell
from bench.records.record import Failure


class Progress(Protocol):
    """An observer of a run's progress."""

    def phase(self, name: str, total: int) -> None:
        """Start a phase of ``total`` steps."""
        ...

    def advance(self, what: str) -> None:
        """Complete a step of the current phase; ``what`` names the step."""
        ...

    def add_steps(self, steps: int, why: str) -> None:
        """Add steps to the current phase; ``why`` is the reason."""
        ...

    def failed(self, cell: Cell, failure: Failure) -> None:
        """Report that a cell failed."""
        ...

    def note(self, what: str) -> None:
        """Show the user a message at once."""
        ...
