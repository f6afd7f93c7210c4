"""The steps before the final run: what is measured drops candidates.

In each step all candidates of a batch size are alive together, and their ratios to eager in fp32
are taken within rounds. Ratios of different steps are not compared: those that are left take part
in the next step, too.
"""

from dataclasses import dataclass, replace

from bench import stats
from bench.best.candidate import Candidate, remaining
from bench.records.record import CellRecord, RunRecord

ROUNDS = 5  # per set of a step that only drops candidates
FINALISTS = 3  # at each batch size, besides eager in fp32


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that measures candidates in order to drop some."""

    sets: int
    margin: float
    """A candidate is dropped if another is faster by more than this factor."""


# The margins are those of the choice of a network (bench/pick/halving.py): processes of one network
# differ by several percent, and two sets show less of that than one.
EXPLORING = Step(sets=1, margin=1.25)
HALVING = Step(sets=2, margin=1.15)


def measured(candidates: list[Candidate], run: RunRecord, step: int) -> list[Candidate]:
    """Return the candidates with their figures of a run; drop those that failed in it."""
    records = {record.cell: record for record in run.cells}
    return [
        each
        if each.dropped or each.cell not in records
        else _with_figures(each, records[each.cell], run, step)
        for each in candidates
    ]


def _with_figures(candidate: Candidate, record: CellRecord, run: RunRecord, step: int) -> Candidate:
    if record.failure is not None:
        return candidate.drop(step, f"it failed: {record.failure.message}")
    reference = run.reference(record.cell.group)
    if not record.has_figures or reference is None:
        return candidate
    errors = [each.output_error for each in record.setups if each.output_error is not None]
    return replace(
        candidate,
        speedup=stats.speedup(record, reference, reference=reference),
        latency=stats.latency(record),
        error=max(errors, default=None),
    )


def inexact(candidates: list[Candidate], most: float | None, step: int) -> list[Candidate]:
    """Drop candidates with a larger relative error than is allowed."""
    return [
        each
        if each.dropped or not is_inexact(each, most)
        else each.drop(step, f"its error is {each.error:.2g}, more than --max-error {most:g}")
        for each in candidates
    ]


def is_inexact(candidate: Candidate, most: float | None) -> bool:
    """Return whether a candidate has a larger relative error than is allowed."""
    return most is not None and candidate.error is not None and candidate.error > most


def without_reference(candidates: list[Candidate], step: int) -> list[Candidate]:
    """Drop the candidates of batch sizes whose reference was dropped."""
    without = {each.cell.batch_size for each in candidates if each.is_reference and each.dropped}
    return [
        each
        if each.dropped or each.cell.batch_size not in without
        else each.drop(step, "eager failed, so there is nothing to compare it with")
        for each in candidates
    ]


def unmeasured(candidates: list[Candidate], step: int, why: str) -> list[Candidate]:
    """Drop candidates without figures."""
    return [
        each
        if each.dropped or each.speedup is not None
        else each.drop(step, why, is_unmeasured=True)
        for each in candidates
    ]


def slower(candidates: list[Candidate], step: Step, number: int) -> list[Candidate]:
    """Drop candidates that are slower by more than the margin than another at the batch size.

    The reference stays, because the others are compared with it.
    """
    best: dict[int, Candidate] = {}
    for each in sorted(remaining(candidates), key=lambda each: -each.estimate):
        best.setdefault(each.cell.batch_size, each)
    return [
        each
        if each.dropped
        or each.is_reference
        or best[each.cell.batch_size].estimate <= each.estimate * step.margin
        else each.drop(
            number,
            f"{(to := best[each.cell.batch_size]).name} is {to.estimate / each.estimate:.2f} times "
            "as fast",
        )
        for each in candidates
    ]


def fastest(candidates: list[Candidate], batch_size: int) -> list[Candidate]:
    """Return the fastest candidates of a batch size that are left, at most ``FINALISTS``.

    Of those that are equally fast, the simplest come first.
    """
    left = [each for each in remaining(candidates) if each.cell.batch_size == batch_size]
    return sorted(left, key=lambda each: (-each.estimate, each.tokens))[:FINALISTS]


def not_among(candidates: list[Candidate], kept: list[Candidate], step: int) -> list[Candidate]:
    """Drop the candidates that are not among those to keep."""
    cells = {each.cell for each in kept}
    return [
        each
        if each.dropped or each.is_reference or each.cell in cells
        else each.drop(step, f"it is not among the {FINALISTS} fastest at its batch size")
        for each in candidates
    ]
