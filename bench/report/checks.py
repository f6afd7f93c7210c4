"""Checks: a short summary of a run's validity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.records.record import RunRecord
from bench.trust.assessment import Trust


class CheckState(StrEnum):
    """The result of a check; the value is a CSS class of the page."""

    GOOD = "good"
    UNSURE = "unsure"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A statement that ``count`` of ``total`` things have a property, and how good that is."""

    count: int
    total: int
    text: str
    state: CheckState


def run_checks(run: RunRecord, groups: Sequence[Trust]) -> tuple[Check, ...]:
    """Return the checks that a run allows: of its cells, and of its groups with a control."""
    with_figures = sum(record.has_figures for record in run.cells)
    figures = Check(
        count=with_figures,
        total=len(run.cells),
        text="cells have figures",
        state=CheckState.GOOD if with_figures == len(run.cells) else CheckState.BAD,
    )
    if not groups:
        return (figures,)
    precision = (_precision(groups),) if groups[0].asks_for_precision else ()
    return (figures, _control(groups), *precision, _voided(groups))


def _control(groups: Sequence[Trust]) -> Check:
    contains_1 = [group.control_contains_1 for group in groups]
    return Check(
        count=contains_1.count(True),
        total=len(groups),
        text="controls have a 99 % interval that contains 1",
        state=CheckState.BAD
        if False in contains_1
        else CheckState.UNSURE
        if None in contains_1
        else CheckState.GOOD,
    )


def _precision(groups: Sequence[Trust]) -> Check:
    precise = sum(group.is_precise for group in groups)
    return Check(
        count=precise,
        total=len(groups),
        text="groups have the requested precision",
        state=CheckState.GOOD if precise == len(groups) else CheckState.UNSURE,
    )


def _voided(groups: Sequence[Trust]) -> Check:
    voided = sum(round(group.voided_share * group.rounds) for group in groups)
    return Check(
        count=voided,
        total=sum(group.rounds for group in groups),
        text="rounds were voided because other processes used the CPUs"
        if all(group.voided_by is None for group in groups)
        else "rounds were voided because of other processes on the CPUs or the card, or of heat",
        state=CheckState.BAD
        if any(group.is_busy for group in groups)
        else CheckState.UNSURE
        if voided or any(group.allowed_cpus is not None for group in groups)
        else CheckState.GOOD,
    )
