"""The gate: whether head is slower than base, cell by cell. Pure: log-ratios in, verdicts out.

Each set gives a cell one number: log(head's latency / base's), positive where head is slower. The
verdict comes from Student's t over a cell's sets, looked at after 3, 4, 5, 6, 8, 10, 12 and 16 of
them (a group-sequential test).

Latencies are medians, which do not see one slow iteration in ten. So a set gives a second number,
the log-ratio of the means of each side's slowest fifth of iterations, and a cell that is not slower
by its medians gets a second verdict, of its **tail**. Tails scatter more than medians, so the
tail's δ is larger, and it asks for more sets only where head's tail looks slower already.

**Alpha** is the probability that a gate says ``regressed`` of any of its m cells though none
changed; where some did, of any other. Each cell has alpha / m of it, of which its tail has a fifth,
and each look of a cell a share of that, so that by Bonferroni's inequality nothing has to be known
of how cells or looks depend on each other. ``improved`` is the mirror image, with an alpha of its
own.

**Unchanged** means not slower by δ: the upper bound is below it. Nothing bounds it from below, so
that a cell which is faster by an unclear amount can end. A gate lets a slower cell pass only by
saying so of that very cell, so this risk is not split over cells, as in an intersection-union test
(Berger 1982); all looks of a cell together have it.

No cell's noise is used for another's: a variance estimate that borrows from the other cells
(Smyth 2004) finds slower code sooner, and raises a false alarm in 2 gates of 100 where one cell is
much noisier than the rest. docs/gate-designs.md compares these looks with other designs.

All of this holds for sets that are independent, and scatter as a normal distribution or with
heavier tails. It does not hold for processes that come in two kinds, one of them slower by much
more than δ: then about 5 gates of 100 raise a false alarm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bench import means
from bench.gate.verdict import Judgement, Tail, Verdict
from bench.names import RequestError

LEAST_EFFECT = 0.03  # six times the standard deviation of an A/A set on a quiet machine
ALPHA = 0.01  # one false alarm in a hundred gates of unchanged code, whatever the sets' noise
MISS = 0.1
"""The probability at most of ``unchanged`` for a cell that is slower by just δ."""


class Look(NamedTuple):
    """A look at a cell."""

    sets: int
    """After so many sets."""
    alpha: float
    """Its share of the cell's alpha."""
    miss: float
    """The level at which a cell is not slower by δ."""

    def says(self, values: Sequence[float], delta: float, alpha: float) -> Verdict | None:
        """What so many log-ratios show; ``alpha`` is the cell's, ``delta`` of a log-ratio."""
        found = means.interval(values, confidence=1 - 2 * alpha * self.alpha)
        if found.low > 0 and found.estimate >= delta:
            return Verdict.REGRESSED
        if found.high < 0 and found.estimate <= -delta:
            return Verdict.IMPROVED
        may_be_improved = not self.alpha and found.estimate <= -delta
        return (
            Verdict.UNCHANGED if self.is_unchanged(values, delta) and not may_be_improved else None
        )

    def is_unchanged(self, values: Sequence[float], delta: float) -> bool:
        """Whether they show that the cell is not slower by δ."""
        return means.interval(values, confidence=1 - 2 * self.miss).high < delta


# The levels of a miss are those of dependent tests: their sum is 0.169, and the probability that
# any of them errs is 0.090 (simulated). The first is the largest, because quiet gates of unchanged
# code, the most frequent ones, then end there. Slower code is named from six sets on: five that
# lean one way by chance are twice as frequent as six, and Student's t does not know of processes
# that come in two kinds, half of them slower. A twentieth of alpha, and a tenth of MISS, are left,
# because the tails of trimmed means, which eight sets and more may have, are a little too heavy.
LOOKS = (
    Look(3, alpha=0.0, miss=0.06),
    Look(4, alpha=0.0, miss=0.022),
    Look(5, alpha=0.0, miss=0.018),
    Look(6, alpha=0.35, miss=0.016),
    Look(8, alpha=0.2, miss=0.014),
    Look(10, alpha=0.15, miss=0.012),
    Look(12, alpha=0.15, miss=0.012),
    Look(16, alpha=0.1, miss=0.015),
)
TAIL_EFFECT = 0.1  # the least effect on the slowest fifth that matters, as a share
TAIL_ALPHA = 0.2  # of a cell's alpha
TAIL_DOUBT = 0.1  # the level at which a tail that is slower by TAIL_EFFECT asks for more sets
FIRST_LOOK = LOOKS[0].sets
FIRST_CHANGE = min(look.sets for look in LOOKS if look.alpha)
MOST_SETS = LOOKS[-1].sets
LEAST_NUMBERED = 0.25  # of the sets must have a number; the first look's three then take twelve

MOST_ALPHA = 0.25  # with more false alarms than that a gate is of no use


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked of a gate."""

    delta: float = LEAST_EFFECT
    """δ, the least effect that matters, as a share: 0.03 is a ratio of 1.03, or of 1 / 1.03."""
    deltas: Mapping[str, float] = field(default_factory=dict)
    """The larger δ of single cells, by their ids."""
    alpha: float = ALPHA
    """The probability at most, where nothing changed, of ``regressed`` for any of the cells."""
    most_sets: int = MOST_SETS
    """The number of sets at which a cell is given up."""


def check(settings: Settings) -> None:
    """Raise ``RequestError`` where no gate can be held with these settings."""
    if not 0 < settings.delta < 1:
        raise RequestError(f"a least effect is a share between 0 and 1, not {settings.delta}")
    for name, delta in settings.deltas.items():
        if not settings.delta <= delta < 1:
            raise RequestError(
                f"the least effect of {name} is a share from {settings.delta} to 1, not {delta}"
            )
    if not 0 < settings.alpha <= MOST_ALPHA:
        raise RequestError(f"alpha is above 0 and at most {MOST_ALPHA}, not {settings.alpha}")
    if not FIRST_CHANGE <= settings.most_sets <= MOST_SETS:
        raise RequestError(
            f"a gate needs {FIRST_CHANGE} sets of a cell to call it changed, and takes {MOST_SETS} "
            f"at most: choose a number from {FIRST_CHANGE} to {MOST_SETS}, not {settings.most_sets}"
        )


class History(NamedTuple):
    """The log-ratios of all sets of a cell, in the order measured; NaN where a set gave none."""

    medians: Sequence[float]
    tails: Sequence[float]
    """Of the slowest fifths, of the same sets; without all of them there is no verdict of tails."""


def judge(
    history: Mapping[str, History], settings: Settings, *, is_over: bool
) -> Mapping[str, Judgement]:
    """Judge each cell of a gate by the log-ratios of all its sets.

    Cells that have no set, or will get no more, must be there too: alpha is split over all. Nothing
    else of one cell bears on another, and no set after a verdict changes it. ``is_over`` says that
    no more sets will come, for a reason that is not in the figures; no cell is open then. Raises
    ``RequestError`` where the settings make no sense.
    """
    check(settings)
    if unknown := settings.deltas.keys() - history.keys():
        raise RequestError(f"there is a least effect for {min(unknown)!r}, which is no cell here")
    return {
        name: _judge_cell(
            History(*(_finite(values[: settings.most_sets]) for values in sets)),
            delta=math.log1p(settings.deltas.get(name, settings.delta)),
            alpha=settings.alpha / len(history),
            is_over=is_over or len(sets.medians) >= settings.most_sets,
        )
        for name, sets in history.items()
    }


def is_hopeless(log_ratios: Sequence[float], sets: int) -> bool:
    """Whether a cell is to be given up after so many sets, too few of which gave it a number.

    What the numbers say does not matter, only how many others left.
    """
    numbered = sum(map(math.isfinite, log_ratios))
    return sets >= FIRST_LOOK and numbered < LEAST_NUMBERED * sets


def _judge_cell(history: History, *, delta: float, alpha: float, is_over: bool) -> Judgement:
    values = history.medians
    for look in LOOKS:
        seen = values[: look.sets]
        if len(seen) < look.sets:
            verdict = _cut_off(seen, look, delta) if is_over else None
            break
        verdict = look.says(seen, delta, alpha * (1 - TAIL_ALPHA))
        if verdict:
            break
    else:
        verdict = Verdict.INCONCLUSIVE
    found = Judgement(
        verdict=verdict, interval=means.exponential(means.interval(seen)), sets=len(seen)
    )
    is_not_slower = verdict in (Verdict.UNCHANGED, Verdict.IMPROVED)
    if not is_not_slower or len(history.tails) < len(values):
        return found
    tail = _judge_tail(
        history.tails,
        len(seen),
        delta=max(delta, math.log1p(TAIL_EFFECT)),
        alpha=alpha * TAIL_ALPHA,
        is_over=is_over,
    )
    return replace(found, verdict=None if tail.is_open else verdict, tail=tail)


def _judge_tail(
    values: Sequence[float], sets: int, *, delta: float, alpha: float, is_over: bool
) -> Tail:
    """What the tails show of a cell whose medians had their verdict after so many sets."""
    for look in LOOKS:
        if look.sets < sets:
            continue
        seen = values[: look.sets]
        is_reached = len(seen) == look.sets
        if not is_reached and not is_over:
            return _tail(Verdict.INCONCLUSIVE, seen, is_open=True)
        if is_reached and look.says(seen, delta, alpha) is Verdict.REGRESSED:
            return _tail(Verdict.REGRESSED, seen)
        doubt = means.interval(seen, confidence=1 - 2 * TAIL_DOUBT)
        if not (doubt.low > 0 and doubt.estimate >= delta):
            return _tail(Verdict.UNCHANGED if look.is_unchanged(seen, delta) else None, seen)
        if not is_reached:
            break
    return _tail(Verdict.INCONCLUSIVE, seen)


def _tail(verdict: Verdict | None, seen: Sequence[float], *, is_open: bool = False) -> Tail:
    return Tail(
        verdict=verdict,
        interval=means.exponential(means.interval(seen)),
        sets=len(seen),
        is_open=is_open,
    )


def _cut_off(values: Sequence[float], look: Look, delta: float) -> Verdict:
    """The verdict of a cell that gets no more sets: ``unchanged`` if so many show it."""
    may_pass = len(values) >= FIRST_LOOK and look.is_unchanged(values, delta)
    return Verdict.UNCHANGED if may_pass else Verdict.INCONCLUSIVE


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
