"""Progress: what a run tells its user while it measures."""

from typing import Protocol

from bench.cells.cell import Cell
from bench.records.record import Failure


class Progress(Protocol):
    """An observer of a run's progress."""

    def phase(self, name: str, total: int) -> None:
        """Start a phase of ``total`` steps."""
        ...

    def advance(self, what: str, steps: int = 1) -> None:
        """Complete steps of the current phase; ``what`` names the last one."""
        ...

    def visited(self, what: str) -> None:
        """Name a part of a step that is done. The step counts only when it is complete."""
        ...

    def judged(self, voided: int, rounds: int, why: str) -> None:
        """Report how many of a phase's ``rounds`` were voided until now.

        ``why`` is the reason for the most recent ones; empty if they are valid.
        """
        ...

    def failed(self, cell: Cell, failure: Failure) -> None:
        """Report that a cell failed."""
        ...

    def note(self, what: str) -> None:
        """Show the user a message at once."""
        ...
