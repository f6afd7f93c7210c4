"""Whether a run can be trusted: its control, its precision and the load of other processes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd

from bench import means, stats
from bench.columns import Column, scaled
from bench.machine import voiding
from bench.means import Interval
from bench.records.record import CellRecord, Round, RunRecord
from bench.records.run_cache import cached_per_run
from bench.trust import card_state
from bench.units import counted

# Share of the rounds. Above it, the machine is too busy to rely on the remaining rounds.
VOIDED_LIMIT = 0.25
# Share of the iterations. They do not count, but above it few others may be left.
DISTURBED_LIMIT = 0.25
_CONTAINS_1 = {True: "yes", False: "NO", None: "too few sets"}
# Only if Linux's scheduler accounts were read; older files do not have them.
DISTURBED = Column(name="disturbed", heading="iterations disturbed %", write=scaled(100, 1))
COLUMNS = (
    Column(name="group", heading="cells", is_text=True),
    Column(name="reference", heading="reference", is_text=True, rank=5),
    Column(
        name="control", heading="control × (99 %)", write=scaled(1, 3), bounded=True, neutral=1.0
    ),
    Column(name="contains_1", heading="1 in it", is_text=True),
    Column(name="widest", heading="widest ratio ± %", write=scaled(100, 1)),
    Column(name="is_precise", heading="precise enough", is_text=True, rank=2),
    Column(name="rounds", heading="rounds", rank=3),
    Column(name="voided_share", heading="voided %", write=scaled(100, 0)),
    DISTURBED,
    Column(name="foreign_cpus", heading="foreign CPUs", write=scaled(1, 2), rank=4),
)
# Only if a card's state is known: numbers of rounds by reason. A round may have several reasons.
_CARD_COLUMNS = (
    Column(name="voided_foreign_cpus", heading="voided for CPU load", rank=3),
    Column(name="voided_thermal", heading="voided for heat", rank=3),
    Column(name="voided_foreign_device", heading="voided for card use", rank=3),
)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether the figures of a group can be trusted, and why."""

    group: str
    reference: str
    control: Interval
    """Speedup of the control over the reference, with its 99 % interval; 1 in a good run."""
    control_contains_1: bool | None
    """Whether this interval contains 1; None if there are too few sets for one."""
    why_no_control: str
    """Why the control was not measured; empty if it was measured."""
    rounds: int
    voided_share: float
    disturbed_share: float
    """Share of the timed iterations of valid rounds that other processes disturbed, so that they do
    not count; NaN if unknown."""
    foreign_cpus: float
    """CPUs used by other processes, the mean over all rounds."""
    allowed_cpus: float | None
    """CPUs used by other processes in the valid rounds, the mean over them, if that is more than is
    allowed by default; else None. The user allowed it with ``--foreign-cpus``."""
    voided_by: Mapping[str, int] | None
    """Number of rounds for each reason (a round may have several); None if the card is unknown."""
    widest: float
    """Largest relative half-width of a ratio's interval; NaN if a ratio has no interval."""
    precision: float
    """Requested half-width, as a share."""

    @property
    def is_busy(self) -> bool:
        """Whether the machine was too busy to measure on."""
        return self.voided_share > VOIDED_LIMIT

    @property
    def is_distrusted(self) -> bool:
        """Whether not to decide by these figures: the machine was loaded, or the control is off."""
        return self.is_busy or self.allowed_cpus is not None or self.control_contains_1 is False

    @property
    def unfit(self) -> str:
        """The state of a machine on which too many rounds were voided, as a part of a sentence."""
        is_hot = (self.voided_by or {}).get(voiding.OVERHEATED)
        return "too busy, or its card too hot" if is_hot else "too busy"

    @property
    def while_loaded(self) -> str:
        """What other processes did in the rounds that count, as a sentence without its end."""
        return (
            f"other processes used {self.allowed_cpus or 0.0:.1f} CPUs on average while this was "
            "measured, which --foreign-cpus allowed"
        )

    @property
    def voided(self) -> str:
        """How many rounds were voided, as a part of a sentence."""
        verb = "was" if self.rounds == 1 else "were"
        return f"{self.voided_share:.0%} of {counted(self.rounds, 'round')} {verb} voided"

    @property
    def why_voided(self) -> str:
        """Why rounds were voided, as a part of a sentence."""
        if self.voided_by is None:
            return f"because other processes used {self.foreign_cpus:.1f} CPUs on average"
        counts = ((voiding.WORDS[name], count) for name, count in self.voided_by.items())
        return ", ".join(f"{count} because {words}" for words, count in counts if count)

    @property
    def asks_for_precision(self) -> bool:
        """Whether the run has a requested precision."""
        return self.precision < stats.ANY_PRECISION

    @property
    def is_precise(self) -> bool:
        """Whether every ratio has the requested precision."""
        return stats.is_precise(self.widest, self.precision)


@cached_per_run
def assess(run: RunRecord) -> tuple[Trust, ...]:
    """Return the trust of each group of a run that has a control."""
    cells = _grouped(run.cells, lambda record: record.cell.group)
    rounds = _grouped(run.rounds, lambda round_: round_.group)
    precision = stats.ANY_PRECISION if run.plan.precision is None else run.plan.precision
    most_cpus = run.plan.default_foreign_cpus or math.inf
    return tuple(
        _assess_group(
            control,
            cells[control.cell.group],
            rounds[control.cell.group],
            precision=precision,
            most_cpus=most_cpus,
        )
        for control in run.controls
        if control.visits or rounds[control.cell.group]
    )


def _precise(group: Trust) -> str:
    if not group.asks_for_precision:
        return "not requested"
    return "yes" if group.is_precise else "no: no time for more sets"


def table(groups: Iterable[Trust]) -> pd.DataFrame:
    """Return a row for each group, for ``COLUMNS``."""
    return pd.DataFrame(
        {
            "group": group.group,
            "reference": group.reference,
            "control": group.control.estimate,
            "control_low": group.control.low,
            "control_high": group.control.high,
            "contains_1": "no control"
            if group.why_no_control
            else _CONTAINS_1[group.control_contains_1],
            "widest": group.widest,
            "is_precise": _precise(group),
            "rounds": group.rounds,
            "voided_share": group.voided_share,
            "disturbed": group.disturbed_share,
            "foreign_cpus": group.foreign_cpus,
            **{f"voided_{name}": count for name, count in (group.voided_by or {}).items()},
        }
        for group in groups
    )


def columns(rows: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns for these rows of ``table``."""
    has_accounts = "disturbed" in rows and rows["disturbed"].notna().any()
    known = (column for column in COLUMNS if column != DISTURBED or has_accounts)
    return (*known, *(column for column in _CARD_COLUMNS if column.name in rows))


def _grouped(items: Iterable[Item], group: Callable[[Item], str]) -> Mapping[str, Sequence[Item]]:
    by_group: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_group[group(item)].append(item)
    return by_group


def _assess_group(
    control: CellRecord,
    group: Sequence[CellRecord],
    rounds: Sequence[Round],
    *,
    precision: float,
    most_cpus: float,
) -> Trust:
    """``most_cpus``: CPUs that others may use by default."""
    reference_cell = replace(control.cell, control=False)
    reference = next((record for record in group if record.cell == reference_cell), None)
    speedup = means.NO_INTERVAL
    if reference is not None and control.failure is None:
        speedup = stats.speedup(control, reference, stats.CONTROL_CONFIDENCE)
    return Trust(
        group=control.cell.group,
        reference=f"{reference_cell.arch} {reference_cell.label}",
        control=speedup,
        control_contains_1=None if speedup.sets < 2 else speedup.contains(1.0),
        why_no_control=_why_no_control(control),
        rounds=len(rounds),
        voided_share=sum(round_.voided for round_ in rounds) / max(1, len(rounds)),
        disturbed_share=_disturbed_share([*group, control]),
        foreign_cpus=sum(round_.foreign_cpus for round_ in rounds) / max(1, len(rounds)),
        allowed_cpus=_allowed_cpus(rounds, most_cpus),
        voided_by={name: card_state.voided_by(rounds, name) for name in voiding.WORDS}
        if any(round_.card is not None for round_ in rounds)
        else None,
        widest=stats.widest([*group, control]),
        precision=precision,
    )


def _allowed_cpus(rounds: Iterable[Round], most_cpus: float) -> float | None:
    loads = [round_.foreign_cpus for round_ in rounds if not round_.voided]
    mean = sum(loads) / max(1, len(loads))
    return mean if mean > most_cpus else None


def _why_no_control(control: CellRecord) -> str:
    if control.failure is not None:
        return control.failure.message
    return "" if control.visits else "the run ended before it was measured"


def _disturbed_share(records: Iterable[CellRecord]) -> float:
    known = [
        (len(visit.disturbed_s), len(visit.host_s))
        for record in records
        for visit in record.valid
        if visit.disturbed_s is not None
    ]
    disturbed, valid = map(sum, zip(*known, strict=True)) if known else (0, 0)
    return disturbed / (disturbed + valid) if known else math.nan
