"""The gate: whether head is slower than base, cell by cell. Pure: log-ratios in, verdicts out.

Each set gives a cell one number: log(head's latency / base's), positive where head is slower. A
cell goes through two stages. Screening finds it unchanged, or flags it as slower or faster. A flag
is no verdict: fresh sets have to confirm it, and these alone, because those that raised the flag
were chosen for being extreme. If they do not, a last look at all its sets finds it unchanged, or
leaves it inconclusive.

**Alpha** is the probability that a gate says ``regressed`` of any of its m cells though none
changed; where some did, of any other. For that, a cell must be wrong twice, on disjoint sets, which
are independent: each stage tests at √(alpha / m), the product is alpha / m, and Bonferroni's
inequality adds up the cells, however they depend on each other, and before that a stage's looks.
``improved`` is the mirror image, with an alpha of its own.

Holm (1979) would raise the level with every cell that has regressed. A cell's verdict would then
wait for the others', or change with them, and for little: by the square root, the last of six would
have each stage tested at 10 % instead of 4 %.

**Unchanged** means not slower by δ: the upper bound is below it. Nothing bounds it from below, so
that a cell which is faster by an unclear amount can end. A gate lets a slower cell pass only by
saying so of that very cell; so the risk is not split over the cells, as in an intersection-union
test (Berger 1982), but over the looks alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from bench import means
from bench.gate.verdict import Judgement, Verdict
from bench.names import RequestError

LEAST_EFFECT = 0.03  # six times the standard deviation of an A/A set on a quiet machine
ALPHA = 0.01  # one false alarm in a hundred gates of unchanged code, on however noisy a machine
# Half of it goes to the first look, where Student's t is then 2.9. It would be 4.3 for half as
# much, and of quiet gates (sd 0.7 %) one in three instead of one in thirty would need more sets.
MISS = 0.1
LOOKS = (3, 5, 8, 12)  # further apart as one more set narrows the interval less
# The second is for an outlier among the first three. Both are below means.LEAST_TRIMMED_SETS: where
# an interval may be trimmed its tails hold a little more than they should.
CONFIRMATION = (3, 6)
MOST_SETS = 16
LEAST_NUMBERED = 0.25  # of the sets must have a number; the first look's three then take twelve

LEAST_SETS = 2  # that have a standard deviation
MOST_ALPHA = 0.25  # its root is then a level of a half, at which any sign of the mean will do
MOST_MISS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked of a gate."""

    delta: float = LEAST_EFFECT
    """δ, the least effect that matters, as a share: 0.03 is a ratio of 1.03, or of 1 / 1.03."""
    deltas: Mapping[str, float] = field(default_factory=dict)
    """The larger δ of single cells, by their ids."""
    alpha: float = ALPHA
    """The probability at most, where nothing changed, of ``regressed`` for any of the cells."""
    miss: float = MISS
    """The probability at most, in screening, of ``unchanged`` for a cell that is slower by δ."""
    looks: tuple[int, ...] = LOOKS
    """The numbers of sets at which screening looks."""
    confirmation: tuple[int, ...] = CONFIRMATION
    """The numbers of fresh sets at which the confirmation looks."""
    most_sets: int = MOST_SETS
    """The number of sets at which a cell is given up, those of the confirmation among them."""


class _Look(NamedTuple):
    """What one look of a stage asks."""

    sets: int
    delta: float
    """Of a log-ratio."""
    alpha: float
    miss: float


class _Stage(NamedTuple):
    """How far a cell got in a stage."""

    said: Verdict | None
    sets: int
    """How many of the sets it used."""
    stopped_at: _Look | None
    """The look that said it, or that lacks sets; None where it got past the last."""


_Say = Callable[[Sequence[float], _Look], Verdict | None]


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
    if not 0 < settings.miss <= MOST_MISS:
        raise RequestError(f"miss is above 0 and at most {MOST_MISS}, not {settings.miss}")
    for looks in (settings.looks, settings.confirmation):
        if not looks or looks[0] < LEAST_SETS or list(looks) != sorted(set(looks)):
            raise RequestError(f"looks are at {LEAST_SETS} sets or more, ascending, not at {looks}")
    if settings.most_sets < settings.looks[0]:
        raise RequestError(
            f"of at most {settings.most_sets} sets none would be looked at: the first look is at "
            f"{settings.looks[0]}"
        )


def judge(
    history: Mapping[str, Sequence[float]], settings: Settings, *, is_over: bool
) -> Mapping[str, Judgement]:
    """Judge each cell of a gate by the log-ratios of all its sets, in the order measured.

    NaN stands for a set that gave the cell no number. Cells that have no set, or will get no more,
    must be there too: alpha is split over all. Nothing else of one cell bears on another, and no
    set after a verdict changes it. ``is_over`` says that no more sets will come, for a reason that
    is not in the figures; no cell is open then. Raises ``RequestError`` where the settings make no
    sense.
    """
    check(settings)
    if unknown := settings.deltas.keys() - history.keys():
        raise RequestError(f"there is a least effect for {min(unknown)!r}, which is no cell here")
    return {
        name: _judge_cell(
            sets[: settings.most_sets],
            settings,
            delta=math.log1p(settings.deltas.get(name, settings.delta)),
            alpha=math.sqrt(settings.alpha / len(history)),
            is_over=is_over or len(sets) >= settings.most_sets,
        )
        for name, sets in history.items()
    }


def is_hopeless(log_ratios: Sequence[float], sets: int, settings: Settings) -> bool:
    """Whether a cell is to be given up after so many sets, too few of which gave it a number.

    What the numbers say does not matter, only how many others left.
    """
    numbered = sum(map(math.isfinite, log_ratios))
    return sets >= settings.looks[0] and numbered < LEAST_NUMBERED * sets


def _judge_cell(
    sets: Sequence[float], settings: Settings, *, delta: float, alpha: float, is_over: bool
) -> Judgement:
    numbered = [index for index, value in enumerate(sets) if math.isfinite(value)]
    values = [sets[index] for index in numbered]
    stage = screening = _follow(
        values, _split(settings.looks, delta, alpha, settings.miss), _screened
    )
    flag, start = None, 0
    if screening.said in (Verdict.REGRESSED, Verdict.IMPROVED):
        flag, start = screening.said, screening.sets
        looks = _split(settings.confirmation, delta, alpha, settings.miss)
        stage = _follow(values[start:], looks, partial(_confirmed, flag))
    used = values[: start + stage.sets]
    verdict = stage.said
    if verdict is None and (is_over or stage.stopped_at is None):
        verdict = _last_look(used, screening.stopped_at, least=settings.looks[0])
    return Judgement(
        verdict=verdict,
        interval=means.exponential(means.interval(used[start:] if stage.said is flag else used)),
        sets=len(used),
        flagged=flag,
        fresh_from=None if flag is None else numbered[start - 1] + 1,
    )


def _split(numbers: Sequence[int], delta: float, alpha: float, miss: float) -> list[_Look]:
    """Looks at these numbers of sets: half of the levels, half of the rest, …, and what is left.

    Of few sets Student's t asks for much, so the first get most. Spending by Pocock (1977) or
    O'Brien and Fleming (1979) is thriftier, but made for a standard deviation that is known.
    """
    last = len(numbers) - 1
    shares = [2.0 ** -min(number + 1, last) for number in range(len(numbers))]
    return [
        _Look(sets=sets, delta=delta, alpha=share * alpha, miss=share * miss)
        for sets, share in zip(numbers, shares, strict=True)
    ]


def _follow(values: Sequence[float], looks: Sequence[_Look], say: _Say) -> _Stage:
    """Look until a look says something, sets are lacking, or there are no more looks."""
    for look in looks:
        if look.sets > len(values):
            return _Stage(said=None, sets=len(values), stopped_at=look)
        if said := say(values[: look.sets], look):
            return _Stage(said=said, sets=look.sets, stopped_at=look)
    return _Stage(said=None, sets=looks[-1].sets, stopped_at=None)


def _screened(values: Sequence[float], look: _Look) -> Verdict | None:
    if flag := _flag(values, look):
        return flag
    return Verdict.UNCHANGED if _is_unchanged(values, look) else None


def _confirmed(flag: Verdict, fresh: Sequence[float], look: _Look) -> Verdict | None:
    return flag if _flag(fresh, look) is flag else None


def _last_look(values: Sequence[float], unasked: _Look | None, *, least: int) -> Verdict:
    """What becomes of an undecided cell, at the level of the screening look that did not ask this.

    Sets that were flagged as slower lean that way, which makes ``unchanged`` only harder to reach;
    and a cell that is slower is hardly ever flagged as faster.
    """
    if unasked and len(values) >= least and _is_unchanged(values, unasked):
        return Verdict.UNCHANGED
    return Verdict.INCONCLUSIVE


def _flag(values: Sequence[float], look: _Look) -> Verdict | None:
    """Whether it is slower or faster for sure, and by δ at an estimate."""
    found = means.interval(values, confidence=1 - 2 * look.alpha)
    if found.low > 0 and found.estimate >= look.delta:
        return Verdict.REGRESSED
    if found.high < 0 and found.estimate <= -look.delta:
        return Verdict.IMPROVED
    return None


def _is_unchanged(values: Sequence[float], look: _Look) -> bool:
    """Whether it is not slower by δ."""
    return means.interval(values, confidence=1 - 2 * look.miss).high < look.delta
