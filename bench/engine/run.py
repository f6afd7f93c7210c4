"""A run: measures sets of every group until the ratios reach the requested precision.

The run decides what is measured next and stores what happens; a host measures
(bench/engine/hosts/). The failure of a worker affects at most its own cell; all other cells are
still measured.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Protocol

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine import assignment, tasks, voided_set
from bench.engine.hosts.host import Described, Host, store_each
from bench.engine.progress import Progress
from bench.engine.schedule import Schedule
from bench.engine.stopping_rule import StoppingRule, UntilPrecise
from bench.engine.tasks import SetTask
from bench.launch.process import WorkerError
from bench.machine.environment import Environment
from bench.records import events
from bench.records.code import Code, check_same_code
from bench.records.outcome import Outcome
from bench.records.record import NO_WORKER, Round
from bench.records.resuming import check_same, check_same_environment
from bench.units import counted


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
        host: Host,
        progress: Progress,
        *,
        rule: StoppingRule | None = None,
        begin: Callable[[Environment], EventSink | None] = lambda _: None,
        resumed: Outcome | None = None,
        code: Code | None = None,
        accepts_voided_sets: bool = False,
        known: Sequence[events.Counted | events.CeilingMeasured] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``begin`` is called with the environment before the first event; returns the event sink.

        ``rule`` decides how many sets are enough; by default, sets are added until the ratios are
        precise. Unless it ``accepts_voided_sets``, the run ends after a set without a valid round.
        ``known`` are counts and peak rates of the same machine, which are not determined again.
        Raises ``RequestError`` if a run is resumed with another plan or other ``code``.
        """
        if resumed is not None:
            check_same(plan, resumed.plan)
            check_same_code(code, resumed.code)
        self.outcome = resumed or Outcome(plan)
        self._resumed = resumed is not None
        self._resumed_at = dict(resumed.last_set) if resumed else {}
        self._host = host
        self._progress = progress
        self._rule = rule or UntilPrecise()
        self._begin = begin
        self._sink: EventSink | None = None
        self._requested_plan = plan
        self._code = code
        self._known = () if resumed else tuple(known)
        self._accepts_voided_sets = accepts_voided_sets
        self._plan = self.outcome.plan if resumed else plan
        self._schedule = Schedule(
            plan, now, compiled_s=lambda: self.outcome.phases_s.get("compiling", 0.0)
        )

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
            self._emit(events.Noted(sentence=f"{NO_WORKER}{error}."))
            self._progress.note(f"stopping, because no worker can be started: {error}")
        return self.outcome

    def _measure(self) -> None:
        unknown = tasks.preflight_task(self._requested_plan, self.outcome, self._known)
        store_each(self._host.preflight(unknown), self._store)
        together = self._host.slots > 1
        for indices in assignment.batches(self._plan.sets, together=together):
            wanted = {index: self._cells_to_measure(index) for index in indices}
            if not any(wanted.values()):
                break
            missing = [
                (group, index, cells)
                for index, groups in wanted.items()
                for group, cells in groups.items()
                if not self._is_measured(group, index, cells)
            ]
            if together:
                self._measure_together(missing)
            else:
                for group, index, cells in missing:
                    self._measure_set(group, index, cells)
            if missing and not self._accepts_voided_sets and any(map(self._stops_after, indices)):
                break

    def _measure_set(self, group: str, set_index: int, cells: frozenset[Cell]) -> None:
        """Let the host measure one set of a group's cells."""
        self._allot(group)
        with self._schedule.measuring(group):
            store_each(self._host.measure_set(self._task(group, set_index, cells)), self._store)

    def _measure_together(self, sets: Sequence[tuple[str, int, frozenset[Cell]]]) -> None:
        """Let the host measure sets at the same time, in which each wave is a task of its own."""
        for division in assignment.divisions(self.outcome, self._host.slots):
            self._emit(division)
        members = {(group, index): cells for group, index, cells in sets}
        indices: dict[str, list[int]] = {}
        for group, index in members:
            indices.setdefault(group, []).append(index)

        def task(group: str, index: int) -> SetTask:
            return self._task(group, index, self._unfailed(members[group, index]))

        with ExitStack() as exits:
            for group in indices:
                self._allot(group)
                exits.enter_context(self._schedule.measuring(group, share=1 / len(sets)))
            queue = assignment.TaskQueue(
                indices,
                task,
                budget_left_s=lambda: self._schedule.budget_left_s,
                is_in_vain=lambda: not self._accepts_voided_sets and self._is_voided(0),
            )
            waves = sum(len(self.outcome.waves[group]) for group, _ in members)
            self._progress.phase(f"measuring on {counted(self._host.slots, 'node')}", waves)
            store_each(self._host.measure_sets(queue), self._store)
        for group, index in queue.undivided:
            self._measure_set(group, index, self._unfailed(members[group, index]))

    def _allot(self, group: str) -> None:
        """Store the number of rounds of a group, if the plan says it."""
        if self._plan.rounds is not None and group not in self.outcome.allotted:
            self._emit(events.Allotted(group=group, rounds=self._plan.rounds))

    def _task(self, group: str, set_index: int, cells: frozenset[Cell]) -> SetTask:
        outcome = self.outcome
        return SetTask(
            group=group,
            set_index=set_index,
            cells=tuple(cells),
            waves=outcome.waves[group],
            fitting=tuple(outcome.fitting_waves.intersection(outcome.waves[group])),
            ended=outcome.ended_waves(group, set_index),
            rounds=outcome.allotted.get(group),
            is_over_memory=group in outcome.over_memory,
            budget_left_s=self._schedule.budget_left_s,
        )

    def _stops_after(self, set_index: int) -> bool:
        """End the run if every round of a set was voided, and say why; else return False."""
        if not self._is_voided(set_index):
            return False
        rounds = self._rounds(set_index)
        busiest = self._host.busiest() if voided_set.is_for_load(rounds) else None
        sentence = voided_set.sentence(rounds, set_index, self._plan.foreign_cpus, busiest)
        self._emit(events.StoppedEarly(set_index=set_index, sentence=sentence))
        self._progress.note(sentence)
        return True

    def _is_voided(self, set_index: int) -> bool:
        return voided_set.is_voided(self._rounds(set_index))

    def _rounds(self, set_index: int) -> list[Round]:
        return [each for each in self.outcome.rounds if each.set_index == set_index]

    def _store(self, event: Described | events.Event) -> None:
        if isinstance(event, Described):
            self._begin_or_resume(event)
        elif not isinstance(event, events.Allotted) or event.group not in self.outcome.allotted:
            self._emit(event)  # waves that began together each decide on their rounds

    def _emit(self, event: events.Event) -> None:
        self.outcome.apply(event)
        if self._sink is not None:
            self._sink.append(event)

    def _begin_or_resume(self, described: Described) -> None:
        """Begin the run, or resume it.

        Raises ``RequestError`` if a run is resumed in another environment.
        """
        environment = described.environment
        if self._resumed:
            check_same_environment(environment, self.outcome.environment)
        self._sink = self._begin(environment)
        if self._resumed:
            self._emit(events.Resumed())
        else:
            self._emit(
                events.Began(
                    schema_version=events.JOURNAL_VERSION,
                    plan=self._plan,
                    environment=environment,
                    base_environment=described.base_environment,
                    code=self._code,
                    run_id=uuid.uuid4().hex,
                )
            )
            for event in self._known:
                self._emit(event)

    def _cells_to_measure(self, set_index: int) -> dict[str, frozenset[Cell]]:
        """Return the cells to measure in one more set, for each group that has time for it."""
        alive = {group: self._alive(group, set_index) for group in self._plan.groups}
        unfinished = {group: cells for group, cells in alive.items() if cells}
        with_time = self._schedule.groups_with_time(set_index, unfinished)
        return {group: cells for group, cells in unfinished.items() if group in with_time}

    def _alive(self, group: str, set_index: int) -> frozenset[Cell]:
        """Return a group's cells that the rule selects for one more set and that did not fail."""
        selected = self._rule.cells_to_measure(self.outcome, group, set_index)
        alive = self._unfailed(selected)
        is_enough = all(cell.control for cell in alive)
        return frozenset() if is_enough or self._over_budget() else alive

    def _is_measured(self, group: str, set_index: int, cells: Iterable[Cell]) -> bool:
        """Whether a set was complete before the run was resumed, although waves may be split since.

        The last set that began is asked for again, without the waves that have ended.
        """
        is_earlier = set_index < self._resumed_at.get(group, 0)
        return is_earlier and self.outcome.is_measured(group, set_index, cells)

    def _unfailed(self, cells: Iterable[Cell]) -> frozenset[Cell]:
        return frozenset(cell for cell in cells if cell.id not in self.outcome.failures)

    def _over_budget(self) -> bool:
        is_over = self._schedule.is_over_budget
        if is_over:
            self.outcome.status = "over_budget"
        return is_over
