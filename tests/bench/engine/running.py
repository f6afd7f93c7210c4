"""Helpers for tests of runs: plans, progress observers, and fake load meters."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.hosts.local import LocalHost
from bench.engine.run import Run
from bench.launch.launchers import Launcher
from bench.machine.load import CpuTimes, LoadMeter
from bench.machine.run_cards import Cards
from bench.records.outcome import Outcome
from bench.records.record import Failure


class Watcher:
    """A progress observer that records all calls."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int]] = []
        self.advances: list[list[str]] = []
        self.failures: dict[str, Failure] = {}
        self.completed: list[int] = []
        """Steps of each phase that are complete."""
        self.judgements: list[tuple[int, int, str]] = []
        self.notes: list[str] = []

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))
        self.advances.append([])
        self.completed.append(0)

    def advance(self, what: str, steps: int = 1) -> None:
        if what:
            self.advances[-1].append(what)
        self.completed[-1] += steps

    def visited(self, what: str) -> None:
        self.advances[-1].append(what)

    def judged(self, voided: int, rounds: int, why: str) -> None:
        self.judgements.append((voided, rounds, why))

    def note(self, what: str) -> None:
        self.notes.append(what)

    def failed(self, cell: Cell, failure: Failure) -> None:
        self.failures[cell.arch.partition(":")[2]] = failure


class Clock(Watcher):
    """A clock that advances by ten seconds for each set of a group, and only then."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def now(self) -> float:
        return self.now_s

    def phase(self, name: str, total: int) -> None:
        super().phase(name, total)
        if name.endswith("measuring"):
            self.now_s += 10.0


class Quiet:
    """A load meter that never reports foreign load."""

    def read(self, pids: Iterable[int]) -> CpuTimes:
        return CpuTimes(at_s=0.0, busy_s=0.0, own_s=dict.fromkeys(pids, 0.0))


class Busy:
    """A load meter that reports a foreign busy CPU in each pair of readings whose flag is set."""

    def __init__(self, busy: Iterable[bool]) -> None:
        self._busy = iter(busy)
        self._at_s = 0.0
        self._busy_s = 0.0
        self._begun = False

    def read(self, pids: Iterable[int]) -> CpuTimes:
        del pids
        if self._begun:
            self._at_s += 1.0
            self._busy_s += 1.0 if next(self._busy) else 0.0
        self._begun = not self._begun
        return CpuTimes(at_s=self._at_s, busy_s=self._busy_s, own_s={})


def cell(factory: str, batch_size: int = 1) -> Cell:
    return Cell(
        arch=f"tests.bench.broken:{factory}",
        mode="eager",
        dtype="fp32",
        batch_size=batch_size,
        task="infer",
        device="cpu",
    )


def plan(*cells: Cell, sets: int = 1, rounds: int | None = 3, **overrides: Any) -> Plan:
    """Return a plan that adds no sets for precision."""
    return Plan(
        cells=cells,
        **{
            "sets": sets,
            "rounds": rounds,
            "precision": 0.02,
            "extra_s": 0.0,
            "budget_s": None,
            "seed": 5,
            "image_size": 32,
            **overrides,
        },
    )


def run(
    request: Plan,
    launcher: Launcher,
    watcher: Watcher | None = None,
    *,
    now: Callable[[], float] = time.monotonic,
    base_launcher: Launcher | None = None,
    cards: Cards | None = None,
    meter: LoadMeter | None = None,
    **options: Any,
) -> Run:
    """Return a run on this machine, without foreign load."""
    watcher = watcher or Watcher()
    host = LocalHost(
        request,
        launcher,
        watcher,
        base_launcher=base_launcher,
        cards=cards,
        meter=meter or Quiet(),
        now=now,
    )
    return Run(request, host, watcher, now=now, **options)


def record_of(outcome: Outcome, target: Cell) -> Any:
    records = {record.cell: record for record in (*outcome.records(), *outcome.controls())}
    return records[target]


def visited(outcome: Outcome, target: Cell) -> list[tuple[int, int]]:
    """Return the (set, round) of each visit of a cell."""
    return [(v.set_index, v.round_index) for v in record_of(outcome, target).visits]
