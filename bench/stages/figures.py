"""Figures of a network's parts, computed from the visits of a set. Pure; imports no torch.

Means over sets are arithmetic, unlike a cell's latency, whose mean is geometric. Therefore the
stages and the gap add up to the whole, except if there are eight or more sets and an outlier is
trimmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cells.cell import Cell
from bench.stages.vocabulary import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVisit:
    """Times of the iterations of one visit to a worker, in seconds, in order."""

    whole_s: tuple[float, ...]
    """Forward passes without hooks."""
    hooked_s: tuple[float, ...]
    """Forward passes with hooks on the stages, each paired with one of ``whole_s``."""
    pair_s: float
    """Time that a pair of hooks measures on a module that does nothing."""
    parts_s: Mapping[Key, tuple[float, ...]]
    """Times in each stage, and in each branch; branches have separate forward passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFigures:
    """Medians over the visits of a set, in seconds."""

    whole_s: float
    hooks_s: float
    """Time that hooks on the stages add to a forward pass; noise may make it negative."""
    pair_s: float
    parts_s: Mapping[Key, float]

    @property
    def stages_s(self) -> float:
        """Sum of all stages, in seconds."""
        return sum(seconds for (_, branch), seconds in self.parts_s.items() if not branch)

    @property
    def gap_s(self) -> float:
        """Part of a forward pass without hooks outside all stages; negative if hooks cost more."""
        return self.whole_s - self.stages_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Macs:
    """Multiply-accumulates per image."""

    image_size: int | None
    """Height and width of the image in pixels; None for other inputs."""
    whole: int
    parts: Mapping[Key, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Device, PyTorch and time of a measurement: a run shown beside it may be from another day."""

    device_name: str
    torch: str
    measured_at: str
    """ISO 8601, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFigures:
    """The figures of one network and its parts."""

    cell: Cell
    provenance: Provenance
    macs: Macs
    sets: tuple[SetFigures, ...]


def summarize(visits: Sequence[StageVisit]) -> SetFigures:
    """Return the figures of a set from its visits."""
    differences_s = [
        hooked - plain
        for visit in visits
        for plain, hooked in zip(visit.whole_s, visit.hooked_s, strict=True)
    ]
    keys = dict.fromkeys(key for visit in visits for key in visit.parts_s)
    return SetFigures(
        whole_s=median(seconds for visit in visits for seconds in visit.whole_s),
        hooks_s=median(differences_s),
        pair_s=median(visit.pair_s for visit in visits),
        parts_s={
            key: median(seconds for visit in visits for seconds in visit.parts_s.get(key, ()))
            for key in keys
        },
    )
