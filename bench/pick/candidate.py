"""A candidate: a network in a mode and at a batch size, what is known of it, and its verdict."""

from dataclasses import dataclass, replace
from enum import StrEnum

from bench.archs.source import Accuracy
from bench.cells.cell import Cell
from bench.means import Interval
from bench.records.reported import ArchCost

MEASURED_ONCE = 1.25
"""Margin, as a factor of latency, for what was measured only once.

Processes of one network differ by 5 to 8 % for their whole life, and a machine drifts by up to
20 %: this is beyond both.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a network must keep to; None for no limit."""

    latency_s: float
    """Largest latency of a batch, in seconds."""
    accuracy: float | None = None
    """Least accuracy, in percent."""
    params: float | None = None
    memory_bytes: float | None = None
    """Largest peak memory (the metric ``peak_memory_bytes``)."""


class Cause(StrEnum):
    """Why a candidate was dropped."""

    NOT_INSTALLED = "a library is not installed"
    ACCURACY = "accuracy"
    PARAMS = "parameters"
    CEILING = "latency at the machine's peak rate"
    FAILED = "failed"
    DOMINATED = "another is at least as accurate and much faster"
    MEMORY = "memory"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """When and why a candidate was dropped."""

    step: int
    """1 is the step without timing; later ones measure."""
    cause: Cause
    why: str
    """The reason with figures, as a part of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network in a mode and at a batch size."""

    cell: Cell
    accuracy: Accuracy | None = None
    """None if it is unknown."""
    cost: ArchCost | None = None
    """None if it was dropped before it was counted."""
    least_s: float | None = None
    """Estimate of the least latency of a batch, at the machine's peak rate, in seconds."""
    latency: Interval | None = None
    """Latency in seconds, from the most recent step that measured it; from an earlier one if only
    that has an interval."""
    paired_s: float | None = None
    """Latency in seconds, computed from its ratio to the reference within each round. It serves to
    compare candidates, because the machine's drift cancels."""
    memory_bytes: float | None = None
    output_error: float | None = None
    """Largest relative L2 distance of its answers to those of fp32 eager; None if unknown."""
    front: str | None = None
    """Whether it is on the front of accuracy and speed of the final run (bench/report/front.py);
    None if its accuracy is unknown, or if it is not in a complete final run."""
    dropped: Dropped | None = None
    verdict: str = ""

    @property
    def name(self) -> str:
        """Its name in sentences."""
        return f"{self.cell.arch} in {self.cell.mode}"

    @property
    def percent(self) -> float | None:
        """The accuracy in percent; None if it is unknown."""
        return None if self.accuracy is None else self.accuracy.percent

    def drop(self, step: int, cause: Cause, why: str) -> "Candidate":
        """Return the candidate as dropped."""
        return replace(self, dropped=Dropped(step=step, cause=cause, why=why))


def remaining(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that were not dropped."""
    return [each for each in candidates if each.dropped is None]
