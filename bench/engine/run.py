"""The run: sets of every group's waves, until the ratios are as sure as was asked for.

Whatever a worker does costs its own cell at the most; all others are still measured.
"""

import itertools
import time
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


class Keeper(Protocol):
    """Where events are kept besides: a journal."""

    def append(self, event: events.Event) -> None:
        """Keep an event."""
        ...


class Run:
    """A run under way."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        progress: Progress,
        *,
        base_launcher: Launcher | None = None,
        rule: SetRule | None = None,
        begin: Callable[[dict[str, object]], Keeper | None] = lambda _: None,
        resumed: Outcome | None = None,
        code: Code | None = None,
        meter: LoadMeter | None = None,
        cards: Cards | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``begin`` is given the environment before the first event, and returns its keeper.

        ``rule`` says how many sets are enough; without it, those that make the ratios precise.
        Raises ``RequestError`` where a run is resumed with another plan, or other ``code``.
        """
        if resumed is not None:
            check_same(plan, resumed.plan)
            check_same_code(code, resumed.code)
        self.outcome = resumed or Outcome(plan)
        self._resumed = resumed is not None
        # Waves may have been split since: sets before the last one that began are what they are.
        self._resumed_at = dict(resumed.last_set) if resumed else {}
        self._rule = rule or UntilPrecise()
        self._begin = begin
        self._keeper: Keeper | None = None
        self._asked = plan
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
            tell=self._tell,
            now=now,
        )
        self._schedule = Schedule(
            plan, now, compiled_s=lambda: self.outcome.phases_s.get("compiling", 0.0)
        )
        self._live: LiveWave | None = None

    def measure(self) -> Outcome:
        """Measure the whole plan, as far as the budget and the user let it.

        Raises ``WorkerError`` where no worker can be started, or the device is not there;
        ``RequestError`` where a run is resumed in another environment; and ``KeyboardInterrupt``
        where nothing was measured yet.
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
            self._tell(events.Noted(sentence=f"It ended before its time: {error}."))
            self._context.progress.note(f"no worker can be started any more: {error}")
        return self.outcome

    def _measure(self) -> None:
        try:
            Preflight(self._context, self.outcome, self._asked, self._take_in).run()
            for set_index in itertools.count():
                wanted = self._wanted(set_index)
                if not wanted:
                    break
                due = [name for name in wanted if set_index >= self._resumed_at.get(name, 0)]
                if due and self._schedule.has_begun:
                    self._renew(set_index)
                for group in due:
                    with self._schedule.measuring(group):
                        self._measure_group(group, set_index, wanted[group])
        finally:
            if self._live is not None:
                self._live.kill()

    def _tell(self, event: events.Event) -> None:
        self.outcome.apply(event)
        if self._keeper is not None:
            self._keeper.append(event)

    def _take_in(self, environments: Sequence[dict[str, Any]]) -> None:
        """Begin, or go on where the environment is still the same."""
        ours = environments[0]
        if self._cards.facts:
            ours = {**ours, "cards": self._cards.facts}
        if self._resumed:
            check_same_environment(ours, self.outcome.environment)
        self._keeper = self._begin(ours)
        if self._resumed:
            self._tell(events.Resumed())
        else:
            self._tell(
                events.Began(
                    schema_version=SCHEMA_VERSION,
                    plan=self._plan,
                    environment=ours,
                    base_environment=next(iter(environments[1:]), None),
                    code=self._code,
                )
            )
        for device, others in self._cards.shared.items():
            self._tell(events.Shared(device=device, others=others))

    def _renew(self, set_index: int) -> None:
        """Let a set share no more with the one before than a machine."""
        self._context.progress.phase(f"set {set_index + 1}: importing torch", 1)
        with self._schedule.renewing():
            self._context.renew()
        self._context.progress.advance("")

    def _wanted(self, set_index: int) -> dict[str, frozenset[Cell]]:
        """The cells to measure in one more set, of each group that wants it and has time for it."""
        alive = {group: self._alive(group, set_index) for group in self._plan.groups}
        wanting = {group: cells for group, cells in alive.items() if cells}
        with_time = self._schedule.with_time(set_index, wanting)
        return {group: cells for group, cells in wanting.items() if group in with_time}

    def _alive(self, group: str, set_index: int) -> frozenset[Cell]:
        """The cells of a group that the rule wants in one more set, and that did not fail."""
        wanted = self._rule.wanted(self.outcome, group, set_index)
        alive = frozenset(cell for cell in wanted if cell.id not in self.outcome.failures)
        is_enough = all(cell.control for cell in alive)
        return frozenset() if is_enough or self._over_budget() else alive

    def _measure_group(self, group: str, set_index: int, cells: Collection[Cell]) -> None:
        """One set of a group's cells: each wave, which may turn out to be more on the way."""
        wave_index = 0
        while wave_index < len(self.outcome.waves[group]):
            key = (group, set_index, wave_index)
            if key not in self.outcome.ended and self._is_due(group, wave_index, cells):
                self._tell(events.WaveBegan(*key))
                again, whole = self._measure_wave(group, set_index, wave_index, cells)
                if again:
                    continue
                if whole:
                    self._tell(events.WaveEnded(*key))
            wave_index += 1

    def _is_due(self, group: str, wave_index: int, cells: Collection[Cell]) -> bool:
        """Whether a wave is still worth the time: something in it may yet give figures."""
        wave = self.outcome.waves[group][wave_index]
        its = wave.own if wave_index else (*wave.own, wave.reference)
        alive = (cell for cell in its if cell.id not in self.outcome.failures)
        return any(cell in cells for cell in alive) and not self._over_budget()

    def _measure_wave(
        self, group: str, set_index: int, wave_index: int, cells: Collection[Cell]
    ) -> tuple[bool, bool]:
        """Fresh workers, alive together, and their rounds.

        Whether to do it again because memory did not hold what others are compared with; and
        whether all rounds were measured.
        """
        context = self._context
        start_s = self._not_compiling_s()
        live = self._prepared(group, set_index, wave_index, cells)
        self._tell_of_memory(group, live.held_bytes)
        with context.timed("warming up"):
            live.warm_up()
        rounds = self._allot(group, live, set_s=self._not_compiling_s() - start_s)
        whole = live.visit_in_rounds(rounds, self._over_budget)
        if self._plan.energy and set_index < self._plan.sets:
            with context.timed("measuring energy"):
                live.measure_energy(self._over_budget)
        with context.timed("finishing"):
            live.finish()
        again = False
        if live.left:
            self._split(group, wave_index, live.left, "held no more workers at a time")
        if live.without_memory:
            wave = self.outcome.waves[group][wave_index]
            again = not live.without_memory.keys().isdisjoint(wave.anchors)
            apart = list(live.without_memory)
            if not self._split(group, wave_index, apart, "ran out while they were measured"):
                again = False
                for cell, failure in live.without_memory.items():
                    self._fail(cell, failure)
        return again, whole

    def _allot(self, group: str, live: LiveWave, *, set_s: float) -> int:
        """The rounds of each of a group's sets: as planned, or by what its first wave took."""
        if not live.round_s:  # none is left, and memory may hold fewer
            return allocation.LEAST
        if group not in self.outcome.allotted:
            importing_s = self.outcome.phases_s.get("importing", 0.0)
            share = self._context.launcher.importing_share / len(self.outcome.waves)
            chosen = allocation.rounds(
                live.effort,
                importing_s=share * importing_s,
                set_s=set_s,
                round_s=live.round_s,
                workers=live.workers,
            )
            rounds = chosen if self._plan.rounds is None else self._plan.rounds
            self._tell(events.Allotted(group=group, rounds=rounds))
        return self.outcome.allotted[group]

    def _not_compiling_s(self) -> float:
        """A clock that stands still while a cache is filled."""
        return self._context.now() - self.outcome.phases_s.get("compiling", 0.0)

    def _prepared(
        self, group: str, set_index: int, wave_index: int, cells: Collection[Cell]
    ) -> LiveWave:
        """A wave's workers: in whatever order is best where memory is known to hold all of them."""
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

        is_held = wave in self.outcome.held
        live = start(in_any_order=is_held)
        if is_held and live.left:  # no longer; and some may be left that others are compared with
            live.kill()
            self._tell(events.WaveBegan(group, set_index, wave_index))
            live = start(in_any_order=False)
        return live

    def _tell_of_memory(self, group: str, held_bytes: int) -> None:
        """Say once of a group that it was measured, though not within what was allowed."""
        limit_bytes, begins = self._plan.memory_bytes, f"{group}: workers alive together held"
        if limit_bytes is None or held_bytes <= limit_bytes:
            return
        if any(note.startswith(begins) for note in self.outcome.notes):
            return  # in an earlier set, or before the run was resumed
        note = (
            f"{begins} {in_mib(held_bytes)}, which is more than the "
            f"{in_mib(limit_bytes)} of --memory; a cell, what it is compared with and the control "
            "are the fewest."
        )
        self._tell(events.Noted(sentence=note))
        self._context.progress.note(note)

    def _split(self, group: str, wave_index: int, apart: list[Cell], why: str) -> bool:
        """Make a wave two, the cells ``apart`` in the second; False where it cannot be smaller."""
        before = self.outcome.waves[group]
        parts = before[wave_index].without(apart)
        if len(parts) == 1:
            return False
        after = (*before[:wave_index], *parts, *before[wave_index + 1 :])
        reason = (
            f"{group}: memory {why} ({self._context.memory_budget.held(group)}), so its cells were "
            f"measured in {len(after)} waves."
        )
        self._tell(
            events.Split(
                group=group,
                waves=tuple(tuple(cell.id for cell in wave.own) for wave in after),
                reason=reason,
            )
        )
        self._context.progress.note(reason)
        return True

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self._tell(events.Failed(cell=cell.id, failure=failure))
        self._context.progress.failed(cell, failure)

    def _over_budget(self) -> bool:
        over = self._schedule.is_over_budget
        if over:
            self.outcome.status = "over_budget"
        return over
