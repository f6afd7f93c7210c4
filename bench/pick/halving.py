"""The steps between the counts and the final run: successive halving.

All candidates are measured for a short set. Those that are clearly out are dropped, and more sets
are measured of the rest (Jamieson and Talwalkar 2016). Most of the time is thus spent on the few
networks between which the choice is close.

Two processes of the same network differ by several percent, so a single set decides only with a
margin, a factor of latency. It shrinks when there are more sets.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median_low

from bench import stats
from bench.columns import milliseconds
from bench.pick.candidate import MEASURED_ONCE, Candidate, Cause, Limits, remaining
from bench.records.record import CellRecord, RunRecord
from bench.units import in_mib

ROUNDS = 5  # of a set that only drops candidates
FINALISTS = 4  # with no more candidates than this, a further step saves less than it costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that measures candidates in order to drop some."""

    sets: int
    margin: float
    """Only a candidate that is slower by more than this factor is dropped."""


# Two sets and the ratios within rounds allow a smaller margin than one set.
STEPS = (Step(sets=1, margin=MEASURED_ONCE), Step(sets=2, margin=1.15))


def is_worthwhile(index: int, candidates: list[Candidate]) -> bool:
    """Return whether to measure a step of ``STEPS`` before the final run.

    The first one always, so that the final run has no candidate that takes many times the limit;
    with a single candidate there is nothing to drop.
    """
    left = len(remaining(candidates))
    return left > (1 if index == 0 else FINALISTS)


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
        return candidate.drop(step, Cause.FAILED, f"it failed: {record.failure.message}")
    if not record.has_figures:
        return candidate
    latency = stats.latency(record)
    reference = run.reference(record.cell.group)
    paired_s = latency.estimate
    if reference is not None and reference is not record:
        ratio = stats.speedup(record, reference)
        if ratio.sets:
            paired_s = stats.latency(reference).estimate / ratio.estimate
    errors = [each.output_error for each in record.setups if each.output_error is not None]
    sizes = [each.peak_memory_bytes for each in record.setups if each.peak_memory_bytes is not None]
    found = replace(
        candidate,
        cost=record.cost,
        latency=latency,
        paired_s=paired_s,
        memory_bytes=median_low(sizes) if sizes else candidate.memory_bytes,
        output_error=max(errors, default=candidate.output_error),
    )
    if lacks_interval(candidate) or not lacks_interval(found):
        return found
    # A run that ended in its first set is less certain than an earlier step of two sets.
    return replace(found, latency=candidate.latency, paired_s=candidate.paired_s)


def lacks_interval(candidate: Candidate) -> bool:
    """Return whether a candidate's latency is unknown, or known without an interval."""
    return candidate.latency is None or math.isnan(candidate.latency.high)


def drop(candidates: list[Candidate], limits: Limits, step: Step, number: int) -> list[Candidate]:
    """Drop candidates that are far over a limit, and those that another one dominates.

    One dominates another at the same batch size if its accuracy is at least as high and it is
    faster by more than the margin. An unknown accuracy is comparable only with itself, in another
    mode of the same network.
    """
    left = remaining(candidates)
    return [
        each if each.dropped else _judged(each, left, limits, step, number) for each in candidates
    ]


def _judged(
    candidate: Candidate, others: Iterable[Candidate], limits: Limits, step: Step, number: int
) -> Candidate:
    if candidate.latency is None or candidate.paired_s is None:
        return candidate
    estimate_s = candidate.latency.estimate
    if estimate_s > limits.latency_s * step.margin:
        why = (
            f"{milliseconds(estimate_s)} ms, more than {step.margin:g} times "
            f"{milliseconds(limits.latency_s)} ms"
        )
        return candidate.drop(number, Cause.LATENCY, why)
    if over := over_memory(candidate, limits, step.margin):
        return candidate.drop(number, Cause.MEMORY, over)
    dominating = [
        (other.paired_s, other)
        for other in others
        if other.paired_s is not None
        and other.paired_s * step.margin < candidate.paired_s
        and other.cell.group == candidate.cell.group
        and is_as_accurate(other, candidate)
        and not over_memory(other, limits)
    ]
    if not dominating:
        return candidate
    paired_s, best = min(dominating, key=lambda pair: pair[0])
    accuracy = (
        "the same network" if best.cell.arch == candidate.cell.arch else "at least as accurate"
    )
    why = f"{best.name} is {accuracy} and {candidate.paired_s / paired_s:.1f} times as fast"
    return candidate.drop(number, Cause.DOMINATED, why)


def over_memory(candidate: Candidate, limits: Limits, margin: float = 1.0) -> str:
    """Say how far a candidate is over the limit of memory, with a margin; empty if it is not."""
    size, limit = candidate.memory_bytes, limits.memory_bytes
    if size is None or limit is None or size <= limit * margin:
        return ""
    return f"it needs {in_mib(size)} of memory, more than {in_mib(limit)}"


def is_as_accurate(first: Candidate, second: Candidate) -> bool:
    """Return whether the first is known to be at least as accurate as the second."""
    if first.cell.arch == second.cell.arch:
        return True
    if first.percent is None or second.percent is None:
        return False
    return first.percent >= second.percent
