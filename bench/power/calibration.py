"""Calibration: how much of an injection makes a network slower by a given share.

Both networks are timed in turn in one process, so that neither drift nor differences between
processes are in it; and in several such processes, because what a unit takes is a matter of where
things lie in memory: from one process to the next it was 0.08 to 0.25 ms. What the injection then
takes in a gate's workers, its sets tell themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import NamedTuple

from bench.cell import Cell
from bench.launch import Launcher
from bench.plan import IMAGE_SIZE
from bench.power.cases import Case
from bench.power.injected import arch
from bench.wave import PREPARE_LIMIT_S, VISIT_LIMIT_S

PAIRS = 60
PROCESSES = 5
# Units that stand out of the noise.
_PROBES: Mapping[str, int] = {"conv": 50, "python": 100, "break": 5}
# One in ten iterations with ten times as much: on average, as much as the other kind's.
_SAME_AS: Mapping[str, str] = {"stutter": "conv"}


class _Probed(NamedTuple):
    """What an iteration takes without the injection, and what a unit of it adds."""

    base_s: float
    unit_s: float


def amounts(cases: Iterable[Case], launcher: Launcher, *, seed: int) -> Mapping[Case, int]:
    """The units that each case needs; raises ``WorkerError`` where they cannot be measured.

    ``launcher`` starts workers of bench/power/worker.py.
    """
    probed: dict[tuple[str, str], _Probed] = {}
    found: dict[Case, int] = {}
    for case in cases:
        if case.is_same:
            found[case] = 0
            continue
        key = case.mode, _SAME_AS.get(case.kind, case.kind)
        if key not in probed:
            probes = [_probe(*key, launcher, seed=seed) for _ in range(PROCESSES)]
            probed[key] = _Probed(*map(median, zip(*probes, strict=True)))
        base_s, unit_s = probed[key]
        found[case] = units(case.percent / 100, base_s, unit_s)
    return found


def units(share: float, base_s: float, unit_s: float) -> int:
    """Units that together take a share of ``base_s``, one at the least."""
    return max(1, round(share * base_s / max(unit_s, 1e-9)))


def unit_s(first_s: Sequence[float], second_s: Sequence[float], amount: int) -> float:
    """What a unit adds, by pairs of iterations without and with so many of them."""
    return median(b - a for a, b in zip(first_s, second_s, strict=True)) / amount


def cell(mode: str, name: str) -> Cell:
    """The cell of an injected network."""
    return Cell(arch=name, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


def _probe(mode: str, kind: str, launcher: Launcher, *, seed: int) -> _Probed:
    amount = _PROBES[kind]
    worker = launcher.launch()
    about = {"image_size": IMAGE_SIZE, "seed": seed}
    try:
        without = asdict(cell(mode, arch("none", 0)))
        worker.request("prepare", limit_s=PREPARE_LIMIT_S, cell=without, **about)
        found = worker.request(
            "beside",
            limit_s=PREPARE_LIMIT_S + PAIRS * VISIT_LIMIT_S,
            cell=asdict(cell(mode, arch(kind, amount))),
            pairs=PAIRS,
            **about,
        )
    finally:
        worker.kill()
    first_s, second_s = found["first_s"], found["second_s"]
    return _Probed(median(first_s), unit_s(first_s, second_s, amount))
