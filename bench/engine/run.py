"""A run: measures sets of every group's waves until the ratios reach the requested precision.

The failure of a worker affects at most its own cell; all other cells are still measured.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine import allocation
from bench.engine.context import Context, Progress
from bench.engine.launch import Launcher
from bench.engine.preflight import Preflight
from bench.engine.process import WorkerError
from bench.engine.rule import SetRule, UntilPrecise
from bench.engine.schedule import Schedule
from bench.engine.wave import LiveWave
from bench.machine.cards import Cards
from bench.machine.load import LoadMeter, SystemMeter
from bench.machine.memory_budget import MemoryBudget
from bench.records import events
from bench.records.code import Code, check_same_code
from bench.records.outcome import Outcome, check_same, check_same_environment
from bench.records.record import SCHEMA_VERSION, Failure
from bench.units import in_mib

LOCAL = "local"
"""Name of the machine of this process in a run; a published file does not name its computer."""


class EventSink(Protocol):
    """An additional store for events, such as a journal."""

    def append(self, event: events.Event) -> None:
        """Store an event."""
        ...


class Run:
    """A run in progress."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        progress: Progress,
        *,
        base_launcher: Launcher | None = None,
        rule: SetRule | None = None,
        begin: Callable[[dict[str, object]], EventSink | None] = lambda _: None,
        resumed: Outcome | None = None,
        code: Code | None = None,
        meter: LoadMeter | None = None,
        cards: Cards | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``begin`` is called with the environment before the first event; returns the event sink.

        ``rule`` decides how many sets are enough; by default, sets are added until the ratios are
        precise. Raises ``RequestError`` if a run is resumed with another plan or other ``code``.
        """
        if resumed is not None:
            check_same(plan, resumed.plan)
            check_same_code(code, resumed.code)
        self.outcome = resumed or Outcome(plan)
        self._resumed = resumed is not None
        # Sets before the last one that began are not measured again, although waves may have been
        # split since.
        self._resumed_at = dict(resumed.last_set) if resumed else {}
        self._rule = rule or UntilPrecise()
        self._begin = begin
        self._sink: EventSink | None = None
        self._requested_plan = plan
        self._code = code
        self._plan = self.outcome.plan if resumed else plan
        self._cards = cards or Cards()
        self._context = Context(
            plan=self._plan,
            launcher=launcher,
            base_launcher=base_launcher,
            progress=progress,
            meter=meter or SystemMeter(),
            memory_budget=MemoryBudget(limit_bytes=plan.memory_bytes, on_gpu=plan.is_on_gpu),
            cards=self._cards.known,
            emit=self._emit,
            now=now,
        )
        self._schedule = Schedule(
            plan, now, compiled_s=lambda: self.outcome.phases_s.get("compiling", 0.0)
        )
        self._live: LiveWave | None = None

    def measure(self) -> Outcome:
        """Measure the plan until it is complete, the budget is used up or the user interrupts.

        Raises ``WorkerError`` if no worker can be started or the device is missing, and
        ``KeyboardInterrupt`` on an interrupt, both only if nothing was measured yet. Raises
        ``RequestError`` if a run is resumed in another environment.
        """
        self.outcome.status = "complete"
        try:
            self._measure()
        except KeyboardInterrupt:
            if not self.outcome.measured_anything:
                raise
            self.outcome.status = "interrupted"
        except WorkerError as error:
            if not self.outcome.measured_anything:
                raise
            self.outcome.status = "interrupted"
            self._emit(events.Noted(sentence=f"The run stopped early: {error}."))
            self._context.progress.note(f"stopping, because no worker can be started: {error}")
        return self.outcome

    def _measure(self) -> None:
        try:
            Preflight(
                self._context, self.outcome, self._requested_plan, self._begin_or_resume
            ).run()
            for set_index in itertools.count():
                cells = self._cells_to_measure(set_index)
                if not cells:
                    break
                due = [name for name in cells if set_index >= self._resumed_at.get(name, 0)]
                if due and self._schedule.has_begun:
                    self._renew(set_index)
                for group in due:
                    with self._schedule.measuring(group):
                        self._measure_group(group, set_index, cells[group])
        finally:
            if self._live is not None:
                self._live.kill()

    def _emit(self, event: events.Event) -> None:
        self.outcome.apply(event)
        if self._sink is not None:
            self._sink.append(event)

    def _begin_or_resume(self, environments: Sequence[dict[str, Any]]) -> None:
        """Begin the run, or resume it.

        Raises ``RequestError`` if a run is resumed in another environment.
        """
        environment = environments[0]
        if self._cards.facts:
            environment = {**environment, "cards": self._cards.facts}
        if self._resumed:
            check_same_environment(environment, self.outcome.environment)
        self._sink = self._begin(environment)
        if self._resumed:
            self._emit(events.Resumed())
        else:
            self._emit(
                events.Began(
                    schema_version=SCHEMA_VERSION,
                    plan=self._plan,
                    environment=environment,
                    base_environment=next(iter(environments[1:]), None),
                    code=self._code,
                    run_id=uuid.uuid4().hex,
                )
            )
        for device, processes in self._cards.shared.items():
            self._emit(events.Shared(device=device, others=processes))

    def _renew(self, set_index: int) -> None:
        """Renew the launchers, so that a set shares only the machine with the previous one."""
        self._context.progress.phase(f"set {set_index + 1}: importing torch", 1)
        with self._schedule.renewing():
            self._context.renew()
        self._context.progress.advance("")

    def _cells_to_measure(self, set_index: int) -> dict[str, frozenset[Cell]]:
        """Return the cells to measure in one more set, for each group that has time for it."""
        alive = {group: self._alive(group, set_index) for group in self._plan.groups}
        unfinished = {group: cells for group, cells in alive.items() if cells}
        with_time = self._schedule.groups_with_time(set_index, unfinished)
        return {group: cells for group, cells in unfinished.items() if group in with_time}

    def _alive(self, group: str, set_index: int) -> frozenset[Cell]:
        """Return a group's cells that the rule selects for one more set and that did not fail."""
        selected = self._rule.cells_to_measure(self.outcome, group, set_index)
        alive = frozenset(cell for cell in selected if cell.id not in self.outcome.failures)
        is_enough = all(cell.control for cell in alive)
        return frozenset() if is_enough or self._over_budget() else alive

    def _measure_group(self, group: str, set_index: int, cells: Collection[Cell]) -> None:
        """Measure one set of a group's cells, wave by wave; waves may be split on the way."""
        wave_index = 0
        while wave_index < len(self.outcome.waves[group]):
            key = (group, set_index, wave_index)
            if not self.outcome.has_ended(*key) and self._is_due(group, wave_index, cells):
                self._emit(events.WaveBegan(*key, host=LOCAL))
                repeat, complete = self._measure_wave(group, set_index, wave_index, cells)
                if repeat:
                    continue
                if complete:
                    self._emit(events.WaveEnded(*key))
            wave_index += 1

    def _is_due(self, group: str, wave_index: int, cells: Collection[Cell]) -> bool:
        """Return whether a wave can still give new figures, and the budget is not used up."""
        wave = self.outcome.waves[group][wave_index]
        candidates = wave.own if wave_index else (*wave.own, wave.reference)
        alive = (cell for cell in candidates if cell.id not in self.outcome.failures)
        return any(cell in cells for cell in alive) and not self._over_budget()

    def _measure_wave(
        self, group: str, set_index: int, wave_index: int, cells: Collection[Cell]
    ) -> tuple[bool, bool]:
        """Start fresh workers, all alive together, and measure their rounds.

        Returns whether to measure the wave again, because the reference or the control ran out of
        memory, and whether all rounds were measured.
        """
        context = self._context
        start_s = self._not_compiling_s()
        live = self._prepare(group, set_index, wave_index, cells)
        self._note_memory(group, live.held_bytes)
        with context.timed("warming up"):
            live.warm_up()
        rounds = self._allot(group, live, set_s=self._not_compiling_s() - start_s)
        complete = live.visit_in_rounds(rounds, self._over_budget)
        if self._plan.energy and set_index < self._plan.sets:
            with context.timed("measuring energy"):
                live.measure_energy(self._over_budget)
        with context.timed("finishing"):
            live.finish()
        repeat = False
        if live.deferred:
            self._split(group, wave_index, live.deferred, "held no more workers at a time")
        if live.out_of_memory:
            wave = self.outcome.waves[group][wave_index]
            repeat = not live.out_of_memory.keys().isdisjoint(wave.anchors)
            apart = list(live.out_of_memory)
            if not self._split(group, wave_index, apart, "ran out while they were measured"):
                repeat = False
                for cell, failure in live.out_of_memory.items():
                    self._fail(cell, failure)
        return repeat, complete

    def _allot(self, group: str, live: LiveWave, *, set_s: float) -> int:
        """Return the rounds per set of a group: as planned, or from the times of its first wave."""
        if not live.round_s:  # no worker is left; the wave may be split and measured again
            return allocation.MIN_ROUNDS
        if group not in self.outcome.allotted:
            importing_s = self.outcome.phases_s.get("importing", 0.0)
            share = self._context.launcher.importing_share / len(self.outcome.waves)
            computed = allocation.rounds(
                live.effort,
                importing_s=share * importing_s,
                set_s=set_s,
                round_s=live.round_s,
                workers=live.workers,
            )
            rounds = computed if self._plan.rounds is None else self._plan.rounds
            self._emit(events.Allotted(group=group, rounds=rounds))
        return self.outcome.allotted[group]

    def _not_compiling_s(self) -> float:
        """Return the time, in seconds, of a clock that stops during compilation."""
        return self._context.now() - self.outcome.phases_s.get("compiling", 0.0)

    def _prepare(
        self, group: str, set_index: int, wave_index: int, cells: Collection[Cell]
    ) -> LiveWave:
        """Start and prepare a wave's workers, in the fastest order if memory holds all of them."""
        wave = self.outcome.waves[group][wave_index]

        def start(*, in_any_order: bool) -> LiveWave:
            live = self._live = LiveWave(
                self._context,
                wave,
                cells=[
                    cell
                    for cell in wave.cells
                    if cell in cells and cell.id not in self.outcome.failures
                ],
                set_index=set_index,
                wave_index=wave_index,
                in_any_order=in_any_order,
            )
            live.prepare()
            return live

        is_held = wave in self.outcome.fitting_waves
        live = start(in_any_order=is_held)
        # Memory held the wave before, but no longer does. The deferred cells may include the
        # reference or the control, so start again with those first.
        if is_held and live.deferred:
            live.kill()
            self._emit(events.WaveBegan(group, set_index, wave_index, host=LOCAL))
            live = start(in_any_order=False)
        return live

    def _note_memory(self, group: str, held_bytes: int) -> None:
        """Note, once per group, that its workers held more memory than --memory allows."""
        limit_bytes, begins = self._plan.memory_bytes, f"{group}: workers alive together held"
        if limit_bytes is None or held_bytes <= limit_bytes:
            return
        if any(note.startswith(begins) for note in self.outcome.notes):
            return  # noted in an earlier set, or before the run was resumed
        note = (
            f"{begins} {in_mib(held_bytes)}, which is more than the "
            f"{in_mib(limit_bytes)} of --memory; at minimum, a cell, its reference and the control "
            "are alive together."
        )
        self._emit(events.Noted(sentence=note))
        self._context.progress.note(note)

    def _split(self, group: str, wave_index: int, apart: list[Cell], why: str) -> bool:
        """Split a wave in two, with the cells ``apart`` in the second; False if impossible."""
        before = self.outcome.waves[group]
        parts = before[wave_index].split(apart)
        if len(parts) == 1:
            return False
        after = (*before[:wave_index], *parts, *before[wave_index + 1 :])
        reason = (
            f"{group}: memory {why} ({self._context.memory_budget.largest_use(group)}), "
            f"so its cells were measured in {len(after)} waves."
        )
        self._emit(
            events.Split(
                group=group,
                waves=tuple(tuple(cell.id for cell in wave.own) for wave in after),
                reason=reason,
            )
        )
        self._context.progress.note(reason)
        return True

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self._emit(events.Failed(cell=cell.id, failure=failure))
        self._context.progress.failed(cell, failure)

    def _over_budget(self) -> bool:
        is_over = self._schedule.is_over_budget
        if is_over:
            self.outcome.status = "over_budget"
        return is_over
