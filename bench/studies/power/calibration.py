"""Calibration: how many units of an injection slow a network down by a given share.

It measures sets as the gate does, with fresh workers. A single process that ran with and without
the injection in turn is misleading: in eager, a convolution took 0.55 of the time that it takes in
such sets. The collected sets measure the slowdown again.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import mean, median

import numpy as np

from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.launch.launchers import Launcher
from bench.studies.power import sets
from bench.studies.power.cases import Case
from bench.studies.power.sets import SetRow

SETS = 8
# Units that stand out of the noise, and are close to the calibrated amounts.
_PROBES: Mapping[str, int] = {"conv": 30, "python": 100, "break": 5}
# "stutter" does ten times the work of "conv" in one iteration of ten: the same work on average.
_PROBE_KINDS: Mapping[str, str] = {"stutter": "conv"}


def amounts(cases: Iterable[Case], launcher: Launcher, progress: Progress) -> Mapping[Case, int]:
    """Return the units that each case needs, measured on a quiet machine.

    Raises ``WorkerError`` or ``RequestError`` if they cannot be measured.
    """
    probes = {case: _probe(case) for case in cases if not case.is_same}
    rows: list[SetRow] = []
    if probes:
        probe_amounts = {probe: _PROBES[probe.kind] for probe in probes.values()}
        sets.collect(probe_amounts, SETS, launcher, progress, load="quiet", save=rows.extend)
    shares = {probe: _share(probe, rows) for probe in set(probes.values())}
    return {
        case: units(case.percent / 100, shares[probes[case]]) if case in probes else 0
        for case in cases
    }


def from_sets(case: Case, rows: Iterable[SetRow]) -> int | None:
    """Return the units that a case needs, interpolated between the sets of its mode and kind.

    Returns None if they measured no slowdown as large as the case's, or if noise makes the measured
    slowdown shrink as units grow.
    """
    logs: dict[int, list[float]] = {0: [0.0]}
    for row in rows:
        if (row.mode, row.kind) == (case.mode, case.kind) and math.isfinite(row.log_ratio):
            logs.setdefault(row.amount, []).append(row.log_ratio)
    amounts = sorted(logs)
    shares = [math.expm1(mean(logs[amount])) for amount in amounts]
    if case.percent / 100 > shares[-1] or shares != sorted(shares):
        return None
    return round(float(np.interp(case.percent / 100, shares, amounts)))


def units(share: float, unit_share: float) -> int:
    """Return how many units take ``share`` of the latency together; at least 1."""
    return max(1, round(share / unit_share))


def _probe(case: Case) -> Case:
    """Return the case that is measured to calibrate this one."""
    return replace(case, kind=_PROBE_KINDS.get(case.kind, case.kind), percent=math.inf)


def _share(probe: Case, rows: Iterable[SetRow]) -> float:
    """Return the share of the latency that one unit adds."""
    logs = [row.log_ratio for row in rows if row.case == probe and math.isfinite(row.log_ratio)]
    if not logs:
        raise RequestError(
            f"cannot calibrate {probe.kind} in {probe.mode}: it failed, or the machine was too "
            "busy in every set"
        )
    share = math.expm1(median(logs))
    if share <= 0:
        raise RequestError(
            f"cannot calibrate {probe.kind} in {probe.mode}: {_PROBES[probe.kind]} units are not "
            "slower than the noise; try again on a quieter machine"
        )
    return share / _PROBES[probe.kind]
