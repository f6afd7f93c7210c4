"""The engine: sets of live workers, visited in rounds of random order.

Whatever a worker does costs its own cell at the most; all others are still measured.
"""

import random
import select
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bench.cell import Cell
from bench.launch import Launcher, WorkerError, WorkerProcess
from bench.plan import Plan
from bench.record import CellRecord, Failure, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

DROPPED = (
    1  # first iterations of a visit: +25 % after another live process ran (caches, its spinning)
)
VISIT_S = 0.1  # what a visit's timed iterations should take together
LEAST_ITERATIONS, MOST_ITERATIONS = 2, 20
PREPARE_LIMIT_S = 900.0  # compiling GoogLeNet takes 30 s cold; a large network on few cores minutes
WARM_UP_LIMIT_S = 300.0
VISIT_LIMIT_FACTOR, VISIT_LIMIT_S = 20, 60.0  # a visit may take this many times what it should
SHORT_LIMIT_S = 120.0  # what needs no measuring: describing, counting, finishing


class Progress(Protocol):
    """Who wants to know how far the run is."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``total`` steps begins."""
        ...

    def advance(self, what: str) -> None:
        """A step of the phase is done."""
        ...

    def failed(self, cell: Cell, failure: Failure) -> None:
        """A cell failed."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a run has measured so far; complete enough to report at any moment."""

    plan: Plan
    status: str = "complete"
    phases_s: dict[str, float] = field(default_factory=dict)
    visits: dict[Cell, list[Visit]] = field(default_factory=dict)
    setups: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[Cell, Failure] = field(default_factory=dict)
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    def records(self) -> tuple[CellRecord, ...]:
        """A record for each cell of the plan, in its order."""
        return tuple(
            CellRecord(
                cell=cell,
                visits=tuple(self.visits.get(cell, ())),
                setups=tuple(self.setups.get(cell, ())),
                cost=self.costs.get(cell.arch, {}),
                failure=self.failures.get(cell),
            )
            for cell in self.plan.cells
        )


class Run:
    """A run under way."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        progress: Progress,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outcome = Outcome(plan=plan)
        self._plan = plan
        self._launcher = launcher
        self._progress = progress
        self._now = now
        self._order = random.Random(plan.seed)
        self._live: dict[Cell, WorkerProcess] = {}
        self._latency_s: dict[Cell, float] = {}
        self._measuring_since: float | None = None

    def measure(self) -> Outcome:
        """Measure the whole plan, as far as the budget and the user let it.

        Raises ``WorkerError`` where no worker can be started, or the device is not there, and
        ``KeyboardInterrupt`` where nothing was measured yet.
        """
        try:
            self._ask_clerk()
            for set_index in range(self._plan.sets):
                for wave in self._plan.waves:
                    if self._over_budget():
                        return self.outcome
                    self._measure_wave(set_index, wave)
        except KeyboardInterrupt:
            if not self.outcome.visits:
                raise
            self.outcome.status = "interrupted"
        finally:
            for worker in self._live.values():
                worker.kill()
        return self.outcome

    def _ask_clerk(self) -> None:
        """Have the environment described and costs counted, by a worker that measures nothing."""
        arch_names = list(dict.fromkeys(cell.arch for cell in self._plan.cells))
        self._progress.phase("importing torch", 1 + len(arch_names))
        with self._timed("importing"):
            clerk = self._launcher.launch()
            try:
                self.outcome.environment = clerk.request(
                    "describe", limit_s=SHORT_LIMIT_S, device=self._plan.cells[0].device
                )
                self._progress.advance("environment")
            except BaseException:
                clerk.kill()
                raise
        with self._timed("counting"):
            for name in arch_names:
                clerk = self._count(clerk, name)
                self._progress.advance(name)
            clerk.close()

    def _count(self, clerk: WorkerProcess, arch: str) -> WorkerProcess:
        """Have one arch counted; a clerk that died of it is followed by another."""
        try:
            self.outcome.costs[arch] = clerk.request(
                "cost", limit_s=SHORT_LIMIT_S, arch=arch, image_size=self._plan.image_size
            )
        except WorkerError as error:
            if error.kind == "request":
                clerk.kill()
                raise
            self.outcome.costs[arch] = {"error": str(error)}
            if error.kind in {"died", "timeout"}:
                return self._launcher.launch()
        except BaseException:
            clerk.kill()
            raise
        return clerk

    def _measure_wave(self, set_index: int, wave: tuple[Cell, ...]) -> None:
        """One set of one wave: fresh workers, alive together, and their rounds."""
        cells = [cell for cell in wave if cell not in self.outcome.failures]
        setups: dict[Cell, dict[str, Any]] = {}
        self._live = {}
        for cell in cells:
            with self._cell_may_fail(cell, "starting", set_index):
                self._live[cell] = self._launcher.launch()
        with self._timed("preparing"):
            self._prepare(set_index, setups)
        with self._timed("warming up"):
            self._warm_up(set_index, setups)
        with self._timed("measuring"):
            self._visit_in_rounds(set_index)
        for cell in list(self._live):
            with self._cell_may_fail(cell, "finishing", set_index):
                worker = self._live[cell]
                setups[cell] |= worker.request("finish", limit_s=SHORT_LIMIT_S)
                del self._live[cell]
                worker.close()

    def _prepare(self, set_index: int, setups: dict[Cell, dict[str, Any]]) -> None:
        """Build, compile and check every network, as many at a time as there are cores."""
        self._progress.phase(f"set {set_index + 1}: compiling and checking", len(self._live))
        at_once = int(self.outcome.environment["physical_cores"])
        waiting, busy = deque(self._live), dict[Cell, float]()
        while waiting or busy:
            while waiting and len(busy) < at_once:
                cell = waiting.popleft()
                with self._cell_may_fail(cell, "preparing", set_index):
                    self._live[cell].send(
                        "prepare",
                        cell=asdict(cell),
                        image_size=self._plan.image_size,
                        seed=self._plan.seed,
                    )
                    busy[cell] = self._now()
            select.select([self._live[cell] for cell in busy], [], [], 1.0)
            for cell in list(busy):
                answered = select.select([self._live[cell]], [], [], 0)[0]
                if not answered and self._now() - busy[cell] < PREPARE_LIMIT_S:
                    continue
                del busy[cell]
                with self._cell_may_fail(cell, "preparing", set_index):
                    if not answered:
                        raise self._live[cell].hung(PREPARE_LIMIT_S)
                    setups[cell] = self._live[cell].receive(SHORT_LIMIT_S)
                    self.outcome.setups.setdefault(cell, []).append(setups[cell])
                self._progress.advance(cell.id)

    def _warm_up(self, set_index: int, setups: dict[Cell, dict[str, Any]]) -> None:
        """Warm up one worker at a time: many at once trip over each other's spinning threads."""
        self._progress.phase(f"set {set_index + 1}: warming up", len(self._live))
        for cell in list(self._live):
            with self._cell_may_fail(cell, "warming up", set_index):
                reply = self._live[cell].request("warm_up", limit_s=WARM_UP_LIMIT_S)
                setups[cell]["warm_up_iterations"] = len(reply["durations_s"])
                setups[cell]["warm_up_s"] = sum(reply["durations_s"])
                self._latency_s[cell] = min(reply["durations_s"])
            self._progress.advance(cell.id)

    def _visit_in_rounds(self, set_index: int) -> None:
        self._progress.phase(f"set {set_index + 1}: measuring", self._plan.rounds * len(self._live))
        if self._measuring_since is None:
            self._measuring_since = self._now()
        for round_index in range(self._plan.rounds):
            if self._over_budget():
                return
            order = list(self._live)
            self._order.shuffle(order)
            for cell in order:
                with self._cell_may_fail(cell, "measuring", set_index):
                    self._visit(cell, set_index, round_index)
                self._progress.advance(cell.id)

    def _visit(self, cell: Cell, set_index: int, round_index: int) -> None:
        iterations = iterations_for(self._latency_s[cell])
        expected_s = (DROPPED + iterations) * self._latency_s[cell]
        reply = self._live[cell].request(
            "measure",
            limit_s=VISIT_LIMIT_S + VISIT_LIMIT_FACTOR * expected_s,
            iterations=DROPPED + iterations,
        )
        self.outcome.visits.setdefault(cell, []).append(
            Visit(
                set_index=set_index,
                round_index=round_index,
                host_s=tuple(reply["host_s"][DROPPED:]),
                device_s=tuple(reply["device_s"][DROPPED:]),
            )
        )

    @contextmanager
    def _cell_may_fail(self, cell: Cell, phase: str, set_index: int) -> "Iterator[None]":
        """Make a worker's failure its cell's result, and go on without the worker."""
        try:
            yield
        except WorkerError as error:
            if cell in self._live:
                self._live.pop(cell).kill()
            failure = Failure(
                kind=error.kind,
                message=str(error),
                phase=phase,
                set_index=set_index,
                stderr=error.stderr,
            )
            self.outcome.failures[cell] = failure
            self._progress.failed(cell, failure)

    @contextmanager
    def _timed(self, phase: str) -> "Iterator[None]":
        start = self._now()
        try:
            yield
        finally:
            spent = self.outcome.phases_s
            spent[phase] = spent.get(phase, 0.0) + self._now() - start

    def _over_budget(self) -> bool:
        if self._plan.budget_s is None or self._measuring_since is None:
            return False
        over = self._now() - self._measuring_since > self._plan.budget_s
        if over:
            self.outcome.status = "over_budget"
        return over


def iterations_for(latency_s: float) -> int:
    """Timed iterations of a visit: many of a fast network, few of a slow one."""
    return max(LEAST_ITERATIONS, min(MOST_ITERATIONS, round(VISIT_S / max(latency_s, 1e-6))))
