"""Checks: what the validity of a run comes down to, at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.records.record import RunRecord
from bench.report.trust import Trust


class CheckState(StrEnum):
    """How a check came out; the value is a class of the page's style."""

    GOOD = "good"
    UNSURE = "unsure"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How many of how many, of what, and whether that is well."""

    count: int
    of: int
    what: str
    state: CheckState


def run_checks(run: RunRecord, groups: Sequence[Trust]) -> tuple[Check, ...]:
    """The checks that a run allows: of its cells, and of its groups that have a control."""
    with_figures = sum(record.has_figures for record in run.cells)
    figures = Check(
        count=with_figures,
        of=len(run.cells),
        what="cells have figures",
        state=CheckState.GOOD if with_figures == len(run.cells) else CheckState.BAD,
    )
    if not groups:
        return (figures,)
    precision = (_precision(groups),) if groups[0].asks_for_precision else ()
    return (figures, _control(groups), *precision, _voided(groups))


def _control(groups: Sequence[Trust]) -> Check:
    contain = [one.control_contains_1 for one in groups]
    return Check(
        count=contain.count(True),
        of=len(groups),
        what="controls contain 1 in their 99 % interval",
        state=CheckState.BAD
        if False in contain
        else CheckState.UNSURE
        if None in contain
        else CheckState.GOOD,
    )


def _precision(groups: Sequence[Trust]) -> Check:
    precise = sum(one.is_precise for one in groups)
    return Check(
        count=precise,
        of=len(groups),
        what="groups are as precise as was asked for",
        state=CheckState.GOOD if precise == len(groups) else CheckState.UNSURE,
    )


def _voided(groups: Sequence[Trust]) -> Check:
    voided = sum(round(one.voided_share * one.rounds) for one in groups)
    return Check(
        count=voided,
        of=sum(one.rounds for one in groups),
        what="rounds were voided, others keeping the machine busy"
        if all(one.voided_by is None for one in groups)
        else "rounds were voided, for others on the machine or the card, or for heat",
        state=CheckState.BAD
        if any(one.is_busy for one in groups)
        else CheckState.UNSURE
        if voided
        else CheckState.GOOD,
    )
