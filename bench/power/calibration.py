"""Calibration: how much of an injection makes a network slower by a given share.

By sets of the gate's own kind, whose workers are fresh ones: in a single process, with and without
the injection in turn, a convolution of eager took 0.55 of what it takes in those. What the
injection then takes, the sets that are collected tell once more.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import mean, median

import numpy as np

from bench.engine.context import Progress
from bench.engine.launch import Launcher
from bench.names import RequestError
from bench.power import sets
from bench.power.cases import Case
from bench.power.sets import SetRow

SETS = 8
# Units that stand out of the noise, and are not far from what is wanted in the end.
_PROBES: Mapping[str, int] = {"conv": 30, "python": 100, "break": 5}
# One in ten iterations with ten times as much: on average, as much as the other kind's.
_SAME_AS: Mapping[str, str] = {"stutter": "conv"}


def amounts(cases: Iterable[Case], launcher: Launcher, progress: Progress) -> Mapping[Case, int]:
    """The units that each case needs, measured on a quiet machine.

    Raises ``WorkerError`` or ``RequestError`` where they cannot be measured.
    """
    probes = {case: _probe(case) for case in cases if not case.is_same}
    rows: list[SetRow] = []
    if probes:
        wanted = {probe: _PROBES[probe.kind] for probe in probes.values()}
        sets.collect(wanted, SETS, launcher, progress, load="quiet", keep=rows.extend)
    shares = {probe: _share(probe, rows) for probe in set(probes.values())}
    return {
        case: units(case.percent / 100, shares[probes[case]]) if case in probes else 0
        for case in cases
    }


def of_sets(case: Case, rows: Iterable[SetRow]) -> int | None:
    """The units for a case by what others of its kind turned out to take; None outside of those."""
    logs: dict[int, list[float]] = {0: [0.0]}
    for row in rows:
        if (row.mode, row.kind) == (case.mode, case.kind) and math.isfinite(row.log_ratio):
            logs.setdefault(row.amount, []).append(row.log_ratio)
    amounts = sorted(logs)
    shares = [math.expm1(mean(logs[amount])) for amount in amounts]
    if case.percent / 100 > shares[-1] or shares != sorted(shares):
        return None
    return round(float(np.interp(case.percent / 100, shares, amounts)))


def units(share: float, of_unit: float) -> int:
    """Units that together take a share of the latency, one at the least."""
    return max(1, round(share / of_unit))


def _probe(case: Case) -> Case:
    """The case whose units are measured for this one."""
    return replace(case, kind=_SAME_AS.get(case.kind, case.kind), percent=math.inf)


def _share(probe: Case, rows: Iterable[SetRow]) -> float:
    """The share of the latency that a unit adds."""
    found = [row.log_ratio for row in rows if row.case == probe and math.isfinite(row.log_ratio)]
    if not found:
        raise RequestError(
            f"nothing is known of what {probe.kind} takes in {probe.mode}: it failed, or the "
            "machine was too busy in every set"
        )
    share = math.expm1(median(found))
    if share <= 0:
        raise RequestError(
            f"what {_PROBES[probe.kind]} of {probe.kind} take in {probe.mode} cannot be told from "
            "noise: try again on a quieter machine"
        )
    return share / _PROBES[probe.kind]
