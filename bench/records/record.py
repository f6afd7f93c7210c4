"""What is kept of a run: plain data, from which every report and verdict can be made again."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

from bench.cells.cell import Cell
from bench.machine.card import Around

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BackToBack:
    """Iterations with no wait between them, where a call returns before its work is done."""

    iterations: int
    enqueue_s: float
    """By the host's clock, until the last call returned."""
    host_s: float
    """By the host's clock, until all their work was done."""
    device_s: float
    """Between events around all of them; whatever the device waited for the host is in it."""
    busy_s: float | None = None
    """Of one iteration on the device that did not wait for the host: it was kept busy with
    something else until everything was enqueued. None where the host waited for the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The timed iterations of one worker in one round, the dropped ones not among them."""

    set_index: int
    round_index: int
    host_s: tuple[float, ...]
    device_s: tuple[float, ...] = ()
    disturbed_s: tuple[float, ...] | None = None
    """By the host's clock, of iterations that do not count: others held them up. None where nothing
    is known of that (bench/worker/contention.py)."""
    wave_index: int = 0
    """Among the waves of its group: those cells that were alive together."""
    voided: bool = False
    """Whether its round was voided, or cut off before it could be judged."""
    back_to_back: BackToBack | None = None
    """After the timed iterations, where the device's calls return before the work is done."""

    @property
    def key(self) -> tuple[int, int, int]:
        """Its set, wave and round."""
        return self.set_index, self.wave_index, self.round_index


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One visit to every live worker of a wave, and how busy others kept the machine."""

    group: str
    set_index: int
    wave_index: int
    round_index: int
    wall_s: float
    foreign_cpus: float
    """CPU time of what is not this run's, over the wall time, on the CPUs that it may use."""
    voided: bool
    reasons: tuple[str, ...] = ()
    """Why it is void, names of bench/machine/voiding.py; where nothing is said, foreign load."""
    card: Around | None = None
    """The CUDA device before and after it, where its driver was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell has no figures."""

    kind: str
    """``error``, ``died``, ``timeout``, ``out_of_memory``, ``wrong_answer``, ``recompiled``, …"""
    message: str
    phase: str
    set_index: int
    stderr: str = ""


# Without slots, as the next: what reports ask for again and again is kept beside the fields.
@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """Everything measured of one cell."""

    cell: Cell
    visits: tuple[Visit, ...] = ()
    setups: tuple[Mapping[str, Any], ...] = ()
    """One for each set: what preparing, warming up and finishing its worker showed."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """What the arch costs on paper, for one image; or under ``error`` why that is not known."""
    compile_cold_s: float | None = None
    """The first call that found nothing in Inductor's cache; None where each found its graph."""
    failure: Failure | None = None

    @property
    def compile_warm_s(self) -> float | None:
        """The first call that took its code from Inductor's cache: the median over the sets."""
        warm = [setup for setup in self.setups if setup.get("compile_cached") is True]
        return median(setup["first_call_s"] for setup in warm) if warm else None

    @property
    def host_s(self) -> tuple[float, ...]:
        """Every valid latency sample, in seconds, in the order measured."""
        return tuple(sample for visit in self.valid for sample in visit.host_s)

    @property
    def device_s(self) -> tuple[float, ...]:
        """Every valid sample by the device's own events; empty where there are none."""
        return tuple(sample for visit in self.valid for sample in visit.device_s)

    @cached_property
    def has_blocks(self) -> bool:
        """Whether iterations were also measured back to back."""
        return any(visit.back_to_back for visit in self.valid)

    @cached_property
    def medians_s(self) -> Mapping[tuple[int, int, int], float]:
        """The median latency of each valid visit, in seconds, by its set, wave and round."""
        return {visit.key: median(visit.host_s) for visit in self.valid}

    @cached_property
    def log_medians(self) -> Mapping[tuple[int, int, int], float]:
        """Their natural logarithms, which ratios and geometric means are taken of."""
        return {visit: math.log(median_s) for visit, median_s in self.medians_s.items()}

    @property
    def valid(self) -> Iterator[Visit]:
        """The visits that were not voided."""
        return (visit for visit in self.visits if not visit.voided)

    @property
    def has_figures(self) -> bool:
        """Whether anything may be said of its speed."""
        return self.failure is None and any(True for _ in self.valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A batch size, tried by a worker that was alone."""

    batch_size: int
    fits: bool
    held_bytes: int | None = None
    """At its peak: of the device's memory by the allocator, or of a CPU's by the process."""
    reason: str = ""
    """Why it does not fit."""
    is_error: bool = False
    """Whether it failed for another reason than memory: that says nothing of what fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The largest batch of an arch in a mode, a dtype and a task, as far as it was looked for."""

    cell: Cell
    """With a batch of one image."""
    attempts: tuple[Attempt, ...]

    @property
    def largest(self) -> Attempt | None:
        """The largest that fits; None where one image does not."""
        fitting = (attempt for attempt in self.attempts if attempt.fits)
        return max(fitting, key=lambda attempt: attempt.batch_size, default=None)

    @property
    def smallest_failed(self) -> Attempt | None:
        """The smallest that memory does not hold; None where it held all that were tried."""
        failed = (found for found in self.attempts if not found.fits and not found.is_error)
        return min(failed, key=lambda attempt: attempt.batch_size, default=None)

    @property
    def error(self) -> Attempt | None:
        """What ended the search before it knew; None where nothing did."""
        return next((found for found in self.attempts if found.is_error), None)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A whole run: every cell, and the circumstances."""

    cells: tuple[CellRecord, ...]
    controls: tuple[CellRecord, ...] = ()
    """The reference of each group, measured a second time."""
    bases: tuple[CellRecord, ...] = ()
    """Of a gate: each cell of the base, in the order of ``cells``."""
    rounds: tuple[Round, ...] = ()
    allotted: Mapping[str, int] = field(default_factory=dict)
    """Valid rounds that each set was to have, by group."""
    environment: Mapping[str, Any]
    """As workers saw it (bench/machine/environment.py, ``describe``)."""
    base_environment: Mapping[str, Any] | None = None
    """The same of a gate's base."""
    ceilings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the device does at the most, by dtype (bench/worker/peak.py, ``measure``)."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Who else was on a CUDA device when the run began, in words, by device."""
    fits: tuple[Fit, ...] = ()
    """The largest batches, where they were looked for."""
    plan: Mapping[str, Any]
    """What was asked for: the fields of the plan but its cells."""
    status: str
    """``complete``, ``over_budget`` or ``interrupted``."""
    phases_s: Mapping[str, float]
    """Where the wall time went, in seconds by phase."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how it was measured, in sentences."""
    gate: Mapping[str, Any] | None = None
    """For a gate: the names of its sides and its settings (bench/gate/decision.py)."""
    machine_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's own."""
    commit_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's own."""
    datetime: str = ""
    """When it was written, in ISO 8601, UTC."""

    @cached_property
    def has_blocks(self) -> bool:
        """Whether iterations of any cell were also measured back to back."""
        return any(record.has_blocks for record in self.cells)

    @cached_property
    def measured(self) -> Mapping[str, tuple[CellRecord, ...]]:
        """The cells with figures, by their groups."""
        groups: dict[str, tuple[CellRecord, ...]] = {}
        for record in self.cells:
            if record.has_figures:
                group = record.cell.group
                groups[group] = (*groups.get(group, ()), record)
        return groups

    @cached_property
    def made(self) -> dict[str, Any]:
        """Values derived from the run (bench/report/run_cache.py); not part of the record."""
        return {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: no figure, no failure, and no largest batch."""
        return not (self.measured or self.fits or any(record.failure for record in self.cells))

    def references(self) -> dict[str, Cell]:
        """The cell of each group that ratios are taken to: the one with a control."""
        return {record.cell.group: replace(record.cell, control=False) for record in self.controls}

    def reference(self, group: str) -> CellRecord | None:
        """That cell of a group, where it has figures."""
        to = self.references().get(group)
        return next((one for one in self.measured.get(group, ()) if one.cell == to), None)
