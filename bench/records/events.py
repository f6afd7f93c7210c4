"""Events: what happens in a run. The journal stores them, and an outcome is built from them.

Events refer to cells by id, and to a wave by its group, its set and its index in the group. Three
events have the tag of an earlier name, so that earlier journals of this schema stay readable.
"""

from typing import Annotated, TypeAlias

import msgspec

from bench.cells.plan import Plan
from bench.machine.card import Around
from bench.machine.environment import Environment
from bench.records.code import Code
from bench.records.record import BackToBack, Failure, Fit
from bench.records.reported import ArchCost, Ceiling, Setup

JOURNAL_VERSION = 4
"""The version of the journals that are written; bench/records/journal.py lists the versions."""

_Duration = Annotated[float, msgspec.Meta(gt=0)]
_Durations = Annotated[tuple[_Duration, ...], msgspec.Meta(min_length=1)]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base class of the events."""


class Began(_Event, frozen=True, kw_only=True):
    """A run began with this plan in this environment."""

    schema_version: int
    """The version of the journal."""
    plan: Plan
    environment: Environment
    base_environment: Environment | None = None
    code: Code | None = None
    """None in a gate, which cannot be resumed."""
    run_id: str = ""
    """Unique id of the run, which it keeps if it is resumed; empty in earlier journals."""


class Resumed(_Event, frozen=True, kw_only=True):
    """The run was resumed after an interruption."""


class Counted(_Event, frozen=True, kw_only=True):
    """The cost of an arch was counted, or counting failed."""

    arch: str
    cost: ArchCost
    base: bool = False


class CeilingMeasured(_Event, frozen=True, kw_only=True, tag="Ceiling"):
    """The peak rate of the device in a dtype was measured, or measuring failed."""

    dtype: str
    facts: Ceiling

    @property
    def caveat(self) -> str:
        """Why the rate is unknown, as a sentence; empty if it is known."""
        error = self.facts.error
        return f"The ceiling of {self.dtype} is not known: {error}." if error else ""


class Shared(_Event, frozen=True, kw_only=True):
    """Other processes were on a CUDA device before the run, which was allowed."""

    device: str
    others: tuple[str, ...]


class Fitted(_Event, frozen=True, kw_only=True):
    """The search for the largest batch of an arch, mode, dtype and task ended."""

    fit: Fit


class Compiled(_Event, frozen=True, kw_only=True):
    """A cell was compiled with an empty cache; its worker was then replaced."""

    cell: str
    seconds: float


class WaveBegan(_Event, frozen=True):
    """Fresh workers are about to start; results of an earlier try of this wave are discarded."""

    group: str
    set_index: int
    wave_index: int
    host: str = ""
    """Name of the machine that measures the wave; empty in earlier journals."""


class Allotted(_Event, frozen=True, kw_only=True):
    """The number of valid rounds in each set of a group was decided."""

    group: str
    rounds: int


class WorkerReported(_Event, frozen=True, kw_only=True, tag="Learned"):
    """A worker was prepared, warmed up or finished, and reported these facts."""

    cell: str
    set_index: int
    wave_index: int
    facts: Setup


class Visited(_Event, frozen=True, kw_only=True):
    """A worker was visited: times of the iterations that count, and of those that do not."""

    cell: str
    set_index: int
    wave_index: int
    round_index: int
    dropped_s: float
    host_s: _Durations
    device_s: tuple[_Duration, ...]
    disturbed_s: tuple[_Duration, ...] | None = None
    back_to_back: BackToBack | None = None
    start_s: float | None = None
    """Time of the request, in seconds since 1970 (Unix time); None in earlier journals."""
    wall_s: float | None = None
    """Time from the request to the reply, in seconds; None in earlier journals."""


class RoundEnded(_Event, frozen=True, kw_only=True):
    """A round ended and was judged by the machine's state alone; without this it does not count."""

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
    """All rounds of a wave have been measured."""

    group: str
    set_index: int
    wave_index: int


class CutShort(_Event, frozen=True):
    """The budget was used up in a set, so some of its rounds or energy windows are missing."""

    group: str
    set_index: int


class StoppedEarly(_Event, frozen=True, kw_only=True):
    """The run ended, because every round of a set was voided; a resumed run measures it again."""

    set_index: int
    sentence: str
    """What happened, why, and what to do."""


class Split(_Event, frozen=True, kw_only=True):
    """Memory was too small for a group's waves; the group has these from now on.

    They are the same if only a cell of another wave did not fit into one that cannot be divided.
    """

    group: str
    waves: tuple[tuple[str, ...], ...]
    """The own cells of each wave."""
    reason: str


class Failed(_Event, frozen=True, kw_only=True):
    """A cell failed and is not tried again."""

    cell: str
    failure: Failure


class Noted(_Event, frozen=True, kw_only=True):
    """A caveat about how the run was measured, as a sentence."""

    sentence: str
    over_memory: str = ""
    """The group whose workers held more memory than the limit; empty for other caveats."""


class PhaseTimed(_Event, frozen=True, kw_only=True, tag="Spent"):
    """Wall time was spent on a phase."""

    phase: str
    seconds: float


Event: TypeAlias = (
    Began
    | Resumed
    | Counted
    | CeilingMeasured
    | Shared
    | Fitted
    | Compiled
    | WaveBegan
    | Allotted
    | WorkerReported
    | Visited
    | RoundEnded
    | WaveEnded
    | CutShort
    | StoppedEarly
    | Split
    | Failed
    | Noted
    | PhaseTimed
)
