"""Events: what happens in a run and must outlive it; an outcome is made of them, one by one.

Cells are named by their ids. A wave is named by its group, its set and its index among the group's.
"""

from typing import Any, TypeAlias

import msgspec

from bench.cells.plan import Plan
from bench.machine.card import Around
from bench.records.code import Code
from bench.records.record import BackToBack, Failure, Fit


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened."""


class Began(_Event, frozen=True, kw_only=True):
    """A run of this plan began in this environment."""

    schema_version: int
    plan: Plan
    environment: dict[str, Any]
    base_environment: dict[str, Any] | None = None
    code: Code | None = None
    """Not of a gate, which is not resumed."""


class Resumed(_Event, frozen=True, kw_only=True):
    """It was taken up again after it had been cut off."""


class Counted(_Event, frozen=True, kw_only=True):
    """An arch was counted, or could not be."""

    arch: str
    cost: dict[str, Any]
    base: bool = False


class PeakMeasured(_Event, frozen=True, kw_only=True):
    """What the device does at the most in a dtype was measured, or could not be."""

    dtype: str
    facts: dict[str, Any]


class Shared(_Event, frozen=True, kw_only=True):
    """Others were on a CUDA device before anything was measured, which was allowed."""

    device: str
    others: tuple[str, ...]


class Fitted(_Event, frozen=True, kw_only=True):
    """The largest batch of an arch, mode, dtype and task was looked for."""

    fit: Fit


class Compiled(_Event, frozen=True, kw_only=True):
    """A cell's graph was compiled with nothing in the cache; its worker was then replaced."""

    cell: str
    seconds: float


class WaveBegan(_Event, frozen=True):
    """Fresh workers are about to start; what an earlier try of this wave measured is superseded."""

    group: str
    set_index: int
    wave_index: int


class Allotted(_Event, frozen=True, kw_only=True):
    """How many valid rounds each set of a group is to have."""

    group: str
    rounds: int


class WorkerReported(_Event, frozen=True, kw_only=True):
    """What preparing, warming up or finishing a worker showed."""

    cell: str
    set_index: int
    wave_index: int
    facts: dict[str, Any]


class Visited(_Event, frozen=True, kw_only=True):
    """A worker was visited: seconds of the iterations that count, and of those that do not."""

    cell: str
    set_index: int
    wave_index: int
    round_index: int
    dropped_s: float
    host_s: tuple[float, ...]
    device_s: tuple[float, ...]
    disturbed_s: tuple[float, ...] | None = None
    back_to_back: BackToBack | None = None


class RoundEnded(_Event, frozen=True, kw_only=True):
    """A round ended, and was judged by the machine alone; without this it does not count."""

    group: str
    set_index: int
    wave_index: int
    round_index: int
    wall_s: float
    foreign_cpus: float
    voided: bool
    reasons: tuple[str, ...] = ()
    card: Around | None = None


class WaveEnded(_Event, frozen=True):
    """Every round of a wave that was to be measured has been."""

    group: str
    set_index: int
    wave_index: int


class Split(_Event, frozen=True, kw_only=True):
    """A group's waves are now these: memory did not hold the ones before."""

    group: str
    waves: tuple[tuple[str, ...], ...]
    """The own cells of each."""
    reason: str


class Failed(_Event, frozen=True, kw_only=True):
    """A cell failed, and is not tried again."""

    cell: str
    failure: Failure


class Noted(_Event, frozen=True, kw_only=True):
    """Something that a reader must know of how the run was measured, in a sentence."""

    sentence: str


class PhaseTimed(_Event, frozen=True, kw_only=True):
    """Wall time, by what it was spent on."""

    phase: str
    seconds: float


Event: TypeAlias = (
    Began
    | Resumed
    | Counted
    | PeakMeasured
    | Shared
    | Fitted
    | Compiled
    | WaveBegan
    | Allotted
    | WorkerReported
    | Visited
    | RoundEnded
    | WaveEnded
    | Split
    | Failed
    | Noted
    | PhaseTimed
)
