"""What the visits of a set show of a network's parts. Pure: seconds in, figures out; no torch.

Means over sets are arithmetic, and not geometric as a cell's latency is: then the stages and the
gap add up to the whole (but where eight sets or more have an outlier, and are trimmed).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cells.cell import Cell
from bench.stages.vocabulary import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVisit:
    """Seconds of the iterations of a visit to a worker, in order."""

    whole_s: tuple[float, ...]
    """Forwards without hooks."""
    hooked_s: tuple[float, ...]
    """Forwards with hooks on the stages, each beside the one without."""
    pair_s: float
    """What a pair of hooks shows of a module that does nothing."""
    parts_s: Mapping[Key, tuple[float, ...]]
    """In each stage, and in forwards of their own in each branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFigures:
    """Medians over the visits of a set, in seconds."""

    whole_s: float
    hooks_s: float
    """By how much hooks on the stages make a forward longer; noise may make it negative."""
    pair_s: float
    parts_s: Mapping[Key, float]

    @property
    def stages_s(self) -> float:
        """All stages together."""
        return sum(spent for (_, branch), spent in self.parts_s.items() if not branch)

    @property
    def gap_s(self) -> float:
        """What of a forward without hooks is in no stage; negative where hooks cost more."""
        return self.whole_s - self.stages_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Macs:
    """Multiply-accumulates for one image."""

    whole: int
    parts: Mapping[Key, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """On what it was measured, with what, and when: a run beside it may have been another day's."""

    device_name: str
    torch: str
    measured_at: str
    """ISO 8601, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A network, taken apart."""

    cell: Cell
    circumstances: Circumstances
    image_size: int
    macs: Macs
    sets: tuple[SetFigures, ...]


def of_set(visits: Sequence[StageVisit]) -> SetFigures:
    """The figures of a set's visits."""
    pairs = [
        hooked - plain
        for visit in visits
        for plain, hooked in zip(visit.whole_s, visit.hooked_s, strict=True)
    ]
    keys = dict.fromkeys(key for visit in visits for key in visit.parts_s)
    return SetFigures(
        whole_s=median(spent for visit in visits for spent in visit.whole_s),
        hooks_s=median(pairs),
        pair_s=median(visit.pair_s for visit in visits),
        parts_s={
            key: median(spent for visit in visits for spent in visit.parts_s.get(key, ()))
            for key in keys
        },
    )
