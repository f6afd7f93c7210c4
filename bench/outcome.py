"""The outcome: what a run has measured so far, complete enough to report or go on at any moment."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import singledispatchmethod
from typing import Any

import msgspec

from bench import events, waves
from bench.cell import Cell
from bench.names import RequestError
from bench.plan import Plan
from bench.record import CellRecord, Failure, Round, RunRecord, Visit

_WaveKey = tuple[str, int, int]  # group, set, wave
_CHANGEABLE = frozenset({"budget_s", "extra_s", "command", "profile"})


class Outcome:
    """A run as its events tell it; ``apply`` is the only way to change it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status = "complete"
        self.environment: dict[str, Any] = {}
        self.costs: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, Failure] = {}
        self.waves: dict[str, tuple[waves.Wave, ...]] = {
            name: (waves.whole(cells, plan.reference(name)),) for name, cells in plan.groups.items()
        }
        self.phases_s: dict[str, float] = {}
        self.ended: set[_WaveKey] = set()
        self.rounds: dict[_WaveKey, list[Round]] = {}
        self.notes: list[str] = []
        self._visits: dict[str, dict[tuple[int, int], list[Visit]]] = {}
        self._setups: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}
        self._compile_cold_s: dict[str, float] = {}
        self._round_s = 0.0
        self._cells = {cell.id: cell for cell in (*plan.cells, *plan.controls)}

    @classmethod
    def of(cls, told: Iterable[events.Event]) -> "Outcome":
        """The outcome of a journal's events: of a run that was cut off."""
        told = iter(told)
        began = next(told)
        if not isinstance(began, events.Began):
            raise RequestError("a run's first event is its beginning")
        outcome = cls(began.plan)
        outcome.apply(began)
        for event in told:
            outcome.apply(event)
        outcome.status = "interrupted"
        return outcome

    @property
    def measured_anything(self) -> bool:
        """Whether there is a sample to lose."""
        return bool(self._visits)

    def records(self) -> tuple[CellRecord, ...]:
        """A record for each cell of the plan, in its order."""
        return tuple(self._record(cell) for cell in self.plan.cells)

    def controls(self) -> tuple[CellRecord, ...]:
        """The record of each group's control."""
        return tuple(self._record(cell) for cell in self.plan.controls)

    def group_records(self, group: str) -> tuple[CellRecord, ...]:
        """The records of one group, its control the last."""
        control = waves.control(self.plan.reference(group))
        return tuple(self._record(cell) for cell in (*self.plan.groups[group], control))

    def run_record(self, **about: Any) -> RunRecord:
        """Everything, to be kept; ``about`` is what pytest-benchmark knows of machine and code."""
        plan = msgspec.to_builtins(self.plan)
        return RunRecord(
            cells=self.records(),
            controls=self.controls(),
            rounds=tuple(found for rounds in self.rounds.values() for found in rounds),
            environment=self.environment,
            plan={name: value for name, value in plan.items() if name != "cells"},
            status=self.status,
            phases_s=self.phases_s,
            notes=tuple(self.notes),
            datetime=datetime.now(UTC).isoformat(),
            **about,
        )

    @singledispatchmethod
    def apply(self, event: object) -> None:
        """Take an event into account."""
        raise TypeError(f"no event: {event!r}")

    @apply.register
    def _(self, event: events.Began) -> None:
        self.environment = event.environment

    @apply.register
    def _(self, _event: events.Resumed) -> None:
        self.notes.append("It was cut off, and resumed; a wave that was cut off was measured anew.")

    @apply.register
    def _(self, event: events.Counted) -> None:
        self.costs[event.arch] = event.cost

    @apply.register
    def _(self, event: events.Compiled) -> None:
        self._compile_cold_s[event.cell] = event.seconds

    @apply.register
    def _(self, event: events.WaveBegan) -> None:
        self._round_s = 0.0
        self.rounds.pop((event.group, event.set_index, event.wave_index), None)
        for known in (self._visits, self._setups):
            for name, by_wave in known.items():
                if self._cells[name].group == event.group:
                    by_wave.pop((event.set_index, event.wave_index), None)

    @apply.register
    def _(self, event: events.Learned) -> None:
        known = self._setups.setdefault(event.cell, {})
        known.setdefault((event.set_index, event.wave_index), {}).update(event.facts)

    @apply.register
    def _(self, event: events.Visited) -> None:
        visit = Visit(
            set_index=event.set_index,
            wave_index=event.wave_index,
            round_index=event.round_index,
            host_s=event.host_s,
            device_s=event.device_s,
        )
        known = self._visits.setdefault(event.cell, {})
        known.setdefault((event.set_index, event.wave_index), []).append(visit)
        self._round_s += event.dropped_s + sum(event.host_s)

    @apply.register
    def _(self, event: events.RoundEnded) -> None:
        found = Round(**msgspec.structs.asdict(event))
        key = (event.group, event.set_index, event.wave_index)
        self.rounds.setdefault(key, []).append(found)
        self._spend("measuring", self._round_s)
        self._spend("idling", event.wall_s - self._round_s)
        self._round_s = 0.0

    @apply.register
    def _(self, event: events.WaveEnded) -> None:
        self.ended.add((event.group, event.set_index, event.wave_index))

    @apply.register
    def _(self, event: events.Split) -> None:
        before = self.waves[event.group][0]
        self.waves[event.group] = tuple(
            replace(before, own=tuple(self._cells[name] for name in own)) for own in event.waves
        )
        self.notes.append(event.reason)

    @apply.register
    def _(self, event: events.Failed) -> None:
        self.failures[event.cell] = event.failure

    @apply.register
    def _(self, event: events.Spent) -> None:
        self._spend(event.phase, event.seconds)

    def _spend(self, phase: str, seconds: float) -> None:
        self.phases_s[phase] = self.phases_s.get(phase, 0.0) + seconds

    def _record(self, cell: Cell) -> CellRecord:
        return CellRecord(
            cell=cell,
            visits=tuple(self._judged(cell)),
            setups=tuple(self._setups.get(cell.id, {}).values()),
            cost=self.costs.get(cell.arch, {}),
            compile_cold_s=self._compile_cold_s.get(cell.id),
            failure=self.failures.get(cell.id),
        )

    def _judged(self, cell: Cell) -> Iterable[Visit]:
        """A cell's visits, those voided whose round was, or was cut off before it was judged."""
        for (set_index, wave_index), visits in self._visits.get(cell.id, {}).items():
            rounds = self.rounds.get((cell.group, set_index, wave_index), ())
            valid = {found.round_index for found in rounds if not found.voided}
            for visit in visits:
                yield visit if visit.round_index in valid else replace(visit, voided=True)


def check_same(plan: Plan, begun: Plan) -> None:
    """Refuse to go on with another plan than was begun; ``RequestError`` names what changed."""
    now, then = msgspec.to_builtins(plan), msgspec.to_builtins(begun)
    for name in now.keys() - _CHANGEABLE:
        if now[name] == then[name]:
            continue
        if name == "cells":
            missing = {cell.id for cell in begun.cells} ^ {cell.id for cell in plan.cells}
            raise RequestError(
                f"cannot resume: the plan has {len(plan.cells)} cells where the run was begun "
                f"with {len(begun.cells)}; the difference begins with {min(missing, default='?')}"
            )
        raise RequestError(
            f"cannot resume: {name} is {now[name]!r} where the run was begun with {then[name]!r}"
        )


def check_same_environment(now: dict[str, Any], then: dict[str, Any]) -> None:
    """Refuse to go on in another environment; ``RequestError`` names what changed."""
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            raise RequestError(
                f"cannot resume: {name} is {now.get(name)!r} here where the run was begun with "
                f"{then.get(name)!r}"
            )
