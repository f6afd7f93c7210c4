"""What a run says of itself: its control, its precision, and how busy others kept the machine."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd

from bench import means, stats
from bench.machine import voiding
from bench.means import Interval
from bench.records.record import CellRecord, Round, RunRecord
from bench.report import card
from bench.report.run_cache import cached_per_run
from bench.tables import Column, scaled

# Of the rounds: above this the machine is too busy, and what is left is what it let through.
VOIDED_LIMIT = 0.25
_CONTAINS_1 = {True: "yes", False: "NO", None: "too few sets"}
# Where Linux's scheduler was asked: files from before that do not have it.
DISTURBED = Column(name="disturbed", heading="iterations disturbed %", write=scaled(100, 1))
COLUMNS = (
    Column(name="group", heading="cells", is_text=True),
    Column(name="reference", heading="reference", is_text=True),
    Column(name="control", heading="control ×", write=scaled(1, 3), bounded=True),
    Column(name="contains_1", heading="1 in its 99 %", is_text=True),
    Column(name="widest", heading="widest ratio ± %", write=scaled(100, 1)),
    Column(name="is_precise", heading="as precise as asked", is_text=True, rank=2),
    Column(name="rounds", heading="rounds", rank=3),
    Column(name="voided_share", heading="voided %", write=scaled(100, 0)),
    DISTURBED,
    Column(name="foreign_cpus", heading="foreign CPUs", write=scaled(1, 2), rank=4),
)
# Where a card's state is known: what rounds were voided for, one perhaps for several reasons.
_CARD_COLUMNS = (
    Column(name="voided_foreign_cpus", heading="voided for CPUs"),
    Column(name="voided_thermal", heading="for heat"),
    Column(name="voided_foreign_device", heading="for others on the card"),
)
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
    why_no_control: str
    """Why the control was not measured; empty where it was."""
    rounds: int
    voided_share: float
    disturbed_share: float
    """Of the timed iterations, voided ones aside: how many others held up, so that they do not
    count; NaN where nothing is known of that."""
    foreign_cpus: float
    """The mean over all rounds."""
    voided_by: Mapping[str, int] | None
    """How many for each reason, of which one may have several; None without a known card."""
    widest: float
    """The largest half-width of a ratio; NaN where one has none."""
    precision: float
    """The half-width that was asked for, as a share."""

    @property
    def is_busy(self) -> bool:
        """Whether the machine was too busy to measure on."""
        return self.voided_share > VOIDED_LIMIT

    @property
    def unfit(self) -> str:
        """What a machine is on which too many rounds were voided."""
        is_hot = (self.voided_by or {}).get(voiding.OVERHEATED)
        return "too busy, or its card too hot" if is_hot else "too busy"

    @property
    def why_voided(self) -> str:
        """What rounds were voided for, as a part of a sentence."""
        if self.voided_by is None:
            return f"other processes having kept {self.foreign_cpus:.1f} CPUs busy on average"
        counts = ((voiding.WORDS[name], count) for name, count in self.voided_by.items())
        return ", ".join(f"{count} because {words}" for words, count in counts if count)

    @property
    def asks_for_precision(self) -> bool:
        """Whether any was asked for."""
        return self.precision < stats.ANY_PRECISION

    @property
    def is_precise(self) -> bool:
        """Whether every ratio is as sure as was asked for."""
        return stats.is_precise(self.widest, self.precision)


@cached_per_run
def assess(run: RunRecord) -> tuple[Trust, ...]:
    """What a run says of each of its groups."""
    cells = _grouped(run.cells, lambda record: record.cell.group)
    rounds = _grouped(run.rounds, lambda found: found.group)
    precision = float(run.plan["precision"])
    return tuple(
        _of(control, cells[control.cell.group], rounds[control.cell.group], precision)
        for control in run.controls
        if control.visits or rounds[control.cell.group]
    )


def _precise(one: Trust) -> str:
    if not one.asks_for_precision:
        return "not asked for"
    return "yes" if one.is_precise else "no: no time for more sets"


def warnings(run: RunRecord) -> Iterator[str]:
    """Sentences that must stand above the tables."""
    yield from card.warnings(run)
    for trust in assess(run):
        if trust.is_busy:
            yield (
                f"{trust.group}: the machine was {trust.unfit}: {trust.voided_share:.0%} of "
                f"{trust.rounds} rounds were voided, {trust.why_voided}. What is left of its "
                "figures is no ground for a decision; measure again when it is "
                f"{'quiet' if trust.voided_by is None else 'quiet and cool'}."
            )
        if run.reference(trust.group) is None:
            yield (
                f"{trust.group}: nothing is compared: {trust.reference}, which ratios are to, has "
                "no figures."
            )
            continue
        if trust.control.sets == 1:
            yield (
                f"{trust.group}: of one set no interval is known. Processes differ by some "
                f"percent, and here the control, which is {trust.reference} measured a second "
                f"time, by a factor of {trust.control.estimate:.3f}."
            )
        if trust.why_no_control:
            yield (
                f"{trust.group}: nothing shows whether these figures can be trusted: the control, "
                f"which is {trust.reference} measured a second time, has none: "
                f"{trust.why_no_control}."
            )
        if trust.control_contains_1 is False:
            yield (
                f"{trust.group}: do not trust these figures: the control, which is "
                f"{trust.reference} measured a second time, differs from it by a factor of "
                f"{trust.control.estimate:.3f}, and the 99 % interval does not contain 1."
            )


def table(found: Iterable[Trust]) -> pd.DataFrame:
    """A row for each group, as ``COLUMNS`` shows it."""
    return pd.DataFrame(
        {
            "group": one.group,
            "reference": one.reference,
            "control": one.control.estimate,
            "control_low": one.control.low,
            "control_high": one.control.high,
            "contains_1": "no control"
            if one.why_no_control
            else _CONTAINS_1[one.control_contains_1],
            "widest": one.widest,
            "is_precise": _precise(one),
            "rounds": one.rounds,
            "voided_share": one.voided_share,
            "disturbed": one.disturbed_share,
            "foreign_cpus": one.foreign_cpus,
            **{f"voided_{name}": count for name, count in (one.voided_by or {}).items()},
        }
        for one in found
    )


def columns(rows: pd.DataFrame) -> tuple[Column, ...]:
    """The columns of these rows of ``table``."""
    has_accounts = "disturbed" in rows and rows["disturbed"].notna().any()
    known = (column for column in COLUMNS if column != DISTURBED or has_accounts)
    return (*known, *(column for column in _CARD_COLUMNS if column.name in rows))


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
    reference = next((record for record in group if record.cell == to), None)
    measured = surer = means.NOTHING
    if reference is not None and control.failure is None:
        measured = stats.speedup(control, reference)
        surer = stats.speedup(control, reference, stats.CONTROL_CONFIDENCE)
    return Trust(
        group=control.cell.group,
        reference=f"{to.arch} {to.mode}",
        control=measured,
        control_contains_1=None if surer.sets < 2 else surer.contains(1.0),
        why_no_control=_why_none(control),
        rounds=len(rounds),
        voided_share=sum(found.voided for found in rounds) / max(1, len(rounds)),
        disturbed_share=_disturbed_share([*group, control]),
        foreign_cpus=sum(found.foreign_cpus for found in rounds) / max(1, len(rounds)),
        voided_by={name: card.voided_by(rounds, name) for name in voiding.WORDS}
        if any(found.card is not None for found in rounds)
        else None,
        widest=stats.widest([*group, control]),
        precision=precision,
    )


def _why_none(control: CellRecord) -> str:
    if control.failure is not None:
        return control.failure.message
    return "" if control.visits else "the run ended before"


def _disturbed_share(records: Iterable[CellRecord]) -> float:
    known = [
        (len(visit.disturbed_s), len(visit.host_s))
        for record in records
        for visit in record.valid
        if visit.disturbed_s is not None
    ]
    disturbed, counting = map(sum, zip(*known, strict=True)) if known else (0, 0)
    return disturbed / (disturbed + counting) if known else math.nan
