"""The context that all parts of a host share: plan, launchers, progress, clock and events."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.local.measurement import Iterations, Measurement
from bench.engine.progress import Progress
from bench.launch.launchers import Launcher
from bench.machine.card import Card
from bench.machine.load import LoadMeter
from bench.machine.memory_budget import MemoryBudget
from bench.records import events
from bench.records.record import Failure

Steps: TypeAlias = Generator[None, None, None]
"""Work that pauses after each step, so that the events of the step can be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The objects that the parts of a host share."""

    plan: Plan
    launcher: Launcher
    base_launcher: Launcher | None = None
    """Launcher for the base side of a gate; None without a base."""
    progress: Progress
    meter: LoadMeter
    memory_budget: MemoryBudget
    measurement: Measurement = field(default_factory=Iterations)
    cards: Mapping[str, Card] = field(default_factory=dict)
    """CUDA devices whose state can be read, by device name."""
    now: Callable[[], float] = time.monotonic
    unix_time: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    pending: deque[events.Event] = field(default_factory=deque)
    """Events since the last step."""
    failed: set[str] = field(default_factory=set)
    """Ids of the cells that failed on this host."""

    def emit(self, event: events.Event) -> None:
        """Add an event, which the host yields after the current step."""
        self.pending.append(event)

    def drain(self) -> Iterator[events.Event]:
        """Yield and remove the events since the last step."""
        while self.pending:
            yield self.pending.popleft()

    def fail(self, cell: Cell, failure: Failure) -> None:
        """Record the failure of a cell, which is not tried again."""
        self.failed.add(cell.id)
        self.emit(events.Failed(cell=cell.id, failure=failure))
        self.progress.failed(cell, failure)

    def launcher_of(self, *, base: bool) -> Launcher:
        """Return the launcher for workers of one side."""
        return self.base_launcher if base and self.base_launcher else self.launcher

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of the run's own processes, except the workers."""
        return tuple(pid for launcher in self._launchers for pid in launcher.pids)

    def renew(self) -> None:
        """Renew the launchers, so that later workers share no process with earlier ones."""
        for launcher in self._launchers:
            launcher.renew()
        self.wait()

    def wait(self) -> None:
        """Wait until all fork servers have finished importing."""
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
