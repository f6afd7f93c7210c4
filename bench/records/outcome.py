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
from bench.names import RequestError
from bench.records import events
from bench.records.code import Code
from bench.records.record import CellRecord, Failure, Fit, Round, RunRecord, Visit
from bench.records.reported import ArchCost, PeakRates, Setup

_WaveKey = tuple[str, int, int]  # group, set, wave
_CHANGEABLE = frozenset({"budget_s", "extra_s", "command", "profile", "ceiling", "fit"})


@dataclass(frozen=True, slots=True)
class _WaveReports:
    """What the workers of one wave reported, by cell id."""

    visits: dict[str, list[Visit]] = field(default_factory=lambda: defaultdict(list))
    setups: dict[str, Setup] = field(default_factory=lambda: defaultdict(Setup))


class Outcome:
    """The state of a run after its events; only ``apply`` changes it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status = "complete"
        self.environment: dict[str, Any] = {}
        self.base_environment: dict[str, Any] | None = None
        self.code: Code | None = None
        self.costs: dict[tuple[str, bool], ArchCost] = {}
        """Cost by arch and whether it is the base's."""
        self.ceilings: dict[str, PeakRates] = {}
        """Peak rates by dtype."""
        self.shared: dict[str, tuple[str, ...]] = {}
        """Descriptions of other users, by device."""
        self.fits: dict[Cell, Fit] = {}
        self.failures: dict[str, Failure] = {}
        references = plan.references
        self.waves: dict[str, tuple[waves.Wave, ...]] = {
            name: (waves.single_wave(cells, references[name], against_base=plan.against_base),)
            for name, cells in plan.groups.items()
        }
        self.fitting_waves: set[waves.Wave] = set()
        """Waves that were measured completely without running out of memory."""
        self.phases_s: dict[str, float] = {}
        self.ended: set[_WaveKey] = set()
        self.rounds: dict[_WaveKey, list[Round]] = {}
        self.allotted: dict[str, int] = {}
        """Number of valid rounds in each set, by group."""
        self.notes: list[str] = []
        self.measured_anything = False
        """Whether there are any samples."""
        self.last_set: dict[str, int] = {}
        """Index of the most recent set, by group."""
        self._reports: dict[str, dict[_WaveKey, _WaveReports]] = {
            name: defaultdict(_WaveReports) for name in self.waves
        }
        self._compile_cold_s: dict[str, float] = {}
        self._round_s = 0.0
        self._wave_fits = False  # whether the most recent wave has fitted into memory so far
        self._cells = {cell.id: cell for cell in (*plan.cells, *plan.controls, *plan.bases)}

    @classmethod
    def from_events(cls, recorded_events: Iterable[events.Event]) -> "Outcome":
        """Return the outcome of an interrupted run, from the events of its journal."""
        recorded_events = iter(recorded_events)
        began = next(recorded_events)
        if not isinstance(began, events.Began):
            raise RequestError("a run's first event must be Began")
        outcome = cls(began.plan)
        outcome.apply(began)
        for event in recorded_events:
            outcome.apply(event)
        outcome.status = "interrupted"
        return outcome

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
        plan = msgspec.to_builtins(self.plan)
        return RunRecord(
            cells=self.records(),
            controls=self.controls(),
            bases=self.bases(),
            rounds=tuple(round_ for rounds in self.rounds.values() for round_ in rounds),
            allotted=self.allotted,
            environment=self.environment,
            base_environment=self.base_environment,
            ceilings=self.ceilings,
            shared=self.shared,
            fits=tuple(self.fits.values()),
            plan={name: value for name, value in plan.items() if name != "cells"},
            status=self.status,
            phases_s=self.phases_s,
            notes=tuple(self.notes),
            datetime=datetime.now(UTC).isoformat(),
            **about,
        )

    @singledispatchmethod
    def apply(self, event: object) -> None:
        """Update the outcome with an event."""
        raise TypeError(f"not an event: {event!r}")

    @apply.register
    def _(self, event: events.Began) -> None:
        self.environment = event.environment
        self.base_environment = event.base_environment
        self.code = event.code

    @apply.register
    def _(self, _event: events.Resumed) -> None:
        self.notes.append(
            "The run was interrupted and resumed; an incomplete wave was measured again."
        )

    @apply.register
    def _(self, event: events.Counted) -> None:
        self.costs[event.arch, event.base] = event.cost

    @apply.register
    def _(self, event: events.PeakMeasured) -> None:
        self.ceilings[event.dtype] = event.facts
        if error := event.facts.error:
            self.notes.append(f"The ceiling of {event.dtype} is not known: {error}.")

    @apply.register
    def _(self, event: events.Noted) -> None:
        self.notes.append(event.sentence)

    @apply.register
    def _(self, event: events.Shared) -> None:
        self.shared[event.device] = event.others

    @apply.register
    def _(self, event: events.Fitted) -> None:
        self.fits[event.fit.cell] = event.fit

    @apply.register
    def _(self, event: events.Compiled) -> None:
        self._compile_cold_s[event.cell] = event.seconds

    @apply.register
    def _(self, event: events.WaveBegan) -> None:
        self._round_s = 0.0
        self._wave_fits = True
        self.last_set[event.group] = event.set_index
        key = (event.group, event.set_index, event.wave_index)
        self.rounds.pop(key, None)
        self._reports[event.group].pop(key, None)

    @apply.register
    def _(self, event: events.Allotted) -> None:
        self.allotted[event.group] = event.rounds

    @apply.register
    def _(self, event: events.WorkerReported) -> None:
        setups = self._wave_reports(event).setups
        setups[event.cell] = setups[event.cell].merged(event.facts)

    @apply.register
    def _(self, event: events.Visited) -> None:
        visit = Visit(
            set_index=event.set_index,
            wave_index=event.wave_index,
            round_index=event.round_index,
            host_s=event.host_s,
            device_s=event.device_s,
            disturbed_s=event.disturbed_s,
            back_to_back=event.back_to_back,
        )
        self._wave_reports(event).visits[event.cell].append(visit)
        self.measured_anything = True
        block_s = event.back_to_back.host_s if event.back_to_back else 0.0
        timed_s = sum(event.host_s) + sum(event.disturbed_s or ())
        self._round_s += event.dropped_s + timed_s + block_s

    @apply.register
    def _(self, event: events.RoundEnded) -> None:
        ended_round = Round(**msgspec.structs.asdict(event))
        key = (event.group, event.set_index, event.wave_index)
        self.rounds.setdefault(key, []).append(ended_round)
        self._spend("measuring", self._round_s)
        self._spend("idling", event.wall_s - self._round_s)
        self._round_s = 0.0

    @apply.register
    def _(self, event: events.WaveEnded) -> None:
        self.ended.add((event.group, event.set_index, event.wave_index))
        if self._wave_fits:
            self.fitting_waves.add(self.waves[event.group][event.wave_index])

    @apply.register
    def _(self, event: events.Split) -> None:
        before = self.waves[event.group][0]
        self.waves[event.group] = tuple(
            replace(before, own=tuple(self._cells[name] for name in own)) for own in event.waves
        )
        self.notes.append(event.reason)
        self._wave_fits = False

    @apply.register
    def _(self, event: events.Failed) -> None:
        self.failures[event.cell] = event.failure
        self._wave_fits &= event.failure.kind != "out_of_memory"

    @apply.register
    def _(self, event: events.PhaseTimed) -> None:
        self._spend(event.phase, event.seconds)

    def _spend(self, phase: str, seconds: float) -> None:
        self.phases_s[phase] = self.phases_s.get(phase, 0.0) + seconds

    def _wave_reports(self, event: events.WorkerReported | events.Visited) -> _WaveReports:
        group = self._cells[event.cell].group
        return self._reports[group][group, event.set_index, event.wave_index]

    def _records(self, cells: Sequence[Cell]) -> tuple[CellRecord, ...]:
        visits: dict[str, list[Visit]] = defaultdict(list)
        setups: dict[str, list[Setup]] = defaultdict(list)
        for group in dict.fromkeys(cell.group for cell in cells):
            for key, reports in self._reports[group].items():
                rounds = self.rounds.get(key, ())
                valid = {round_.round_index for round_ in rounds if not round_.voided}
                for name, cell_visits in reports.visits.items():
                    visits[name] += _judged(cell_visits, valid)
                for name, setup in reports.setups.items():
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


def check_same(plan: Plan, begun: Plan) -> None:
    """Raise ``RequestError`` if the plan is not that of the begun run; it names what changed."""
    now, then = msgspec.to_builtins(plan), msgspec.to_builtins(begun)
    for name in sorted(now.keys() - _CHANGEABLE):
        if now[name] == then[name]:
            continue
        if name == "cells":
            differing = {cell.id for cell in begun.cells} ^ {cell.id for cell in plan.cells}
            raise RequestError(
                f"cannot resume: the plan has {len(plan.cells)} cells, but the run began with "
                f"{len(begun.cells)}; the first difference is {min(differing, default='?')}"
            )
        raise RequestError(
            f"cannot resume: {name} is {now[name]!r}, but the run began with {then[name]!r}"
        )


def check_same_environment(now: dict[str, Any], then: dict[str, Any]) -> None:
    """Raise ``RequestError`` if the environment changed; it names every fact that differs."""
    differing = [
        f"{name} is {now.get(name)!r} here, but the run began with {then.get(name)!r}"
        for name in sorted(now.keys() | then.keys())
        if now.get(name) != then.get(name)
    ]
    if differing:
        raise RequestError(
            f"cannot resume: {'; '.join(differing)}. Resume it in its original environment, "
            "or start a new run without --resume"
        )
