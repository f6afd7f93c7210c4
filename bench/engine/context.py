"""The context that all parts of a run share: plan, launchers, progress, clock and event sink."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.launch import Launcher
from bench.machine.card import Card
from bench.machine.load import LoadMeter
from bench.machine.memory_budget import MemoryBudget
from bench.records import events
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The objects that the parts of a run share."""

    plan: Plan
    launcher: Launcher
    base_launcher: Launcher | None
    """Launcher for the base side of a gate; None without a base."""
    progress: Progress
    meter: LoadMeter
    memory_budget: MemoryBudget
    emit: Callable[[events.Event], None]
    """Records an event in the outcome and in the journal."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """CUDA devices whose state can be read, by device name."""
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def launcher_of(self, *, base: bool) -> Launcher:
        """Return the launcher for workers of one side."""
        return self.base_launcher if base and self.base_launcher else self.launcher

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of the run's own processes, except the workers."""
        return tuple(pid for launcher in self._launchers for pid in launcher.pids)

    def renew(self) -> None:
        """Renew the launchers, so that later workers share no process with earlier ones."""
        with self.timed("importing"):
            for launcher in self._launchers:
                launcher.renew()
        self.wait()

    def wait(self) -> None:
        """Wait until all fork servers have finished importing."""
        with self.timed("importing"):
            for launcher in self._launchers:
                launcher.wait()

    @property
    def _launchers(self) -> tuple[Launcher, ...]:
        return (self.launcher, *((self.base_launcher,) if self.base_launcher else ()))

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the wall time of a block to ``phase``."""
        start = self.now()
        try:
            yield
        finally:
            self.emit(events.PhaseTimed(phase=phase, seconds=self.now() - start))
