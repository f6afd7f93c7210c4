"""The gate's test: is head slower than base? Pure: log-ratios per cell in, verdicts out.

Each set gives a cell one number: log(head's latency / base's), positive if head is slower. The
verdict comes from Student's t over a cell's sets, with looks after 3, 4, 5, 6, 8, 10, 12 and 16
sets (a group-sequential test).

Latencies are medians, which do not show one slow iteration in ten. So a set gives a second number,
the log-ratio of the means of each side's slowest fifth of iterations. A cell that is not slower by
its medians gets a second verdict, by its **tail**. Tails scatter more than medians. So the tail's δ
is larger, and the tail needs more sets only if head's tail already looks slower.

**Alpha** is the probability that a gate reports ``regressed`` for any of its m cells although none
changed; if some changed, for any of the others. Each cell has alpha / m. A cell's tail has a fifth
of this, and each look has a share. By Bonferroni's inequality this holds however cells and looks
depend on each other. ``improved`` is symmetric and has an alpha of its own.

**Unchanged** means not slower by δ: the upper bound is below δ. There is no lower bound, so that a
cell that is faster by an unclear amount can end. A gate passes a slower cell only if it reports
``unchanged`` for this very cell. So this risk is not split over cells, as in an intersection-union
test (Berger 1982); all looks of a cell together have it.

A cell's noise is estimated from that cell only. A variance estimate that borrows from the other
cells (Smyth 2004) finds slower code sooner, but raises a false alarm in 2 gates of 100 if one cell
is much noisier than the rest. docs/gate-designs.md compares these looks with other designs.

All this holds for independent sets that have a normal distribution or heavier tails. It does not
hold for processes of two kinds, one of them slower by much more than δ: then about 5 gates of 100
raise a false alarm. No change is reported if two sets of a cell differ by a factor above 1.65: the
cell then stays without a verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bench import means
from bench.errors import RequestError
from bench.gate.verdict import Judgement, Tail, Verdict

LEAST_EFFECT = 0.03  # six times the standard deviation of an A/A set on a quiet machine
ALPHA = 0.01  # one false alarm in a hundred gates of unchanged code, at any noise
MISS = 0.1
"""Largest probability of ``unchanged`` for a cell that is slower by exactly δ."""


class Look(NamedTuple):
    """A point at which a cell is judged, with its levels."""

    sets: int
    """Number of sets after which the cell is judged."""
    alpha: float
    """Share of the cell's alpha."""
    miss: float
    """One-sided level of the test that the cell is not slower by δ."""

    def verdict(self, values: Sequence[float], delta: float, alpha: float) -> Verdict | None:
        """Return the verdict of the log-ratios ``values``; None if it needs more sets.

        ``delta`` is a log-ratio; ``alpha`` is the cell's.
        """
        mean = means.mean(values)
        interval = mean.interval(1 - 2 * alpha * self.alpha)
        may_change = not is_scattered(values)
        if may_change and interval.low > 0 and interval.estimate >= delta:
            return Verdict.REGRESSED
        if may_change and interval.high < 0 and interval.estimate <= -delta:
            return Verdict.IMPROVED
        may_be_improved = not self.alpha and interval.estimate <= -delta
        return Verdict.UNCHANGED if self.is_unchanged(mean, delta) and not may_be_improved else None

    def is_unchanged(self, mean: means.Mean, delta: float) -> bool:
        """Return whether the mean log-ratio shows that the cell is not slower by δ."""
        return mean.interval(1 - 2 * self.miss).high < delta


# The levels of a miss belong to dependent tests: their sum is 0.169, and the probability that any
# of them errs is 0.090 (simulated). The first level is the largest, because quiet gates of
# unchanged code are the most frequent ones and then end at the first look. Slower code is reported
# from six sets on: five sets that deviate in one direction by chance are twice as frequent as six,
# and Student's t does not allow for processes of two kinds, half of them slower. A twentieth of
# alpha and a tenth of MISS are not spent, because the tails of trimmed means, which occur from
# eight sets on, are a little too heavy.
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
TAIL_EFFECT = 0.1  # least effect on the slowest fifth that matters, as a share
TAIL_ALPHA = 0.2  # share of a cell's alpha
TAIL_DOUBT = 0.1  # level at which a tail that is slower by TAIL_EFFECT needs more sets
FIRST_LOOK = LOOKS[0].sets
FIRST_CHANGE = min(look.sets for look in LOOKS if look.alpha)
MOST_SETS = LOOKS[-1].sets
# Share of sets that must have a log-ratio. The first look's three then take twelve sets.
LEAST_NUMBERED = 0.25

# Largest range of a cell's log-ratios with which a change is reported: a factor of 1.65 between two
# sets. On a quiet machine the sets of a cell are within 0.02, on a noisy one within 0.3.
MOST_RANGE = 0.5

MOST_ALPHA = 0.25  # a gate with more false alarms is useless


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a gate."""

    delta: float = LEAST_EFFECT
    """δ, the least effect that matters, as a share: 0.03 means a ratio of 1.03 or 1 / 1.03."""
    deltas: Mapping[str, float] = field(default_factory=dict)
    """Larger δ of single cells, by cell id."""
    alpha: float = ALPHA
    """Largest probability of ``regressed`` for any cell if nothing changed."""
    most_sets: int = MOST_SETS
    """Number of sets after which an undecided cell is inconclusive."""


def check(settings: Settings) -> None:
    """Raise ``RequestError`` if the settings are out of range."""
    if not 0 < settings.delta < 1:
        raise RequestError(f"the least effect must be between 0 and 1, not {settings.delta}")
    for name, delta in settings.deltas.items():
        if not settings.delta <= delta < 1:
            raise RequestError(
                f"the least effect of {name} must be from {settings.delta} to 1, not {delta}"
            )
    if not 0 < settings.alpha <= MOST_ALPHA:
        raise RequestError(f"alpha must be above 0 and at most {MOST_ALPHA}, not {settings.alpha}")
    if not FIRST_CHANGE <= settings.most_sets <= MOST_SETS:
        raise RequestError(
            f"a gate needs {FIRST_CHANGE} sets to find a change and takes at most {MOST_SETS}: "
            f"choose a number from {FIRST_CHANGE} to {MOST_SETS}, not {settings.most_sets}"
        )


class History(NamedTuple):
    """Log-ratios of a cell, one per set in the order measured; NaN for a set without one."""

    medians: Sequence[float]
    tails: Sequence[float]
    """Log-ratios of the slowest fifths. If a set lacks one, there is no verdict by the tail."""


def judge(
    history: Mapping[str, History], settings: Settings, *, is_over: bool
) -> Mapping[str, Judgement]:
    """Judge each cell of a gate by the log-ratios of all its sets.

    ``history`` must include cells without sets and cells that get no more sets, because alpha is
    split over all cells. Cells do not affect each other in any other way, and a set after a verdict
    does not change it. ``is_over``: no more sets will come, for a reason that does not depend on
    the figures; then no cell stays open. Raises ``RequestError`` if the settings are invalid.
    """
    check(settings)
    if unknown := settings.deltas.keys() - history.keys():
        raise RequestError(
            f"a least effect is set for {min(unknown)!r}, which is not a cell of this gate"
        )
    return {
        name: _judge_cell(
            History(*(_finite(values[: settings.most_sets]) for values in sets)),
            delta=math.log1p(settings.deltas.get(name, settings.delta)),
            alpha=settings.alpha / len(history),
            is_over=is_over or len(sets.medians) >= settings.most_sets,
        )
        for name, sets in history.items()
    }


def is_scattered(log_ratios: Sequence[float]) -> bool:
    """Return whether sets are too far apart to show a change.

    Student's t assumes that sets scatter alike. Sets that range from a half to twice the time are
    of different machines or different code, and their mean says nothing of a change.
    """
    return len(log_ratios) > 0 and max(log_ratios) - min(log_ratios) > MOST_RANGE


def is_hopeless(log_ratios: Sequence[float], sets: int) -> bool:
    """Return whether to give up a cell after ``sets`` sets, because too few have a log-ratio.

    Only the number of log-ratios matters, not their values.
    """
    finite = sum(map(math.isfinite, log_ratios))
    return sets >= FIRST_LOOK and finite < LEAST_NUMBERED * sets


def _judge_cell(history: History, *, delta: float, alpha: float, is_over: bool) -> Judgement:
    values = history.medians
    for look in LOOKS:
        seen = values[: look.sets]
        if len(seen) < look.sets:
            verdict = _cut_off(seen, look, delta) if is_over else None
            break
        verdict = look.verdict(seen, delta, alpha * (1 - TAIL_ALPHA))
        if verdict:
            break
    else:
        verdict = Verdict.INCONCLUSIVE
    judgement = Judgement(
        verdict=verdict, interval=means.exponential(means.interval(seen)), sets=len(seen)
    )
    is_not_slower = verdict in (Verdict.UNCHANGED, Verdict.IMPROVED)
    if not is_not_slower or len(history.tails) < len(values):
        return judgement
    tail = _judge_tail(
        history.tails,
        len(seen),
        delta=max(delta, math.log1p(TAIL_EFFECT)),
        alpha=alpha * TAIL_ALPHA,
        is_over=is_over,
    )
    return replace(judgement, verdict=None if tail.is_open else verdict, tail=tail)


def _judge_tail(
    values: Sequence[float], sets: int, *, delta: float, alpha: float, is_over: bool
) -> Tail:
    """Judge the tail of a cell whose medians had their verdict after ``sets`` sets."""
    for look in LOOKS:
        if look.sets < sets:
            continue
        seen = values[: look.sets]
        mean = means.mean(seen)
        is_reached = len(seen) == look.sets
        if not is_reached and not is_over:
            return _tail(Verdict.INCONCLUSIVE, mean, is_open=True)
        # A tail that regressed looks slower too, because TAIL_DOUBT is larger than any alpha.
        doubt = mean.interval(1 - 2 * TAIL_DOUBT)
        if not (doubt.low > 0 and doubt.estimate >= delta):
            return _tail(Verdict.UNCHANGED if look.is_unchanged(mean, delta) else None, mean)
        if not is_reached:
            break
        if look.verdict(seen, delta, alpha) is Verdict.REGRESSED:
            return _tail(Verdict.REGRESSED, mean)
    return _tail(Verdict.INCONCLUSIVE, mean)


def _tail(verdict: Verdict | None, mean: means.Mean, *, is_open: bool = False) -> Tail:
    return Tail(
        verdict=verdict,
        interval=means.exponential(mean.interval()),
        sets=mean.sets,
        is_open=is_open,
    )


def _cut_off(values: Sequence[float], look: Look, delta: float) -> Verdict:
    """Return the verdict of a cell that gets no more sets: ``unchanged`` if the sets show it."""
    may_pass = len(values) >= FIRST_LOOK and look.is_unchanged(means.mean(values), delta)
    return Verdict.UNCHANGED if may_pass else Verdict.INCONCLUSIVE


def _finite(values: Sequence[float]) -> list[float]:
    return list(filter(math.isfinite, values))
