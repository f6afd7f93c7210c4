"""The outcome: the results of a run so far, from which one can report or resume at any time."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import singledispatchmethod
from typing import Any

import msgspec

from bench.cells import waves
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.machine.environment import Environment
from bench.records import events
from bench.records.code import Code
from bench.records.record import CellRecord, Failure, Fit, Round, RunRecord, Visit, VisitTime
from bench.records.reported import ArchCost, Ceiling, Setup
from bench.records.stored_plan import StoredPlan
from bench.units import counted

_WaveKey = tuple[str, int, int]  # group, set, wave

PASSING_FAILURES = frozenset({"died", "timeout", "out_of_memory"})
"""Kinds of failures whose reason may have passed when a run is resumed."""


@dataclass(slots=True)
class _WaveState:
    """What is known of one wave in one set. Waves may report interleaved."""

    host: str = ""
    visits: dict[str, list[Visit]] = field(default_factory=lambda: defaultdict(list))
    """By cell id."""
    setups: dict[str, Setup] = field(default_factory=lambda: defaultdict(Setup))
    """By cell id."""
    rounds: list[Round] = field(default_factory=list)
    timed_s: float = 0.0
    """Time in iterations since the last round ended, in seconds."""
    fits: bool = True
    """Whether it has fitted into memory so far."""
    ended: bool = False


class Outcome:
    """The state of a run after its events; only ``apply`` changes it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status = "complete"
        self.environment = Environment()
        self.base_environment: Environment | None = None
        self.code: Code | None = None
        self.costs: dict[tuple[str, bool], ArchCost] = {}
        """Cost by arch and whether it is the base's."""
        self.ceilings: dict[str, Ceiling] = {}
        """Peak rates by dtype."""
        self.shared: dict[str, tuple[str, ...]] = {}
        """Descriptions of other users, by device."""
        self.fits: dict[Cell, Fit] = {}
        self.failures: dict[str, Failure] = {}
        self.tried_again: set[str] = set()
        """Ids of the cells that had failed before the run was resumed, and were measured again."""
        references = plan.references
        self.waves: dict[str, tuple[waves.Wave, ...]] = {
            name: (waves.single_wave(cells, references[name], against_base=plan.against_base),)
            for name, cells in plan.groups.items()
        }
        self.fitting_waves: set[waves.Wave] = set()
        """Waves that were measured completely without running out of memory."""
        self.phases_s: dict[str, float] = {}
        self.allotted: dict[str, int] = {}
        """Number of valid rounds in each set, by group."""
        self.notes: list[str] = []
        self.over_memory: set[str] = set()
        """The groups of which a note says that their workers held more memory than the limit."""
        self.measured_anything = False
        """Whether there are any samples."""
        self.last_set: dict[str, int] = {}
        """Index of the most recent set, by group."""
        self.run_id = ""
        self._why_stopped = ""
        """Why the run was stopped early, which is also one of the notes."""
        self._states: dict[_WaveKey, _WaveState] = defaultdict(_WaveState)
        self._compile_cold_s: dict[str, float] = {}
        self._cells = {cell.id: cell for cell in (*plan.cells, *plan.controls, *plan.bases)}

    @classmethod
    def begun(cls, began: events.Event) -> "Outcome":
        """Return the outcome after a run's first event."""
        if not isinstance(began, events.Began):
            raise RequestError("a run's first event must be Began")
        outcome = cls(began.plan)
        outcome.apply(began)
        return outcome

    @classmethod
    def from_events(cls, recorded_events: Iterable[events.Event]) -> "Outcome":
        """Return the outcome of an interrupted run from its events.

        Raises ``RequestError`` if the events are not those of one run.
        """
        recorded_events = iter(recorded_events)
        outcome = cls.begun(next(recorded_events))
        for event in recorded_events:
            outcome.apply(event)
        outcome.interrupt()
        return outcome

    def interrupt(self) -> None:
        """End the run here, unless it has ended because nothing could be measured."""
        if self.status != "stopped_early":
            self.status = "interrupted"

    def records(self) -> tuple[CellRecord, ...]:
        """Return a record for each cell, in the order of the plan."""
        return self._records(self.plan.cells)

    def controls(self) -> tuple[CellRecord, ...]:
        """Return a record for each group's control."""
        return self._records(self.plan.controls)

    def bases(self) -> tuple[CellRecord, ...]:
        """Return a record for the base's copy of each cell, in the order of the plan."""
        return self._records(self.plan.bases)

    def group_records(self, group: str) -> tuple[CellRecord, ...]:
        """Return the records of one group, with its control last."""
        first = self.waves[group][0]
        return self._records((*first.group, waves.control(first.reference)))

    def run_record(self, **about: Any) -> RunRecord:
        """Return the full record. ``about``: pytest-benchmark's facts about machine and code."""
        return RunRecord(
            cells=self.records(),
            controls=self.controls(),
            bases=self.bases(),
            rounds=tuple(
                round_ for _, state in self._ordered(self.waves) for round_ in state.rounds
            ),
            allotted=self.allotted,
            environment=self.environment,
            base_environment=self.base_environment,
            ceilings=self.ceilings,
            shared=self.shared,
            fits=tuple(self.fits.values()),
            plan=StoredPlan.of(self.plan),
            status=self.status,
            phases_s=self.phases_s,
            notes=tuple(self.notes),
            datetime=datetime.now(UTC).isoformat(),
            run_id=self.run_id,
            code=self.code,
            **about,
        )

    def apply(self, event: events.Event) -> None:
        """Update the outcome with an event.

        Raises ``RequestError``, without a change, if it names what the plan does not have.
        """
        self._check(event)
        self._apply(event)

    def _check(self, event: events.Event) -> None:
        """Raise ``RequestError`` if the plan lacks a cell, group or wave that an event names."""
        named = [getattr(event, "cell", None)]
        group: str | None = getattr(event, "group", None)
        wave_index: int | None = getattr(event, "wave_index", None)
        if isinstance(event, events.Split):
            named += [name for wave in event.waves for name in wave]
        kind = type(event).__name__
        for name in named:
            if name is not None and name not in self._cells:
                raise RequestError(f"{kind} names {name!r}, which is not a cell of the plan")
            if name is not None and group is None:
                group = self._cells[name].group
        if group is not None and group not in self.waves:
            raise RequestError(f"{kind} names {group!r}, which is not a group of the plan")
        if wave_index is not None and group is not None:
            count = len(self.waves[group])
            if not 0 <= wave_index < count:
                raise RequestError(
                    f"{kind} names wave {wave_index} of {group}, which has {counted(count, 'wave')}"
                )

    @singledispatchmethod
    def _apply(self, event: object) -> None:
        raise TypeError(f"not an event: {event!r}")

    @_apply.register
    def _(self, event: events.Began) -> None:
        self.environment = event.environment
        self.base_environment = event.base_environment
        self.code = event.code
        self.run_id = event.run_id

    @_apply.register
    def _(self, _event: events.Resumed) -> None:
        """Continue; cells that failed for a reason that may pass are measured again."""
        self.status = "complete"
        for name, failure in list(self.failures.items()):
            if failure.kind in PASSING_FAILURES:
                self._forget(name, failure)
        self.notes = [note for note in self.notes if note != self._why_stopped]
        self.notes.append(
            "The run was interrupted and resumed; an incomplete wave was measured again."
        )

    @_apply.register
    def _(self, event: events.Counted) -> None:
        self.costs[event.arch, event.base] = event.cost

    @_apply.register
    def _(self, event: events.CeilingMeasured) -> None:
        self.ceilings[event.dtype] = event.facts
        if event.caveat:
            self.notes.append(event.caveat)

    @_apply.register
    def _(self, event: events.Noted) -> None:
        self.notes.append(event.sentence)
        if event.over_memory:
            self.over_memory.add(event.over_memory)

    @_apply.register
    def _(self, event: events.Shared) -> None:
        self.shared[event.device] = event.others

    @_apply.register
    def _(self, event: events.Fitted) -> None:
        self.fits[event.fit.cell] = event.fit

    @_apply.register
    def _(self, event: events.Compiled) -> None:
        self._compile_cold_s[event.cell] = event.seconds

    @_apply.register
    def _(self, event: events.WaveBegan) -> None:
        last = self.last_set.get(event.group, event.set_index)
        self.last_set[event.group] = max(last, event.set_index)
        key = (event.group, event.set_index, event.wave_index)
        self._states[key] = _WaveState(host=event.host)

    @_apply.register
    def _(self, event: events.Allotted) -> None:
        self.allotted[event.group] = event.rounds

    @_apply.register
    def _(self, event: events.WorkerReported) -> None:
        setups = self._state(event).setups
        setups[event.cell] = setups[event.cell].merged(event.facts)

    @_apply.register
    def _(self, event: events.Visited) -> None:
        state = self._state(event)
        visit = Visit(
            set_index=event.set_index,
            wave_index=event.wave_index,
            round_index=event.round_index,
            host_s=event.host_s,
            device_s=event.device_s,
            disturbed_s=event.disturbed_s,
            back_to_back=event.back_to_back,
            host=state.host,
            time=_time(event),
        )
        state.visits[event.cell].append(visit)
        self.measured_anything = True
        block_s = event.back_to_back.host_s if event.back_to_back else 0.0
        timed_s = sum(event.host_s) + sum(event.disturbed_s or ())
        state.timed_s += event.dropped_s + timed_s + block_s

    @_apply.register
    def _(self, event: events.RoundEnded) -> None:
        state = self._states[event.group, event.set_index, event.wave_index]
        state.rounds.append(Round(**msgspec.structs.asdict(event)))
        self._spend("measuring", state.timed_s)
        self._spend("idling", event.wall_s - state.timed_s)
        state.timed_s = 0.0

    @_apply.register
    def _(self, event: events.WaveEnded) -> None:
        state = self._states[event.group, event.set_index, event.wave_index]
        state.ended = True
        if state.fits:
            self.fitting_waves.add(self.waves[event.group][event.wave_index])

    @_apply.register
    def _(self, _event: events.CutShort) -> None:
        self.status = "over_budget"

    @_apply.register
    def _(self, event: events.StoppedEarly) -> None:
        self.status = "stopped_early"
        self._why_stopped = event.sentence
        self.notes.append(event.sentence)
        for (_, set_index, _), state in self._states.items():
            if set_index == event.set_index:
                state.ended = False

    @_apply.register
    def _(self, event: events.Split) -> None:
        before = self.waves[event.group][0]
        self.waves[event.group] = tuple(
            replace(before, own=tuple(self._cells[name] for name in own)) for own in event.waves
        )
        if event.reason not in self.notes:
            self.notes.append(event.reason)
        self._ran_out_of_memory(event.group)

    @_apply.register
    def _(self, event: events.Failed) -> None:
        self.failures[event.cell] = event.failure
        if event.failure.kind == "out_of_memory":
            self._ran_out_of_memory(self._cells[event.cell].group)

    @_apply.register
    def _(self, event: events.PhaseTimed) -> None:
        self._spend(event.phase, event.seconds)

    def _forget(self, name: str, failure: Failure) -> None:
        """Forget the failure of a cell, and what was measured of it before."""
        del self.failures[name]
        self.tried_again.add(name)
        for state in self._states.values():
            state.visits.pop(name, None)
            state.setups.pop(name, None)
        self.notes.append(
            f"{name} had failed ({failure.message}); the resumed run measured it again."
        )

    def _spend(self, phase: str, seconds: float) -> None:
        self.phases_s[phase] = self.phases_s.get(phase, 0.0) + seconds

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds of all waves, by set, group and wave."""
        return tuple(item for _, state in self._ordered(self.waves) for item in state.rounds)

    def ended_waves(self, group: str, set_index: int) -> tuple[int, ...]:
        """Return the indices of a group's waves that were measured completely in a set."""
        return tuple(
            wave_index
            for wave_index in range(len(self.waves[group]))
            if (state := self._states.get((group, set_index, wave_index))) and state.ended
        )

    def is_measured(self, group: str, set_index: int, cells: Iterable[Cell]) -> bool:
        """Whether cells of a group were measured completely in a set.

        This does not depend on waves, which may have been split since.
        """
        states = [state for key, state in self._states.items() if key[:2] == (group, set_index)]
        visited = {name for state in states for name in state.visits}
        return all(state.ended for state in states) and visited.issuperset(
            cell.id for cell in cells
        )

    def _state(self, event: events.WorkerReported | events.Visited) -> _WaveState:
        group = self._cells[event.cell].group
        return self._states[group, event.set_index, event.wave_index]

    def _ran_out_of_memory(self, group: str) -> None:
        """Note that the unfinished waves of a group do not fit into memory."""
        for (of_group, _, _), state in self._states.items():
            if of_group == group and not state.ended:
                state.fits = False

    def _ordered(self, groups: Iterable[str]) -> list[tuple[_WaveKey, _WaveState]]:
        """Return states by set, group and wave, whatever the order of their events."""
        position = {group: index for index, group in enumerate(groups)}
        states = [item for item in self._states.items() if item[0][0] in position]
        return sorted(states, key=lambda item: (item[0][1], position[item[0][0]], item[0][2]))

    def _records(self, cells: Sequence[Cell]) -> tuple[CellRecord, ...]:
        visits: dict[str, list[Visit]] = defaultdict(list)
        setups: dict[str, list[Setup]] = defaultdict(list)
        for _, state in self._ordered(dict.fromkeys(cell.group for cell in cells)):
            valid = {round_.round_index for round_ in state.rounds if not round_.voided}
            for name, cell_visits in state.visits.items():
                visits[name] += _judged(cell_visits, valid)
            for name, setup in state.setups.items():
                setups[name].append(setup)
        return tuple(
            CellRecord(
                cell=cell,
                visits=tuple(visits[cell.id]),
                setups=tuple(setups[cell.id]),
                cost=self.costs.get((cell.arch, cell.base), ArchCost()),
                compile_cold_s=self._compile_cold_s.get(cell.id),
                failure=self.failures.get(cell.id),
            )
            for cell in cells
        )


def _judged(visits: Iterable[Visit], valid: Container[int]) -> Iterator[Visit]:
    """Yield visits, as voided unless their round was judged valid."""
    for visit in visits:
        yield visit if visit.round_index in valid else replace(visit, voided=True)


def _time(event: events.Visited) -> VisitTime | None:
    if event.start_s is None or event.wall_s is None:
        return None
    return VisitTime(start_s=event.start_s, wall_s=event.wall_s, dropped_s=event.dropped_s)
