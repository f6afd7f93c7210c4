"""What a run says of itself: its control, its precision, and how busy others kept the machine."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bench import stats
from bench.record import CellRecord, Round, RunRecord
from bench.stats import Interval

# Of the rounds: above this the machine is too busy, and what is left is what it let through.
VOIDED_LIMIT = 0.25
Grouped = TypeVar("Grouped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether the figures of a group may be believed, and why."""

    group: str
    reference: str
    control: Interval
    """Of the reference's second worker over its first: 1, if the run is any good."""
    control_contains_1: bool | None
    """In its 99 % interval; None where there is none, for want of sets."""
    rounds: int
    voided_share: float
    foreign_cpus: float
    """The mean over all rounds."""
    widest: float
    """The largest half-width of a ratio; NaN where one has none."""
    precision: float

    @property
    def is_busy(self) -> bool:
        """Whether the machine was too busy to measure on."""
        return self.voided_share > VOIDED_LIMIT

    @property
    def is_precise(self) -> bool:
        """Whether every ratio is as sure as was asked for."""
        return self.widest <= self.precision


def of(run: RunRecord) -> tuple[Trust, ...]:
    """What a run says of each of its groups."""
    cells = _grouped(run.cells, lambda record: record.cell.group)
    rounds = _grouped(run.rounds, lambda found: found.group)
    precision = float(run.plan["precision"])
    return tuple(
        _of(control, cells[control.cell.group], rounds[control.cell.group], precision)
        for control in run.controls
        if control.visits
    )


def warnings(run: RunRecord) -> Iterator[str]:
    """Sentences that must stand above the tables."""
    for trust in of(run):
        if trust.is_busy:
            yield (
                f"{trust.group}: the machine was too busy: {trust.voided_share:.0%} of "
                f"{trust.rounds} rounds were voided, other processes having kept "
                f"{trust.foreign_cpus:.1f} CPUs busy on average. What is left of its figures is "
                "no ground for a decision; measure again when it is quiet."
            )
        if trust.control_contains_1 is False:
            yield (
                f"{trust.group}: do not trust these figures: the control, which is "
                f"{trust.reference} measured a second time, differs from it by a factor of "
                f"{trust.control.estimate:.3f}, and the 99 % interval does not contain 1."
            )


def _grouped(
    found: Iterable[Grouped], group: Callable[[Grouped], str]
) -> Mapping[str, Sequence[Grouped]]:
    by_group: dict[str, list[Grouped]] = defaultdict(list)
    for one in found:
        by_group[group(one)].append(one)
    return by_group


def _of(
    control: CellRecord, group: Sequence[CellRecord], rounds: Sequence[Round], precision: float
) -> Trust:
    to = replace(control.cell, control=False)
    reference = next((record for record in group if record.cell == to), control)
    surer = stats.speedup(control, reference, stats.CONTROL_CONFIDENCE)
    return Trust(
        group=control.cell.group,
        reference=f"{reference.cell.arch} {reference.cell.mode}",
        control=stats.speedup(control, reference),
        control_contains_1=None if surer.sets < 2 else surer.contains(1.0),
        rounds=len(rounds),
        voided_share=sum(found.voided for found in rounds) / max(1, len(rounds)),
        foreign_cpus=sum(found.foreign_cpus for found in rounds) / max(1, len(rounds)),
        widest=stats.widest([*group, control]),
        precision=precision,
    )
