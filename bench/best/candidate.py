"""A candidate: a mode and a dtype of the network at a batch size, and what is known of it."""

from dataclasses import dataclass, replace

from bench.best import combinations
from bench.cells.cell import Cell
from bench.means import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """When and why a candidate was dropped."""

    step: int
    """0: before anything was measured."""
    why: str
    """The reason with figures, as a part of a sentence."""
    is_unmeasured: bool = False
    """Whether it was dropped because there was no time to measure it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A mode and a dtype at a batch size; figures are those of the most recent step."""

    cell: Cell
    speedup: Interval | None = None
    """Speedup over eager in fp32, within rounds."""
    latency: Interval | None = None
    """Latency of a batch in seconds."""
    error: float | None = None
    """Largest relative error of its answers."""
    dropped: Dropped | None = None
    verdict: str = ""

    @property
    def name(self) -> str:
        """Its name in sentences: the mode, with the dtype if there are several."""
        return self.cell.label

    @property
    def tokens(self) -> int:
        """How many changes it makes to eager in fp32; fewer are simpler."""
        return combinations.size(self.cell)

    @property
    def is_reference(self) -> bool:
        """Whether it is eager in fp32, which the others are compared with."""
        return self.tokens == 0

    @property
    def estimate(self) -> float:
        """The estimate of its speedup; 0 if it is unknown."""
        return 0.0 if self.speedup is None else self.speedup.estimate

    def drop(self, step: int, why: str, *, is_unmeasured: bool = False) -> "Candidate":
        """Return the candidate as dropped."""
        dropped = Dropped(step=step, why=why, is_unmeasured=is_unmeasured)
        return replace(self, dropped=dropped)


def remaining(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that were not dropped."""
    return [each for each in candidates if each.dropped is None]
