"""A live wave: the workers of one wave in one set, from their start to their end."""

import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing.connection import wait
from typing import Any

from bench import energy, events, voiding
from bench.card import Around, Card, Reading
from bench.cell import Cell
from bench.context import Context
from bench.load import foreign_cpus
from bench.modes import is_compiled, is_tuned
from bench.process import WorkerError, WorkerProcess
from bench.record import BackToBack, Failure
from bench.waves import Wave

# libgomp's threads spin for some milliseconds after a visit, in the way of the next worker's: they
# cost the first iteration after them 15 %. After a pause of 5 ms that is 3 %, and half as long
# again changes nothing (GoogLeNet at batch 1, two cores).
HANDOVER_S = 0.005
# What the caches cost is left: 1.5 ms or less. That is 3 % of 50 ms, and 0.2 % of 300 ms.
DROPPED, SLOW_S = 1, 0.1  # first iterations of a visit that are dropped; none of a slower network
VISIT_S = 0.16  # what a visit's timed iterations should take together: 3 of 50 ms have a median
MOST_ITERATIONS = 20
LEAST_BACK_TO_BACK = 2  # iterations: of one alone nothing overlaps
MOST_ATTEMPTS = 2  # for each round that is wanted, where foreign load voids some
PREPARE_LIMIT_S = 900.0  # compiling GoogLeNet takes 30 s cold; a large network on few cores minutes
WARM_UP_LIMIT_S = 300.0
VISIT_LIMIT_FACTOR, VISIT_LIMIT_S = 20, 60.0  # a visit may take this many times what it should
SHORT_LIMIT_S = 120.0  # what needs no measuring: describing, counting, finishing


class LiveWave:
    """The workers of a wave, alive together."""

    def __init__(
        self,
        context: Context,
        wave: Wave,
        *,
        cells: Collection[Cell],
        set_index: int,
        wave_index: int,
    ) -> None:
        self.without_memory: dict[Cell, Failure] = {}
        """Cells whose workers ran out of memory, which fewer workers at a time may help."""
        self.left: list[Cell] = []
        """Cells for which memory had no room."""
        self._context = context
        self._cells = tuple(cells)
        self._least = wave.least
        self._group = wave.reference.group
        self._where: dict[str, Any] = {"set_index": set_index, "wave_index": wave_index}
        self._set = set_index
        self._why_void = ""
        self._device = context.plan.device_of(set_index)
        self._card: Card | None = context.cards.get(self._device)
        self._replaced: set[Cell] = set()
        self._live: dict[Cell, WorkerProcess] = {}
        self._latency_s: dict[Cell, float] = {}
        self._alone = False  # whether the last to answer is all that has changed since
        self._compilations: list[tuple[float, float]] = []  # when each began and ended

    def prepare(self) -> None:
        """Start workers; have each build, compile and check its network, one on each core.

        A worker that compiled its graph is followed by a fresh one, which finds it in the cache:
        then all workers have the same past, and no two compile the same graph.
        """
        context, start = self._context, self._context.now()
        try:
            self._prepare()
        finally:
            compiling_s = covered_s(self._compilations)
            others_s = context.now() - start - compiling_s
            for phase, seconds in (("compiling", compiling_s), ("preparing", others_s)):
                context.tell(events.Spent(phase=phase, seconds=seconds))

    def _prepare(self) -> None:
        progress, now = self._context.progress, self._context.now
        progress.phase(f"set {self._set + 1}: compiling and checking", len(self._cells))
        waiting, busy = deque(self._cells), dict[Cell, float]()
        room = self._context.room
        while waiting or busy:
            while waiting and len(busy) < room.cores:
                cell = next((cell for cell in waiting if not _must_wait(cell, busy)), None)
                if cell is None or (busy and room.wants_one_at_a_time):
                    break
                if len(self._live) >= self._least and not room.holds_another(
                    self._group, live=len(self._live), starting=len(busy)
                ):
                    if not busy:
                        self.left = list(waiting)
                        waiting.clear()
                    break
                waiting.remove(cell)
                self._alone = self._alone and not busy
                with self._cell_may_fail(cell, "preparing"):
                    self._live[cell] = self._context.launcher_of(base=cell.base).launch()
                    self._send_prepare(cell, threads=self._threads(len(waiting), len(busy)))
                    busy[cell] = now()
            if busy:
                wait([self._live[cell].fileno() for cell in busy], 1.0)
            for cell in list(busy):
                answered = wait([self._live[cell].fileno()], 0)
                if not answered and now() - busy[cell] < PREPARE_LIMIT_S:
                    continue
                with self._cell_may_fail(cell, "preparing"):
                    if not answered:
                        raise self._live[cell].hung(PREPARE_LIMIT_S)
                    if self._compiled_anew(cell):
                        self._compilations.append((busy[cell], now()))
                        waiting.appendleft(cell)
                del busy[cell]
                self._alone = not busy and cell in self._live
                if cell not in waiting:
                    progress.advance(cell.id)

    def warm_up(self) -> None:
        """Warm up one worker at a time: many at once trip over each other's spinning threads."""
        self._context.progress.phase(f"set {self._set + 1}: warming up", len(self._live))
        for cell in list(self._live):
            with self._cell_may_fail(cell, "warming up"):
                reply = self._live[cell].request("warm_up", limit_s=WARM_UP_LIMIT_S)
                durations_s = reply["durations_s"]
                self._learn(cell, warm_up_iterations=len(durations_s), warm_up_s=sum(durations_s))
                self._latency_s[cell] = min(durations_s)
            self._context.progress.advance(cell.id)

    def visit_in_rounds(self, over_budget: Callable[[], bool]) -> bool:
        """Visit every worker in every round; whether all rounds wanted were at least tried."""
        plan, progress = self._context.plan, self._context.progress
        progress.phase(f"set {self._set + 1}: measuring", plan.rounds * len(self._live))
        valid = 0
        for round_index in range(MOST_ATTEMPTS * plan.rounds):
            if valid == plan.rounds or not self._live:
                break
            if over_budget():
                return False
            if self._round(round_index):
                valid += 1
            else:
                progress.more(len(self._live), f"a round was voided: {self._why_void}")
        return True

    def measure_energy(self, over_budget: Callable[[], bool]) -> None:
        """Have each worker keep the card busy by itself, and read what that takes."""
        if self._card is None or not self._card.energy_is_ours:
            return
        self._context.progress.phase(f"set {self._set + 1}: measuring energy", len(self._live))
        for cell in list(self._live):
            if over_budget():
                return
            with self._cell_may_fail(cell, "measuring energy"):
                self._sustain(cell, energy.LEAD_IN_S)
                before = self._card.meter.read()
                done = self._sustain(cell, energy.WINDOW_S)
                around = Around(before=before, after=self._card.meter.read())
                self._learn(cell, **energy.facts(around, done, cell, self._card.allowed, self._set))
            self._context.progress.advance(cell.id)

    def _sustain(self, cell: Cell, seconds: float) -> dict[str, Any]:
        return self._live[cell].request(
            "sustain", limit_s=VISIT_LIMIT_S + VISIT_LIMIT_FACTOR * seconds, seconds=seconds
        )

    def finish(self) -> None:
        """Ask each worker what its whole life showed, and end it."""
        for cell in list(self._live):
            with self._cell_may_fail(cell, "finishing"):
                worker = self._live[cell]
                facts = worker.request("finish", limit_s=SHORT_LIMIT_S)
                self._learn(cell, **facts)
                del self._live[cell]
                worker.close()
                if changed := changed_code(facts):
                    self._fail(cell, Failure(phase="measuring", set_index=self._set, **changed))

    def kill(self) -> None:
        """End whatever is still alive."""
        for worker in self._live.values():
            worker.kill()
        self._live.clear()

    def _send_prepare(self, cell: Cell, threads: int) -> None:
        self._live[cell].send(
            "prepare",
            cell=asdict(replace(cell, device=self._device)),
            image_size=self._context.plan.image_size,
            l2=self._context.plan.l2,
            seed=self._context.plan.seed,
            threads=threads,
        )

    def _threads(self, waiting: int, busy: int) -> int:
        """Threads to build with: more than the cores together would wait for each other."""
        cores = self._context.room.cores
        return max(1, cores // min(cores, waiting + busy + 1))

    def _compiled_anew(self, cell: Cell) -> bool:
        """Take in what preparing showed; whether it compiled, so that a fresh worker is due."""
        facts = self._live[cell].receive(SHORT_LIMIT_S)
        self._context.room.learn(self._group, facts, alone=self._alone)
        if facts["compile_cached"] is False and cell not in self._replaced:
            self._context.tell(events.Compiled(cell=cell.id, seconds=facts["first_call_s"]))
            self._replaced.add(cell)
            self._live.pop(cell).close()
            return True
        self._learn(cell, **facts, device=self._device)
        return False

    def _round(self, round_index: int) -> bool:
        """A round; whether it is valid. One that is interrupted is judged as far as it went."""
        context = self._context
        order = list(self._live)
        # Of its own seed, so that a run that was cut off goes on as it would have.
        key = (context.plan.seed, self._group, *self._where.values(), round_index)
        random.Random(repr(key)).shuffle(order)
        pids = [*context.pids, *(worker.pid for worker in self._live.values())]
        allowed = self._card.allowed if self._card else ()
        card_before = self._card.meter.read() if self._card else None
        before = context.meter.read(pids)
        reasons: tuple[str, ...] = ()
        try:
            for cell in order:
                with self._cell_may_fail(cell, "measuring"):
                    self._visit(cell, round_index)
                context.progress.advance(cell.id)
        finally:
            after = context.meter.read(pids)
            around = self._around(card_before)
            foreign = foreign_cpus(before, after)
            reasons = voiding.reasons(foreign, context.plan.foreign_cpus, around, allowed)
            self._why_void = voiding.in_words(reasons)
            context.tell(
                events.RoundEnded(
                    group=self._group,
                    **self._where,
                    round_index=round_index,
                    wall_s=after.at_s - before.at_s,
                    foreign_cpus=foreign,
                    voided=bool(reasons),
                    reasons=reasons,
                    card=around,
                )
            )
        return not reasons

    def _visit(self, cell: Cell, round_index: int) -> None:
        context = self._context
        dropped, timed = iterations_for(self._latency_s[cell])
        expected_s = (dropped + timed) * self._latency_s[cell]
        context.sleep(HANDOVER_S)
        reply = self._live[cell].request(
            "measure",
            limit_s=VISIT_LIMIT_S + VISIT_LIMIT_FACTOR * expected_s,
            iterations=timed,
            dropped=dropped,
            back_to_back=max(LEAST_BACK_TO_BACK, timed),
        )
        block, disturbed_s = reply.get("back_to_back"), reply["disturbed_s"]
        context.tell(
            events.Visited(
                cell=cell.id,
                **self._where,
                round_index=round_index,
                dropped_s=sum(reply["dropped_s"]),
                host_s=tuple(reply["host_s"]),
                device_s=tuple(reply["device_s"]),
                disturbed_s=None if disturbed_s is None else tuple(disturbed_s),
                back_to_back=block and BackToBack(**block),
            )
        )

    def _around(self, before: Reading | None) -> Around | None:
        """The card until now; None where its state is not known."""
        if before is None or self._card is None:
            return None
        return Around(before=before, after=self._card.meter.read())

    def _learn(self, cell: Cell, **facts: Any) -> None:
        self._context.tell(events.Learned(cell=cell.id, **self._where, facts=facts))

    @contextmanager
    def _cell_may_fail(self, cell: Cell, phase: str) -> Iterator[None]:
        """Make a worker's failure its cell's result, and go on without the worker.

        That none can be started any more is no cell's failure, and raised.
        """
        try:
            yield
        except WorkerError as error:
            if cell in self._live:
                self._live.pop(cell).kill()
            if error.kind == "start":
                raise
            if error.kind == "died":
                self._context.launcher_of(base=cell.base).check()
            failure = Failure(
                kind=self._kind(error),
                message=str(error),
                phase=phase,
                set_index=self._set,
                stderr=error.stderr,
            )
            if failure.kind == "out_of_memory":
                self.without_memory[cell] = failure
                return
            self._fail(cell, failure)

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self._context.tell(events.Failed(cell=cell.id, failure=failure))
        self._context.progress.failed(cell, failure)

    def _kind(self, error: WorkerError) -> str:
        killed = error.kind == "died" and self._context.room.killed_any()
        return "out_of_memory" if killed else error.kind


def iterations_for(latency_s: float) -> tuple[int, int]:
    """Iterations of a visit, dropped and timed: many of a fast network, one of a slow one."""
    timed = max(1, min(MOST_ITERATIONS, round(VISIT_S / max(latency_s, 1e-6))))
    return (0 if latency_s > SLOW_S else DROPPED), timed


def covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in at least one of the spans of time, which may overlap."""
    total, until = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def changed_code(facts: Mapping[str, Any]) -> dict[str, str] | None:
    """Of what finishing showed: why rounds timed more than one program; None where they did not."""
    counted = {
        "compiled {} more graphs": facts["recompiled_graphs"],
        "broke its graph {} more times": facts["late_graph_breaks"],
    }
    found = [what.format(count) for what, count in counted.items() if count]
    if not found:
        return None
    message = (
        f"it {' and '.join(found)} during the rounds, so that they timed more than one program"
    )
    return {"kind": "recompiled", "message": message}


def _must_wait(cell: Cell, busy: Collection[Cell]) -> bool:
    """Whether a worker may not prepare beside those that are at it.

    Another may be compiling this cell's graph right now; and whoever tries kernels out must be
    alone, or the choice is of its neighbours' making.
    """
    if any(is_tuned(other.mode) for other in (cell, *busy)):
        return bool(busy)
    return is_compiled(cell.mode) and any(
        other.arch == cell.arch and other.mode == cell.mode for other in busy
    )
