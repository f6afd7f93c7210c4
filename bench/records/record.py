"""The record of a run: plain data that is enough to make every report and verdict again."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

from bench.cells.cell import Cell
from bench.machine.card import Around
from bench.machine.environment import Environment
from bench.records.code import Code
from bench.records.reported import ArchCost, Ceiling, Setup
from bench.records.stored_plan import StoredPlan

SCHEMA_VERSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BackToBack:
    """Iterations without waits in between, if the device's calls return before the work is done."""

    iterations: int
    enqueue_s: float
    """Host time until the last call returned, in seconds."""
    host_s: float
    """Host time until all work was done, in seconds."""
    device_s: float
    """Time between events around all iterations, including waits of the device for the host."""
    busy_s: float | None = None
    """Device time of one iteration without waits for the host, in seconds. The device was kept busy
    with other work until everything was enqueued. None if the host waited for the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTime:
    """When a visit took place. Its iterations follow each other, first the dropped ones."""

    start_s: float
    """Time of the request to the worker, in seconds since 1970 (Unix time)."""
    wall_s: float
    """Time from the request to the reply, in seconds."""
    dropped_s: float
    """Host time of the dropped iterations, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The timed iterations of one worker in one round, without the dropped ones."""

    set_index: int
    round_index: int
    host_s: tuple[float, ...]
    device_s: tuple[float, ...] = ()
    disturbed_s: tuple[float, ...] | None = None
    """Host times of iterations that do not count, because other processes delayed them, in seconds.
    None if this is unknown (bench/worker/contention.py)."""
    wave_index: int = 0
    """Index of the wave in its group; the cells of a wave are alive together."""
    voided: bool = False
    """Whether its round was voided, or was interrupted before it could be judged."""
    back_to_back: BackToBack | None = None
    """Block after the timed iterations, if the device's calls return before the work is done."""
    host: str = ""
    """Name of the machine that measured it; empty in files of earlier versions."""
    time: VisitTime | None = None
    """None in files written before it was recorded (version 3 too)."""

    @property
    def key(self) -> tuple[int, int, int]:
        """The indices of set, wave and round."""
        return self.set_index, self.wave_index, self.round_index


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One visit to every live worker of a wave, and the load by other processes meanwhile."""

    group: str
    set_index: int
    wave_index: int
    round_index: int
    wall_s: float
    foreign_cpus: float
    """CPU time of other processes divided by wall time, on the CPUs that the run may use."""
    voided: bool
    reasons: tuple[str, ...] = ()
    """Why it is void: names in bench/machine/voiding.py. Empty in a voided round: foreign load."""
    card: Around | None = None
    """State of the CUDA device before and after the round; None if it was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell has no figures."""

    kind: str
    """``error``, ``died``, ``timeout``, ``out_of_memory``, ``wrong_answer``, ``recompiled``, …"""
    message: str
    phase: str
    set_index: int
    stderr: str = ""


def _median(durations_s: Sequence[float]) -> float:
    """Return the median of a visit; most visits have one iteration."""
    return durations_s[0] if len(durations_s) == 1 else median(durations_s)


# This class and RunRecord have no slots, so that cached properties can store their values.
@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """Everything measured of one cell."""

    cell: Cell
    visits: tuple[Visit, ...] = ()
    setups: tuple[Setup, ...] = ()
    """Facts from preparing, warming up and finishing the worker, one for each set."""
    cost: ArchCost = field(default_factory=ArchCost)
    """Counted cost of the arch for one image, or why it is unknown."""
    compile_cold_s: float | None = None
    """Time of the first call with Inductor's cache empty; None if every call found its graph."""
    failure: Failure | None = None

    @property
    def compile_warm_s(self) -> float | None:
        """Median over the sets of the first call that found its code in Inductor's cache."""
        warm_s = [
            setup.first_call_s
            for setup in self.setups
            if setup.compile_cached and setup.first_call_s is not None
        ]
        return median(warm_s) if warm_s else None

    @property
    def host_s(self) -> tuple[float, ...]:
        """Every valid latency sample, in seconds, in the order measured."""
        return tuple(sample for visit in self.valid for sample in visit.host_s)

    @property
    def device_s(self) -> tuple[float, ...]:
        """Every valid sample from the device's events, in seconds; empty without such events."""
        return tuple(sample for visit in self.valid for sample in visit.device_s)

    @cached_property
    def derived(self) -> dict[object, Any]:
        """Store for values that are computed from this record (bench/stats.py)."""
        return {}

    @cached_property
    def has_blocks(self) -> bool:
        """Whether iterations were also measured back to back."""
        return any(visit.back_to_back for visit in self.valid)

    @cached_property
    def medians_s(self) -> Mapping[tuple[int, int, int], float]:
        """Median latency of each valid visit, in seconds, by set, wave and round."""
        return {visit.key: _median(visit.host_s) for visit in self.valid}

    @cached_property
    def log_medians(self) -> Mapping[tuple[int, int, int], float]:
        """Natural logarithms of ``medians_s``, used for ratios and geometric means."""
        return {key: math.log(median_s) for key, median_s in self.medians_s.items()}

    @property
    def valid(self) -> Iterator[Visit]:
        """The visits that were not voided."""
        return (visit for visit in self.visits if not visit.voided)

    @property
    def has_figures(self) -> bool:
        """Whether it has valid samples and did not fail."""
        return self.failure is None and any(True for _ in self.valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A batch size that was tried by a worker alone on the device."""

    batch_size: int
    fits: bool
    held_bytes: int | None = None
    """Peak memory: of the allocator on a GPU, of the process on a CPU."""
    reason: str = ""
    """Why it does not fit."""
    is_error: bool = False
    """Whether it failed for another reason than memory, so that it shows nothing about fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The search for the largest batch of an arch in a mode, dtype and task."""

    cell: Cell
    """The cell, with batch size 1."""
    attempts: tuple[Attempt, ...]

    @property
    def largest(self) -> Attempt | None:
        """The largest batch that fits; None if not even one image does."""
        fitting = (attempt for attempt in self.attempts if attempt.fits)
        return max(fitting, key=lambda attempt: attempt.batch_size, default=None)

    @property
    def smallest_failed(self) -> Attempt | None:
        """The smallest batch that does not fit into memory; None if all tried ones fit."""
        failed = (attempt for attempt in self.attempts if not attempt.fits and not attempt.is_error)
        return min(failed, key=lambda attempt: attempt.batch_size, default=None)

    @property
    def error(self) -> Attempt | None:
        """The attempt whose error ended the search early; None if there was none."""
        return next((attempt for attempt in self.attempts if attempt.is_error), None)


ENDED_EARLY, NO_WORKER = "The run ended early, because ", "The run stopped early: "
"""How the notes begin that say why a run ended by itself: all rounds of a set were voided, or no
worker could be started."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A whole run: every cell and the circumstances."""

    cells: tuple[CellRecord, ...]
    controls: tuple[CellRecord, ...] = ()
    """The control of each group: a second copy of its reference."""
    bases: tuple[CellRecord, ...] = ()
    """In a gate: the base's copy of each cell, in the order of ``cells``."""
    rounds: tuple[Round, ...] = ()
    allotted: Mapping[str, int] = field(default_factory=dict)
    """Planned number of valid rounds in each set, by group."""
    environment: Environment
    """The environment of the workers."""
    base_environment: Environment | None = None
    """The environment of a gate's base."""
    ceilings: Mapping[str, Ceiling] = field(default_factory=dict)
    """Peak rates of the device, by dtype (bench/worker/ceiling.py, ``measure``)."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Descriptions of other users of a CUDA device when the run began, by device."""
    fits: tuple[Fit, ...] = ()
    """The searches for the largest batches, if any."""
    plan: StoredPlan
    status: str
    """``complete``, ``over_budget``, ``interrupted``, or ``stopped_early``: all rounds of a set
    were voided."""
    phases_s: Mapping[str, float]
    """Wall time by phase, in seconds."""
    notes: tuple[str, ...] = ()
    """Caveats about how the run was measured, as sentences."""
    gate: Mapping[str, Any] | None = None
    """In a gate: the names of its sides and its settings (bench/gate/decision.py)."""
    machine_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's facts about the machine."""
    commit_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's facts about the commit."""
    datetime: str = ""
    """Time of writing, in ISO 8601, UTC."""
    run_id: str = ""
    """Unique id, which a run keeps if it is resumed; empty in files of earlier versions."""
    code: Code | None = None
    """The version of the code, in a gate that of head; None in earlier files."""
    base_code: Code | None = None
    """The version of the code of a gate's base."""

    @cached_property
    def has_blocks(self) -> bool:
        """Whether iterations of any cell were also measured back to back."""
        return any(record.has_blocks for record in self.cells)

    @cached_property
    def measured(self) -> Mapping[str, tuple[CellRecord, ...]]:
        """The cells with figures, by group."""
        groups: dict[str, tuple[CellRecord, ...]] = {}
        for record in self.cells:
            if record.has_figures:
                group = record.cell.group
                groups[group] = (*groups.get(group, ()), record)
        return groups

    @cached_property
    def derived(self) -> dict[str, Any]:
        """Values derived from the run (bench/records/run_cache.py); not part of the record."""
        return {}

    @property
    def why_ended(self) -> str:
        """The note on why the run ended by itself before it was complete; empty if it did not."""
        found = [note for note in self.notes if note.startswith((ENDED_EARLY, NO_WORKER))]
        return found[-1] if found and self.can_be_resumed else ""

    @property
    def can_be_resumed(self) -> bool:
        """Whether the run's journal lets it continue where it ended."""
        return self.status in {"interrupted", "stopped_early"}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show: no figure, no failure, and no largest batch."""
        return not (self.measured or self.fits or any(record.failure for record in self.cells))

    def references(self) -> dict[str, Cell]:
        """Return the reference cell of each group: the one that has a control."""
        return {record.cell.group: replace(record.cell, control=False) for record in self.controls}

    def reference(self, group: str) -> CellRecord | None:
        """Return the record of a group's reference; None if it has no figures."""
        reference_cell = self.references().get(group)
        return next(
            (record for record in self.measured.get(group, ()) if record.cell == reference_cell),
            None,
        )
