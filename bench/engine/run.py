"""A run: measures sets of every group until the ratios reach the requested precision.

The run decides what is measured next and stores what happens; a host measures
(bench/engine/hosts/). The failure of a worker affects at most its own cell; all other cells are
still measured.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine import fit, voided_set
from bench.engine.hosts.host import Described, Host, PreflightTask, SetTask
from bench.engine.progress import Progress
from bench.engine.schedule import Schedule
from bench.engine.stopping_rule import StoppingRule, UntilPrecise
from bench.launch.process import WorkerError
from bench.machine.facts import Environment
from bench.records import events
from bench.records.code import Code, check_same_code
from bench.records.outcome import Outcome, check_same, check_same_environment
from bench.records.record import NO_WORKER, SCHEMA_VERSION


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
        known: Sequence[events.Counted | events.PeakMeasured] = (),
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
        # Sets before the last one that began are not measured again, although waves may have been
        # split since.
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
        self._store(self._host.preflight(self._unknown()))
        for set_index in itertools.count():
            cells = self._cells_to_measure(set_index)
            if not cells:
                break
            missing = {
                group: members
                for group, members in cells.items()
                if set_index >= self._resumed_at.get(group, 0)
            }
            for group, members in missing.items():
                self._measure_set(group, set_index, members)
            if missing and not self._accepts_voided_sets and self._stops_after(set_index):
                break

    def _measure_set(self, group: str, set_index: int, cells: frozenset[Cell]) -> None:
        """Let the host measure one set of a group's cells."""
        outcome, plan = self.outcome, self._plan
        if plan.rounds is not None and group not in outcome.allotted:
            self._emit(events.Allotted(group=group, rounds=plan.rounds))
        with self._schedule.measuring(group):
            task = SetTask(
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
            self._store(self._host.measure_set(task))

    def _stops_after(self, set_index: int) -> bool:
        """End the run if every round of a set was voided, and say why; else return False."""
        rounds = [each for each in self.outcome.rounds if each.set_index == set_index]
        if not voided_set.is_voided(rounds):
            return False
        busiest = self._host.busiest() if voided_set.is_for_load(rounds) else None
        sentence = voided_set.sentence(rounds, set_index, self._plan.foreign_cpus, busiest)
        self._emit(events.StoppedEarly(set_index=set_index, sentence=sentence))
        self._progress.note(sentence)
        return True

    def _store(self, reported: Generator[Described | events.Event, None, None]) -> None:
        """Store each event of a host before the next is asked for.

        An interrupt while an event is stored is raised in the host, which then yields what it knows
        until now, such as the judgement of the present round, and ends its workers.
        """
        step = partial(next, reported)
        with closing(reported):
            while True:
                try:
                    event = step()
                except StopIteration:
                    return
                step = partial(next, reported)
                try:
                    if isinstance(event, Described):
                        self._begin_or_resume(event)
                    else:
                        self._emit(event)
                except KeyboardInterrupt as interrupt:
                    step = partial(reported.throw, interrupt)

    def _emit(self, event: events.Event) -> None:
        self.outcome.apply(event)
        if self._sink is not None:
            self._sink.append(event)

    def _unknown(self) -> PreflightTask:
        """Return what the preflight has to measure: what the outcome does not know yet.

        A resumed run follows the new request, which may ask for ceilings and fits that its own plan
        does not have.
        """
        plan, outcome, known = self._requested_plan, self.outcome, self._known
        costs = {
            *outcome.costs,
            *((e.arch, e.base) for e in known if isinstance(e, events.Counted)),
        }
        peaks = {*outcome.ceilings, *(e.dtype for e in known if isinstance(e, events.PeakMeasured))}
        sides = (False, True) if plan.against_base else (False,)
        dtypes = (cell.dtype for cell in plan.cells) if plan.ceiling else ()
        fits = fit.cells(plan.cells) if plan.fit else ()
        return PreflightTask(
            archs=tuple(
                (arch, base)
                for base in sides
                for arch in dict.fromkeys(cell.arch for cell in plan.cells)
                if (arch, base) not in costs
            ),
            dtypes=tuple(dict.fromkeys(name for name in dtypes if name not in peaks)),
            fits=tuple(cell for cell in fits if cell not in outcome.fits),
        )

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
                    schema_version=SCHEMA_VERSION,
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
        alive = frozenset(cell for cell in selected if cell.id not in self.outcome.failures)
        is_enough = all(cell.control for cell in alive)
        return frozenset() if is_enough or self._over_budget() else alive

    def _over_budget(self) -> bool:
        is_over = self._schedule.is_over_budget
        if is_over:
            self.outcome.status = "over_budget"
        return is_over
