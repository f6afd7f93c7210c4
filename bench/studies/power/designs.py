"""``python -m bench.studies.power.designs``: simulate the gate's test and alternatives to it.

Writes ``docs/gate-designs.md``. The log-ratios of sets are drawn at random instead of measured, so
the results do not depend on the machine.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from bench.atomic import write_text
from bench.columns import Column, scaled
from bench.gate import group_sequential
from bench.gate.group_sequential import (
    ALPHA,
    LEAST_EFFECT,
    LOOKS,
    MISS,
    MOST_SETS,
    TAIL_ALPHA,
    History,
    Settings,
)
from bench.gate.verdict import Verdict
from bench.studies.power.rates import CELLS
from bench.tables import as_markdown

FILE = Path("docs/gate-designs.md")
GATES = 4_000
NOISES = (0.007, 0.01, 0.015, 0.02, 0.027)
SLOWER = 0.05  # slowdown of one cell of each gate, as a share of its latency
DELTA = math.log1p(LEAST_EFFECT)

UNCHANGED, REGRESSED, IMPROVED, INCONCLUSIVE = range(4)
_NUMBERS = {
    Verdict.UNCHANGED: UNCHANGED,
    Verdict.REGRESSED: REGRESSED,
    Verdict.IMPROVED: IMPROVED,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
}

Array: TypeAlias = "np.ndarray[Any, Any]"
Verdicts: TypeAlias = tuple[Array, Array]
"""The number of each cell's verdict, and the sets that it took; both of shape gates × cells."""
Look: TypeAlias = Callable[[Array, int], tuple[Array, Array, Array]]
"""A test of the first N sets: whether cells are slower, faster, not slower by δ (gates × cells)."""

INTRODUCTION = f"""\
How the gate's sequential test compares with other designs, in simulation. Each row stands for
{GATES:,} gates of {CELLS} cells, with δ {100 * LEAST_EFFECT:g} % and α {100 * ALPHA:g} % (nominal:
designs use more or less of it). The log-ratio of a set is normally distributed with standard
deviation *sd*. On unchanged code, *sets* is the mean number of sets until all cells of a gate have
a verdict, and *exit 0* is the share of gates that end with exit code 0. When one cell of a gate is
{100 * SLOWER:g} % slower, *found* is the share of gates that call it regressed, and *sets to it* is
the mean number of sets until it has its verdict.
"""
RISKS = """\
The share of gates, in percent, that call any cell of unchanged code regressed. It should not exceed
α. The distributions are these. *Even*: all cells have a standard deviation of 100 %. *One noisy*:
one cell has a standard deviation of 8 %, the others of 0.5 %. *Heavy tails*: Student's t with three
degrees of freedom and a standard deviation of 6 %. *Two kinds*: half of the sets are 12 % slower
than the other half, with a standard deviation of 3 % within each half.
"""
LEGEND = """\
- *the gate's*: the test of the gate (bench/gate/group_sequential.py).
- *two stages*: the gate's previous test. Looks at 3, 5, 8 and 12 sets flag a cell, and fresh sets
  have to confirm it. The level of each stage is the square root of the cell's level.
- *O'Brien and Fleming (1979)*: the gate's looks, with the levels of their spending function.
- *always valid*: a Bayes factor that may be looked at after every set (Hendriksen, De Heide and
  Grünwald 2021). The prior of the effect is normal, with twice the standard deviation of the sets.
- *borrowed variance*: the gate's looks, with each cell's variance averaged with the mean variance
  of the other cells (Smyth 2004, with a prior that weighs as much as the cell's own sets).
"""
_COLUMNS = (
    Column(name="design", heading="design", is_text=True),
    Column(name="sd", heading="sd %", write=scaled(100, 1)),
    Column(name="sets", heading="sets", write=scaled(1, 1)),
    Column(name="exit_0", heading="exit 0 %", write=scaled(100, 1)),
    Column(name="found", heading="found %", write=scaled(100, 1)),
    Column(name="found_sets", heading="sets to it", write=scaled(1, 1)),
)
_RISK_COLUMNS = (
    Column(name="design", heading="design", is_text=True),
    *(
        Column(name=name, heading=name, write=scaled(100, 2))
        for name in ("even", "one noisy", "heavy tails", "two kinds")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """Student's t test at each look, as in the gate, with levels of its own."""

    alphas: Mapping[int, float]
    """A cell's level for a change, by the number of sets."""
    misses: Mapping[int, float]
    """A cell's level for `not slower by δ`, by the number of sets."""
    borrows: bool = False
    """Whether a cell's variance is averaged with the mean variance of the other cells."""

    def __call__(self, sets: Array, looked: int) -> tuple[Array, Array, Array]:
        """Test the first ``looked`` sets of ``sets``, of shape gates × cells × sets."""
        mean, error, freedom = _moments(sets[..., :looked], borrows=self.borrows)
        shown = _change(mean, error * stats.t.isf(self.alphas.get(looked, 0.0), freedom))
        passes = mean + error * stats.t.isf(self.misses.get(looked, 0.0), freedom) < DELTA
        if not self.alphas.get(looked):
            passes &= mean > -DELTA
        return (*shown, passes)


def always_valid(sets: Array, looked: int) -> tuple[Array, Array, Array]:
    """Test the first ``looked`` sets by Bayes factors."""
    mean, error, _ = _moments(sets[..., :looked])

    def log_factor(distance: Array) -> Array:
        freedom, shrunk = looked - 1, 1 + 4.0 * looked
        square = (distance / error) ** 2
        return (freedom + 1) / 2 * (
            np.log1p(square / freedom) - np.log1p(square / (freedom * shrunk))
        ) - 0.5 * math.log(shrunk)

    # One Bayes factor tests both directions, so each has half of the level.
    is_sure = log_factor(mean) >= -math.log(2 * ALPHA / CELLS)
    passes = (log_factor(mean - DELTA) >= -math.log(2 * MISS)) & (mean < DELTA)
    return is_sure & (mean >= DELTA), is_sure & (mean <= -DELTA), passes


def at_looks(look: Look, looks: Sequence[int]) -> Callable[[Array], Verdicts]:
    """Return a design that runs ``look`` at each number of sets until it gives a verdict."""

    def judge_all(sets: Array) -> Verdicts:
        verdicts = np.full(sets.shape[:2], INCONCLUSIVE)
        taken = np.full(sets.shape[:2], looks[-1])
        is_open = np.ones(sets.shape[:2], bool)
        for looked in looks:
            for verdict, shown in zip(
                (REGRESSED, IMPROVED, UNCHANGED), look(sets, looked), strict=True
            ):
                new = shown & is_open
                verdicts[new], taken[new] = verdict, looked
                is_open &= ~new
        return verdicts, taken

    return judge_all


def as_gate(sets: Array) -> Verdicts:
    """Judge with the code of the gate itself."""
    judgements = [
        group_sequential.judge(
            {str(cell): History(values, ()) for cell, values in enumerate(gate)},
            Settings(),
            is_over=True,
        ).values()
        for gate in sets.tolist()
    ]
    verdicts = [
        [_NUMBERS[cell.verdict or Verdict.INCONCLUSIVE] for cell in gate] for gate in judgements
    ]
    return np.array(verdicts), np.array([[cell.sets for cell in gate] for gate in judgements])


def two_stages(sets: Array) -> Verdicts:
    """Flag cells at looks, and confirm each flag on fresh sets."""
    level = math.sqrt(ALPHA / CELLS)
    shares = {3: 0.5, 5: 0.25, 8: 0.125, 12: 0.125}
    screening = {looked: level * share for looked, share in shares.items()}
    misses = {looked: MISS * share for looked, share in shares.items()}
    screen = at_looks(Student(alphas=screening, misses=misses), tuple(shares))
    confirm = at_looks(
        Student(alphas={3: level / 2, 6: level / 2}, misses={}),
        (3, 6),
    )
    first, flagged_at = screen(sets)
    verdicts, taken = first.copy(), flagged_at.copy()
    for looked in shares:
        flagged = np.isin(first, (REGRESSED, IMPROVED)) & (flagged_at == looked)
        most = min(looked + 6, MOST_SETS)
        confirmed, fresh = confirm(sets[..., looked : looked + 6])
        is_sure = flagged & (confirmed == first) & (looked + fresh <= MOST_SETS)
        taken[is_sure] += fresh[is_sure]
        mean, error, freedom = _moments(sets[..., :most])
        passes = mean + error * stats.t.isf(misses[looked], freedom) < DELTA
        taken[flagged & ~is_sure] = most
        verdicts[flagged & ~is_sure] = INCONCLUSIVE
        verdicts[flagged & ~is_sure & passes] = UNCHANGED
    return verdicts, taken


def _obrien_fleming() -> Student:
    """Return the gate's looks with O'Brien and Fleming's spending function (Lan, DeMets 1983)."""
    looks = [look.sets for look in LOOKS]

    def levels(level: float) -> dict[int, float]:
        times = np.array(looks) / MOST_SETS
        spent = 2 * stats.norm.sf(stats.norm.isf(level / 2) / np.sqrt(times))
        return dict(zip(looks, np.diff(spent, prepend=0.0).tolist(), strict=True))

    return Student(alphas=levels(ALPHA / CELLS), misses=levels(MISS))


def _student(*, borrows: bool) -> Student:
    return Student(
        alphas={look.sets: ALPHA * (1 - TAIL_ALPHA) / CELLS * look.alpha for look in LOOKS},
        misses={look.sets: look.miss for look in LOOKS},
        borrows=borrows,
    )


_LOOKS = tuple(look.sets for look in LOOKS)
DESIGNS: Mapping[str, Callable[[Array], Verdicts]] = MappingProxyType(
    {
        "the gate's": as_gate,
        "two stages": two_stages,
        "O'Brien and Fleming": at_looks(_obrien_fleming(), _LOOKS),
        "always valid": at_looks(always_valid, range(3, MOST_SETS + 1)),
        "borrowed variance": at_looks(_student(borrows=True), _LOOKS),
    }
)


def frames(gates: int = GATES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate every design; return the table of verdicts and that of false alarms."""
    shape = (gates, CELLS, MOST_SETS)
    random = np.random.default_rng(1)
    normal = random.standard_normal(shape)
    noises = np.array([0.08, *[0.005] * (CELLS - 1)])[None, :, None]
    kinds = random.choice([-0.06, 0.06], shape) + 0.03 * normal
    risks = {
        "even": normal,
        "one noisy": normal * noises,
        "heavy tails": 0.06 / math.sqrt(3) * random.standard_t(3, shape),
        "two kinds": kinds,
    }
    rows, false_alarms = [], []
    for name, design in DESIGNS.items():
        for noise in NOISES:
            same = noise * normal
            changed = same.copy()
            changed[:, 0] += math.log1p(SLOWER)
            verdicts, taken = design(same)
            changed_verdicts, changed_sets = design(changed)
            rows.append(
                {
                    "design": name,
                    "sd": noise,
                    "sets": taken.max(axis=1).mean(),
                    "exit_0": np.isin(verdicts, (UNCHANGED, IMPROVED)).all(axis=1).mean(),
                    "found": (changed_verdicts[:, 0] == REGRESSED).mean(),
                    "found_sets": changed_sets[:, 0].mean(),
                }
            )
        alarms = {risk: (design(sets)[0] == REGRESSED).any(axis=1) for risk, sets in risks.items()}
        false_alarms.append(
            {"design": name} | {risk: wrong.mean() for risk, wrong in alarms.items()}
        )
    return pd.DataFrame(rows), pd.DataFrame(false_alarms)


def render(figures: pd.DataFrame, risks: pd.DataFrame) -> str:
    """Return the page in Markdown."""
    parts = (
        "# Simulated designs of the gate's test",
        INTRODUCTION,
        LEGEND,
        as_markdown(_COLUMNS, figures),
        "## False alarms",
        RISKS,
        as_markdown(_RISK_COLUMNS, risks),
        "Written by `python -m bench.studies.power.designs`.",
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _moments(sets: Array, *, borrows: bool = False) -> tuple[Array, Array, float]:
    """Return the means of the sets, their standard errors and degrees of freedom."""
    count = sets.shape[-1]
    variance, freedom = sets.var(axis=-1, ddof=1), float(count - 1)
    if borrows:
        others = (variance.sum(axis=1, keepdims=True) - variance) / (variance.shape[1] - 1)
        variance, freedom = (variance + others) / 2, 2 * freedom
    return sets.mean(axis=-1), np.sqrt(variance / count), freedom


def _change(mean: Array, margin: Array) -> tuple[Array, Array]:
    """Return which cells are slower and which are faster: significantly, and by δ or more."""
    slower, faster = (mean > margin) & (mean >= DELTA), (mean < -margin) & (mean <= -DELTA)
    return slower, faster


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation and write the page."""
    description = f"Simulate designs of the gate's test, in about a minute, and write {FILE}."
    argparse.ArgumentParser(
        prog="python -m bench.studies.power.designs", description=description
    ).parse_args(arguments)
    write_text(FILE, render(*frames()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
