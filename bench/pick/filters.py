"""Step 1: what drops a candidate before anything is timed."""

from collections.abc import Mapping
from dataclasses import replace

from bench.columns import milliseconds
from bench.metrics import roofline
from bench.pick.candidate import MEASURED_ONCE, Candidate, Cause, Limits
from bench.records.reported import ArchCost, Ceiling

STEP = 1


def by_accuracy(candidates: list[Candidate], limits: Limits) -> list[Candidate]:
    """Drop candidates with less accuracy than asked for, or with an unknown one."""
    return [_by_accuracy(each, limits.accuracy) for each in candidates]


def _by_accuracy(candidate: Candidate, least: float | None) -> Candidate:
    percent = candidate.percent
    if candidate.dropped or least is None or (percent is not None and percent >= least):
        return candidate
    if percent is None:
        return candidate.drop(STEP, Cause.ACCURACY, "its accuracy is unknown")
    why = f"its accuracy is {percent:g} %, below {least:g} %"
    return candidate.drop(STEP, Cause.ACCURACY, why)


def failed(candidates: list[Candidate], arch: str, why: str) -> list[Candidate]:
    """Drop the candidates of an arch that cannot be built."""
    return [
        each
        if each.dropped or each.cell.arch != arch
        else each.drop(STEP, Cause.FAILED, f"it failed: {why}")
        for each in candidates
    ]


def by_counts(
    candidates: list[Candidate],
    costs: Mapping[str, ArchCost],
    ceilings: Mapping[str, Ceiling],
    limits: Limits,
) -> list[Candidate]:
    """Drop candidates with too many parameters, or far too slow even at the machine's peak rate.

    The peak rate is the best of several large products and convolutions, and networks reach a part
    of it. It is measured once, hence the margin. ``costs`` are by arch, and ``ceilings`` by dtype.
    A candidate whose counts are unknown stays.
    """
    return [
        each if each.dropped else _by_counts(_counted(each, costs, ceilings), limits)
        for each in candidates
    ]


def _counted(
    candidate: Candidate, costs: Mapping[str, ArchCost], ceilings: Mapping[str, Ceiling]
) -> Candidate:
    cell = candidate.cell
    cost = costs.get(cell.arch, ArchCost())
    rate = max(roofline.best(ceilings.get(cell.dtype, Ceiling())).values(), default=None)
    macs = cost.macs_per_image
    least_s = None if macs is None or not rate else macs * cell.batch_size / rate
    return replace(candidate, cost=cost, least_s=least_s)


def _by_counts(candidate: Candidate, limits: Limits) -> Candidate:
    params = candidate.cost.params if candidate.cost else None
    if limits.params is not None and params is not None and params > limits.params:
        why = f"it has {params:,} parameters, more than {limits.params:,.0f}"
        return candidate.drop(STEP, Cause.PARAMS, why)
    if candidate.least_s is not None and candidate.least_s > limits.latency_s * MEASURED_ONCE:
        why = (
            f"the estimate of its least latency, at this machine's peak rate, is "
            f"{milliseconds(candidate.least_s)} ms, more than {MEASURED_ONCE:g} times "
            f"{milliseconds(limits.latency_s)} ms"
        )
        return candidate.drop(STEP, Cause.CEILING, why)
    return candidate
