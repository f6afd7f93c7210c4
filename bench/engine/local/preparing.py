"""Preparation of a wave's workers: they build, compile and check their networks, one per core.

A worker that compiled its graph is replaced by a fresh one, which finds the graph in the cache. So
all workers have the same history, and no two workers compile the same graph.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from multiprocessing.connection import wait

from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.cells.waves import Wave
from bench.engine.local.context import Context, Steps
from bench.engine.local.pool import Pool
from bench.launch import timeouts
from bench.records import events
from bench.records.reported import Setup
from bench.worker.protocol import Prepare


class Preparation:
    """Starts and prepares the workers of a wave."""

    def __init__(
        self,
        context: Context,
        wave: Wave,
        live: Pool,
        cells: Collection[Cell],
        device: str,
        *,
        in_any_order: bool = False,
    ) -> None:
        """``in_any_order``: whether the cells without which nothing can be compared may be last.

        Then they do not start either if memory has no room for them, unless there are no others.
        """
        self.deferred: list[Cell] = []
        """Cells that are left out, because memory has no room for them or for their base."""
        self._context = context
        self._live = live
        self._cells = tuple(cells)
        self._wave = wave
        self._in_any_order = in_any_order
        self._group = wave.reference.group
        self._device = device
        self._held_bytes: dict[Cell, int] = {}
        self._replaced: set[Cell] = set()
        self._alone = False  # whether only one worker has started since the last reply
        # Start and end of each worker's preparation, in seconds: those that filled the cache with
        # compiled code, and all others.
        self._compilations: list[tuple[float, float]] = []
        self._preparations: list[tuple[float, float]] = []

    @property
    def held_bytes(self) -> int:
        """Host memory that all prepared workers hold, in bytes."""
        return sum(held for cell, held in self._held_bytes.items() if cell in self._live)

    @property
    def compiling_s(self) -> float:
        """Time in which workers did nothing but fill the cache with compiled code, in seconds."""
        return only_s(self._compilations, self._preparations)

    def run(self) -> Steps:
        """Prepare a worker for each cell, as long as memory has room for all of them together."""
        context, start = self._context, self._context.now()
        try:
            yield from self._run()
        finally:
            preparing_s = context.now() - start - self.compiling_s
            for phase, seconds in (("compiling", self.compiling_s), ("preparing", preparing_s)):
                context.emit(events.PhaseTimed(phase=phase, seconds=seconds))

    def _run(self) -> Steps:
        live, now = self._live, self._context.now
        waiting, busy = deque(self._cells), dict[Cell, float]()
        memory_budget = self._context.memory_budget
        while waiting or busy:
            while waiting and len(busy) < memory_budget.cores:
                cell = next((cell for cell in waiting if not must_wait(cell, busy)), None)
                if cell is None or (busy and memory_budget.wants_one_at_a_time):
                    break
                if cell not in self._needed and not memory_budget.holds_another(
                    self._group, live=len(live), starting=len(busy)
                ):
                    if not busy:
                        waiting = self._defer(waiting)
                    break
                waiting.remove(cell)
                self._alone = self._alone and not busy
                with live.may_fail(cell, "preparing"):
                    self._begin(cell, threads=self._threads(len(waiting), len(busy)))
                    busy[cell] = now()
            if busy:
                wait([live[cell].fileno() for cell in busy], 1.0)
            for cell in list(busy):
                replied = wait([live[cell].fileno()], 0)
                is_in_time = now() - busy[cell] < timeouts.PREPARE_S
                spans = self._preparations
                with live.may_fail(cell, "preparing"):
                    if not replied and is_in_time:
                        live[cell].check_running()
                        continue
                    if not replied:
                        raise live[cell].hung(timeouts.PREPARE_S)
                    if self._must_replace(cell):
                        spans = self._compilations
                        waiting.appendleft(cell)
                spans.append((busy.pop(cell), now()))
                self._alone = not busy and cell in live
                if cell not in waiting:
                    self._context.progress.advance(cell.id)
                yield

    @property
    def _needed(self) -> tuple[Cell, ...]:
        """The cells that start even if memory has no room for them."""
        dead = {cell for cell in self._cells if cell.id in self._context.failed}
        dead |= self._live.out_of_memory.keys()
        alive = [cell for cell in self._cells if cell not in dead]
        needed = self._wave.needed(alive)
        return () if self._in_any_order and len(needed) < len(alive) else needed

    def _defer(self, waiting: Collection[Cell]) -> deque[Cell]:
        """Leave out the cells that wait, except the needed ones, which are returned.

        A cell and its base are alive together or not at all, so that the visits of every wave can
        be compared.
        """
        needed = self._needed
        self.deferred += [cell for cell in waiting if cell not in needed]
        for cell in self._live:
            if replace(cell, base=not cell.base) in self.deferred:
                self._live.drop(cell)
                self.deferred.append(cell)
        return deque(cell for cell in waiting if cell in needed)

    def _begin(self, cell: Cell, threads: int) -> None:
        plan = self._context.plan
        self._live.launch(cell).send(
            Prepare(
                cell=replace(cell, device=self._device),
                image_size=plan.image_size,
                input_shape=plan.input_shape,
                l2=plan.l2,
                seed=plan.seed,
                threads=threads,
                is_cached=cell in self._replaced
                or was_measured(plan, self._device, before=self._live.indices["set_index"]),
                is_profiled=plan.profiles(self._live.indices["set_index"]),
            )
        )

    def _threads(self, waiting: int, busy: int) -> int:
        """Return the threads for one worker, so that all workers together do not exceed the cores.

        With more threads than cores, threads wait for each other.
        """
        cores = self._context.memory_budget.cores
        return max(1, cores // min(cores, waiting + busy + 1))

    def _must_replace(self, cell: Cell) -> bool:
        """Process the reply of a prepared worker; return True if it compiled and was closed.

        A fresh worker then has to take its place.
        """
        prepared = self._live[cell].receive(Prepare, timeouts.SHORT_S)
        self._context.memory_budget.learn(self._group, prepared, alone=self._alone)
        if prepared.compile_cached is False and cell not in self._replaced:
            self._context.emit(events.Compiled(cell=cell.id, seconds=prepared.first_call_s))
            self._replaced.add(cell)
            self._live.close(cell)
            return True
        self._held_bytes[cell] = prepared.host_bytes
        self._live.report(cell, Setup.from_reply(prepared, device=self._device))
        return False


def was_measured(plan: Plan, device: str, *, before: int) -> bool:
    """Return whether a set before index ``before`` used the device, and so filled its cache."""
    return any(plan.device_of(earlier) == device for earlier in range(before))


def covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return the total time that the (start, end) spans cover; overlaps count once."""
    total, until = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def only_s(spans: Iterable[tuple[float, float]], others: Iterable[tuple[float, float]]) -> float:
    """Return the time that ``spans`` cover and ``others`` do not.

    While one worker fills the cache, others prepare as they would in any set. Their time must not
    count as compilation, or a run that begins with an empty cache would take a set to start in no
    time, and give it few rounds.
    """
    others = tuple(others)
    return covered_s((*spans, *others)) - covered_s(others)


def must_wait(cell: Cell, busy: Collection[Cell]) -> bool:
    """Return whether a cell must wait before it prepares, given the cells that prepare now.

    A cell waits while another worker compiles the same graph. A mode that tries out kernels must
    prepare alone, because other workers would influence its choice.
    """
    if any(modes.parse(other.mode).executor.is_exclusive for other in (cell, *busy)):
        return bool(busy)
    return modes.parse(cell.mode).executor.has_disk_cache and any(
        other.arch == cell.arch and other.mode == cell.mode for other in busy
    )
