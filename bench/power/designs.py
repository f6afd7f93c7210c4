"""``python -m bench.power.designs``: other ways to judge a gate, simulated beside the gate's own.

Writes ``docs/gate-designs.md``. A set's log-ratio is drawn instead of measured, so that nothing of
it depends on a machine.
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
from bench.gate import judge
from bench.gate.judge import (
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
from bench.power.rates import CELLS
from bench.tables import Column, as_markdown, scaled

FILE = Path("docs/gate-designs.md")
GATES = 4_000
NOISES = (0.007, 0.01, 0.015, 0.02, 0.027)
SLOWER = 0.05  # of one cell of each gate
DELTA = math.log1p(LEAST_EFFECT)

UNCHANGED, REGRESSED, IMPROVED, INCONCLUSIVE = range(4)
_NUMBERS = {
    Verdict.UNCHANGED: UNCHANGED,
    Verdict.REGRESSED: REGRESSED,
    Verdict.IMPROVED: IMPROVED,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
}

Array: TypeAlias = "np.ndarray[Any, Any]"
Judged: TypeAlias = tuple[Array, Array]
"""Gates × cells: a verdict's number, and the sets that it took."""
Says: TypeAlias = Callable[[Array, int], tuple[Array, Array, Array]]
"""Whether so many sets show a regression, an improvement, and that nothing became slower."""

INTRODUCTION = f"""\
What a gate's verdicts would be if it judged in another way: {GATES:,} gates of {CELLS} cells in
each row, simulated, with δ {100 * LEAST_EFFECT:g} % and α {100 * ALPHA:g} % (nominal: how much of
it a design spends differs). A set's log-ratio is drawn from a normal distribution of the standard
deviation *sd*. *Sets* is the mean number of sets until the last cell of a gate of unchanged code
has its verdict, *exit 0* the share of such gates that end with it. *Found* is the share in which a
cell that is {100 * SLOWER:g} % slower is called so, after *sets to it*.
"""
RISKS = """\
How often, in percent, a gate of unchanged code calls a cell regressed, which α bounds. *Even*: all
cells have a standard deviation of 100 %. *One noisy*: one has 8 %, the others 0.5 %. *Heavy tails*:
Student's t of three degrees of freedom, 6 %. *Two kinds*: half of the sets are 12 % slower than the
others, and scatter by 3 %.
"""
LEGEND = """\
- *the gate's*: looks as bench/gate/judge.py has them.
- *two stages*: the gate until now. Looks at 3, 5, 8 and 12 sets flag a cell, and fresh sets have to
  confirm it, each stage at the square root of the level.
- *O'Brien and Fleming (1979)*: the gate's looks, each with what their spending function gives it.
- *always valid*: a Bayes factor that may be looked at after every set (Hendriksen, De Heide and
  Grünwald 2021), with a normal prior for the effect, of twice the sets' standard deviation.
- *borrowed variance*: the gate's looks, with variances drawn halfway to the mean of the other
  cells' (Smyth 2004, with a prior that weighs as much as a cell's own sets).
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
    """Student's t at looks, as the gate's own, with levels that may be others."""

    alphas: Mapping[int, float]
    """A cell's level for a change, by the number of sets."""
    misses: Mapping[int, float]
    borrows: bool = False
    """Whether variances are drawn to those of the other cells."""

    def __call__(self, sets: Array, looked: int) -> tuple[Array, Array, Array]:
        """What gates × cells × sets show after so many of them."""
        mean, reach, freedom = _moments(sets[..., :looked], borrows=self.borrows)
        shown = _change(mean, reach * stats.t.isf(self.alphas.get(looked, 0.0), freedom))
        passes = mean + reach * stats.t.isf(self.misses.get(looked, 0.0), freedom) < DELTA
        if not self.alphas.get(looked):
            passes &= mean > -DELTA
        return (*shown, passes)


def always_valid(sets: Array, looked: int) -> tuple[Array, Array, Array]:
    """The same by Bayes factors."""
    mean, error, _ = _moments(sets[..., :looked])

    def log_factor(away: Array) -> Array:
        freedom, shrunk = looked - 1, 1 + 4.0 * looked
        square = (away / error) ** 2
        return (freedom + 1) / 2 * (
            np.log1p(square / freedom) - np.log1p(square / (freedom * shrunk))
        ) - 0.5 * math.log(shrunk)

    # Both sides share a factor, so that either has half of its level.
    is_sure = log_factor(mean) >= -math.log(2 * ALPHA / CELLS)
    passes = (log_factor(mean - DELTA) >= -math.log(2 * MISS)) & (mean < DELTA)
    return is_sure & (mean >= DELTA), is_sure & (mean <= -DELTA), passes


def in_looks(says: Says, looks: Sequence[int]) -> Callable[[Array], Judged]:
    """A design that looks after so many sets, and stops as soon as they show something."""

    def judged(sets: Array) -> Judged:
        verdicts = np.full(sets.shape[:2], INCONCLUSIVE)
        taken = np.full(sets.shape[:2], looks[-1])
        is_open = np.ones(sets.shape[:2], bool)
        for looked in looks:
            for verdict, shown in zip(
                (REGRESSED, IMPROVED, UNCHANGED), says(sets, looked), strict=True
            ):
                new = shown & is_open
                verdicts[new], taken[new] = verdict, looked
                is_open &= ~new
        return verdicts, taken

    return judged


def as_it_is(sets: Array) -> Judged:
    """The gate's own judge."""
    told = [
        judge.judge(
            {str(cell): History(values, ()) for cell, values in enumerate(gate)},
            Settings(),
            is_over=True,
        ).values()
        for gate in sets.tolist()
    ]
    verdicts = [[_NUMBERS[cell.verdict or Verdict.INCONCLUSIVE] for cell in gate] for gate in told]
    return np.array(verdicts), np.array([[cell.sets for cell in gate] for gate in told])


def two_stages(sets: Array) -> Judged:
    """Looks that flag a cell, and fresh sets that have to confirm it."""
    level = math.sqrt(ALPHA / CELLS)
    shares = {3: 0.5, 5: 0.25, 8: 0.125, 12: 0.125}
    screening = {looked: level * share for looked, share in shares.items()}
    misses = {looked: MISS * share for looked, share in shares.items()}
    screened = in_looks(Student(alphas=screening, misses=misses), tuple(shares))
    confirming = in_looks(
        Student(alphas={3: level / 2, 6: level / 2}, misses={}),
        (3, 6),
    )
    first, at = screened(sets)
    verdicts, taken = first.copy(), at.copy()
    for looked in shares:
        flagged = np.isin(first, (REGRESSED, IMPROVED)) & (at == looked)
        most = min(looked + 6, MOST_SETS)
        confirmed, fresh = confirming(sets[..., looked : looked + 6])
        is_sure = flagged & (confirmed == first) & (looked + fresh <= MOST_SETS)
        taken[is_sure] += fresh[is_sure]
        mean, reach, freedom = _moments(sets[..., :most])
        passes = mean + reach * stats.t.isf(misses[looked], freedom) < DELTA
        taken[flagged & ~is_sure] = most
        verdicts[flagged & ~is_sure] = INCONCLUSIVE
        verdicts[flagged & ~is_sure & passes] = UNCHANGED
    return verdicts, taken


def _by_spending() -> Student:
    """O'Brien and Fleming's spending function, as Lan and DeMets (1983) give it, at our looks."""
    looks = [look.sets for look in LOOKS]

    def levels(level: float) -> dict[int, float]:
        times = np.array(looks) / MOST_SETS
        spent = 2 * stats.norm.sf(stats.norm.isf(level / 2) / np.sqrt(times))
        return dict(zip(looks, np.diff(spent, prepend=0.0).tolist(), strict=True))

    return Student(alphas=levels(ALPHA / CELLS), misses=levels(MISS))


def _ours(*, borrows: bool) -> Student:
    return Student(
        alphas={look.sets: ALPHA * (1 - TAIL_ALPHA) / CELLS * look.alpha for look in LOOKS},
        misses={look.sets: look.miss for look in LOOKS},
        borrows=borrows,
    )


_LOOKS = tuple(look.sets for look in LOOKS)
DESIGNS: Mapping[str, Callable[[Array], Judged]] = MappingProxyType(
    {
        "the gate's": as_it_is,
        "two stages": two_stages,
        "O'Brien and Fleming": in_looks(_by_spending(), _LOOKS),
        "always valid": in_looks(always_valid, range(3, MOST_SETS + 1)),
        "borrowed variance": in_looks(_ours(borrows=True), _LOOKS),
    }
)


def frames(gates: int = GATES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each design would say: of changed and unchanged code, and how often wrongly."""
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
    rows, wrong = [], []
    for name, judged in DESIGNS.items():
        for noise in NOISES:
            same = noise * normal
            changed = same.copy()
            changed[:, 0] += math.log1p(SLOWER)
            verdicts, taken = judged(same)
            found, found_sets = judged(changed)
            rows.append(
                {
                    "design": name,
                    "sd": noise,
                    "sets": taken.max(axis=1).mean(),
                    "exit_0": np.isin(verdicts, (UNCHANGED, IMPROVED)).all(axis=1).mean(),
                    "found": (found[:, 0] == REGRESSED).mean(),
                    "found_sets": found_sets[:, 0].mean(),
                }
            )
        alarms = {what: (judged(sets)[0] == REGRESSED).any(axis=1) for what, sets in risks.items()}
        wrong.append({"design": name} | {what: found.mean() for what, found in alarms.items()})
    return pd.DataFrame(rows), pd.DataFrame(wrong)


def render(figures: pd.DataFrame, risks: pd.DataFrame) -> str:
    """The page."""
    parts = (
        "# Ways to judge a gate, simulated",
        INTRODUCTION,
        LEGEND,
        as_markdown(_COLUMNS, figures),
        "## False alarms",
        RISKS,
        as_markdown(_RISK_COLUMNS, risks),
        "Made by `python -m bench.power.designs`.",
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _moments(seen: Array, *, borrows: bool = False) -> tuple[Array, Array, float]:
    """Means of sets, their standard errors, and the degrees of freedom of these."""
    sets = seen.shape[-1]
    variance, freedom = seen.var(axis=-1, ddof=1), float(sets - 1)
    if borrows:
        others = (variance.sum(axis=1, keepdims=True) - variance) / (variance.shape[1] - 1)
        variance, freedom = (variance + others) / 2, 2 * freedom
    return seen.mean(axis=-1), np.sqrt(variance / sets), freedom


def _change(mean: Array, reach: Array) -> tuple[Array, Array]:
    """Whether cells became slower, or faster, for sure and by δ at an estimate."""
    slower, faster = (mean > reach) & (mean >= DELTA), (mean < -reach) & (mean <= -DELTA)
    return slower, faster


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, and write the page."""
    description = f"Simulate ways to judge a gate, in about a minute, and write {FILE}."
    argparse.ArgumentParser(
        prog="python -m bench.power.designs", description=description
    ).parse_args(arguments)
    write_text(FILE, render(*frames()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
