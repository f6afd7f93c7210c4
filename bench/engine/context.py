"""The context: what every part of a run uses, and whom it tells."""

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
    """Who wants to know how far the run is."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``total`` steps begins."""
        ...

    def advance(self, what: str) -> None:
        """A step of the phase is done."""
        ...

    def more(self, steps: int, why: str) -> None:
        """The phase takes so many steps more."""
        ...

    def failed(self, cell: Cell, failure: Failure) -> None:
        """A cell failed."""
        ...

    def note(self, what: str) -> None:
        """Something happened that a user will want to know at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the parts of a run share."""

    plan: Plan
    launcher: Launcher
    base_launcher: Launcher | None
    """Of what a gate compares ours with."""
    progress: Progress
    meter: LoadMeter
    memory_budget: MemoryBudget
    tell: Callable[[events.Event], None]
    """Keep an event: in the outcome, and in the journal."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """The CUDA devices whose state is known, by name."""
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def launcher_of(self, *, base: bool) -> Launcher:
        """What starts workers of a side."""
        return self.base_launcher if base and self.base_launcher else self.launcher

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes besides the workers whose CPU time is this run's own."""
        return tuple(pid for launcher in self._launchers for pid in launcher.pids)

    def renew(self) -> None:
        """Have no later worker share with an earlier one what its launcher may give to both."""
        with self.timed("importing"):
            for launcher in self._launchers:
                launcher.renew()
        self.wait()

    def wait(self) -> None:
        """Wait until nothing is being imported."""
        with self.timed("importing"):
            for launcher in self._launchers:
                launcher.wait()

    @property
    def _launchers(self) -> tuple[Launcher, ...]:
        return (self.launcher, *((self.base_launcher,) if self.base_launcher else ()))

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Account the wall time of a block to ``phase``."""
        start = self.now()
        try:
            yield
        finally:
            self.tell(events.PhaseTimed(phase=phase, seconds=self.now() - start))
