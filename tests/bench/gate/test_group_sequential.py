import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from bench import means
from bench.errors import RequestError
from bench.gate import group_sequential as gate
from bench.gate.group_sequential import History, Settings
from bench.gate.verdict import Judgement, Verdict

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict
DELTA = math.log1p(gate.LEAST_EFFECT)
NAN = math.nan

SLOWER = [0.049, 0.050, 0.051]
FASTER = [-value for value in SLOWER]
SAME = [-0.001, 0.000, 0.001]
NOISY = [-0.200, 0.000, 0.210]  # the interval exceeds any δ, at every level

MISS = {look.sets: look.miss for look in gate.LOOKS}
JUST_UNDER, JUST_OVER = 1 - 1e-9, 1 + 1e-9


def judge(sets: Sequence[float], *, is_over: bool = False, **settings: Any) -> Judgement:
    """Judge the only cell of a gate; its tails equal its medians."""
    history = {"cell": History(sets, sets)}
    return gate.judge(history, Settings(**settings), is_over=is_over)["cell"]


def judge_tails(tails: Sequence[float], *, is_over: bool = False) -> Judgement:
    """Judge the only cell of a gate; its medians are the same on both sides."""
    medians = [SAME[index % 3] for index in range(len(tails))]
    history = {"cell": History(medians, tails)}
    return gate.judge(history, Settings(), is_over=is_over)["cell"]


def spread(mean: float, reach: float, level: float, sets: int) -> list[float]:
    """Return sets whose one-sided bounds at this level lie ``reach`` from their mean."""
    steps = np.linspace(-1, 1, sets)
    error = float(np.std(steps, ddof=1)) / math.sqrt(sets)
    scale = reach / (float(student.isf(level, sets - 1)) * error)
    return [mean + scale * float(step) for step in steps]


@pytest.mark.parametrize("look", gate.LOOKS)
def test_a_cell_is_unchanged_if_the_upper_bound_is_below_delta(look: gate.Look) -> None:
    room = DELTA - 0.001
    below, above = (
        spread(0.001, room * factor, look.miss, look.sets) for factor in (JUST_UNDER, JUST_OVER)
    )
    assert look.verdict(below, DELTA, gate.ALPHA) is UNCHANGED
    assert look.verdict(above, DELTA, gate.ALPHA) is None
    if look.sets == gate.FIRST_LOOK:
        assert judge(below).verdict is UNCHANGED
        assert judge(above).verdict is None


def test_an_unchanged_cell_may_be_faster_by_an_unclear_amount() -> None:
    assert judge([-0.05, -0.025, 0.0]).verdict is UNCHANGED
    assert judge(2 * [-0.09, -0.05, -0.01]).verdict is UNCHANGED


def test_a_cell_that_may_be_faster_by_delta_is_open_until_a_look_with_alpha() -> None:
    assert judge(FASTER).verdict is None
    assert judge(FASTER, is_over=True).verdict is UNCHANGED
    assert judge(FASTER + FASTER).verdict is IMPROVED


@pytest.mark.parametrize(("sign", "verdict"), [(1, REGRESSED), (-1, IMPROVED)])
@pytest.mark.parametrize("look", [look for look in gate.LOOKS if look.alpha])
def test_a_change_needs_a_bound_beyond_zero(sign: int, verdict: Verdict, look: gate.Look) -> None:
    def verdict_at(reach: float) -> Verdict | None:
        return look.verdict(spread(sign * 0.1, reach, 0.01 * look.alpha, look.sets), DELTA, 0.01)

    assert verdict_at(0.1 * JUST_UNDER) is verdict
    assert verdict_at(0.1 * JUST_OVER) is not verdict


@pytest.mark.parametrize("cells", [1, 6, 40])
def test_each_cell_has_its_share_of_alpha(cells: int) -> None:
    other_cells = {f"failed {index}": History((), ()) for index in range(1, cells)}
    share = (1 - gate.TAIL_ALPHA) * next(look.alpha for look in gate.LOOKS if look.sets == 6)
    level = gate.ALPHA / cells * share

    def verdict_at(reach: float) -> Verdict | None:
        sets = spread(0.1, reach, level, 6)
        history = {"cell": History(sets, sets), **other_cells}
        return gate.judge(history, Settings(), is_over=False)["cell"].verdict

    assert verdict_at(0.1 * JUST_UNDER) is REGRESSED
    assert verdict_at(0.1 * JUST_OVER) is None


@pytest.mark.parametrize(("sign", "verdict"), [(1, REGRESSED), (-1, IMPROVED)])
def test_a_change_needs_an_estimate_of_at_least_delta(sign: int, verdict: Verdict) -> None:
    def verdict_at(estimate: float) -> Verdict | None:
        return judge([sign * (estimate + value) for value in (0.01, -0.01, 0.0) * 2]).verdict

    assert verdict_at(DELTA * JUST_OVER) is verdict
    assert verdict_at(DELTA * JUST_UNDER) is not verdict


def test_a_change_is_reported_from_six_sets_on() -> None:
    assert judge((SLOWER + SLOWER)[:5]).verdict is None
    judgement = judge(SLOWER + SLOWER)
    assert (judgement.verdict, judgement.sets) == (REGRESSED, 6)
    assert judgement.interval == means.exponential(means.interval(SLOWER + SLOWER))


@pytest.mark.parametrize(
    ("sets", "verdict"),
    [(SLOWER, INCONCLUSIVE), (SLOWER + SLOWER[:2], INCONCLUSIVE), (FASTER, UNCHANGED)],
)
def test_a_cell_that_is_cut_off_early_is_not_a_change(sets: list[float], verdict: Verdict) -> None:
    assert judge(sets, is_over=True).verdict is verdict


def test_between_looks_there_is_no_verdict() -> None:
    sets = 2 * [0.03, -0.03, 0.0]
    assert judge(sets).verdict is None
    assert judge([*sets, 0.0]).verdict is None
    assert judge([*sets, 0.0], is_over=True).verdict is UNCHANGED
    assert judge([*sets, 0.0, 0.0]).verdict is UNCHANGED


@pytest.mark.parametrize("sets", [SAME[:2], SAME[:1], []])
def test_too_few_sets_are_open_and_then_inconclusive(sets: list[float]) -> None:
    assert judge(sets).verdict is None
    assert judge(sets, is_over=True).verdict is INCONCLUSIVE


def test_a_cell_without_sets_has_no_interval() -> None:
    judgement = judge([], is_over=True)
    assert judgement.sets == 0
    assert math.isnan(judgement.interval.estimate)


def test_a_cell_cut_off_between_looks_is_judged_at_the_level_of_the_next_look() -> None:
    def verdict_at(reach: float) -> Verdict | None:
        sets = spread(0.0, reach, MISS[8], 7)
        outer_first = sorted(sets, key=abs, reverse=True)
        return judge(outer_first, is_over=True).verdict

    assert verdict_at(DELTA * JUST_UNDER) is UNCHANGED
    assert verdict_at(DELTA * JUST_OVER) is INCONCLUSIVE


def test_after_its_last_look_a_cell_is_inconclusive() -> None:
    sets = [*(5 * NOISY), NOISY[0]]
    assert judge(sets[:-1]).verdict is None
    judgement = judge(sets)
    assert (judgement.verdict, judgement.sets) == (INCONCLUSIVE, 16)
    assert judge(sets + 9 * SAME) == judgement


def test_after_the_largest_number_of_sets_a_cell_is_inconclusive() -> None:
    assert judge(2 * NOISY, most_sets=6).verdict is INCONCLUSIVE
    assert judge([*NOISY, NAN, NAN, NAN], most_sets=6).verdict is INCONCLUSIVE


@pytest.mark.parametrize("missing", [NAN, math.inf, -math.inf])
def test_a_set_without_a_finite_log_ratio_is_ignored(missing: float) -> None:
    sets = [SLOWER[0], missing, *SLOWER[1:], missing, *SLOWER]
    assert judge(sets) == judge(SLOWER + SLOWER)
    assert judge([*SAME[:2], missing]).verdict is None


def test_an_exception_has_its_own_delta() -> None:
    settings = Settings(deltas={"noisy": 0.08})
    slower = History(2 * SLOWER, 2 * SLOWER)
    judgements = gate.judge({"noisy": slower, "steady": slower}, settings, is_over=False)
    assert judgements["noisy"].verdict is UNCHANGED
    assert judgements["steady"].verdict is REGRESSED
    slow = {"noisy": History(2 * [2 * value for value in SLOWER], ())}
    assert gate.judge(slow, settings, is_over=False)["noisy"].verdict is REGRESSED


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"delta": 0}, "between 0 and 1, not 0"),
        ({"delta": 3}, "between 0 and 1, not 3"),
        ({"delta": NAN}, "between 0 and 1, not nan"),
        ({"deltas": {"cell": 0.01}}, "of cell must be from 0.03 to 1, not 0.01"),
        ({"deltas": {"cell": 5}}, "of cell must be from 0.03 to 1, not 5"),
        ({"deltas": {"sell": 0.05}}, "'sell', which is not a cell of this gate"),
        ({"alpha": 0}, "alpha must be above 0 and at most 0.25, not 0"),
        ({"alpha": 0.3}, "alpha must be above 0 and at most 0.25, not 0.3"),
        ({"most_sets": 5}, "choose a number from 6 to 16, not 5"),
        ({"most_sets": 17}, "choose a number from 6 to 16, not 17"),
    ],
)
def test_invalid_settings_are_refused(settings: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        judge(SAME, **settings)
    assert sentence in str(caught.value)


SLOW_TAIL = [0.299, 0.300, 0.301]
UNCLEAR_TAIL = [0.05, 0.30, 0.20]
"""Tails that look slower, but not significantly."""


def test_an_unchanged_tail_needs_no_more_sets() -> None:
    judgement = judge_tails(SAME)
    assert (judgement.verdict, judgement.overall, judgement.sets) == (UNCHANGED, UNCHANGED, 3)
    assert judgement.tail is not None
    assert (judgement.tail.verdict, judgement.tail.sets) == (UNCHANGED, 3)


@pytest.mark.parametrize("tails", [NOISY, [-0.3, 0.1, 0.35]])
def test_an_unclear_tail_that_does_not_look_slower_needs_no_more_sets(
    tails: list[float],
) -> None:
    judgement = judge_tails(tails)
    assert (judgement.overall, judgement.sets) == (UNCHANGED, 3)
    assert judgement.tail is not None
    assert judgement.tail.verdict is None


def test_a_slower_tail_is_a_regression_from_six_sets_on() -> None:
    for sets in range(3, 6):
        assert judge_tails((SLOW_TAIL * 2)[:sets]).verdict is None
    judgement = judge_tails(SLOW_TAIL * 2)
    assert (judgement.verdict, judgement.overall, judgement.sets) == (UNCHANGED, REGRESSED, 3)
    assert judgement.tail is not None
    assert judgement.tail.interval == means.exponential(means.interval(SLOW_TAIL * 2))


def test_a_tail_ends_when_it_no_longer_looks_slower() -> None:
    assert judge_tails(UNCLEAR_TAIL).verdict is None
    judgement = judge_tails([*UNCLEAR_TAIL, -0.2])
    assert judgement.overall is UNCHANGED
    assert judgement.tail is not None
    assert (judgement.tail.verdict, judgement.tail.sets) == (None, 4)


def test_a_tail_that_looks_slower_to_the_end_is_inconclusive() -> None:
    cut_off = judge_tails(UNCLEAR_TAIL, is_over=True)
    assert (cut_off.verdict, cut_off.overall) == (UNCHANGED, INCONCLUSIVE)
    tails = [0.13 + 0.12 * (-1) ** index for index in range(16)]
    assert judge_tails(tails[:15]).verdict is None
    assert judge_tails(tails).overall is INCONCLUSIVE


def test_a_tail_has_its_share_of_alpha() -> None:
    level = gate.ALPHA * gate.TAIL_ALPHA * next(look.alpha for look in gate.LOOKS if look.sets == 6)
    for reach, verdict in ((0.3 * JUST_UNDER, REGRESSED), (0.3 * JUST_OVER, None)):
        assert judge_tails(spread(0.3, reach, level, 6)).overall is verdict


def test_a_slower_tail_needs_an_estimate_of_at_least_its_own_delta() -> None:
    assert judge_tails([0.094, 0.095, 0.095] * 2).overall is UNCHANGED
    assert judge_tails([0.096, 0.097, 0.097] * 2).overall is REGRESSED
    settings = Settings(deltas={"cell": 0.2})
    history = {"cell": History(SAME * 2, [0.12, 0.121, 0.122] * 2)}
    assert gate.judge(history, settings, is_over=False)["cell"].overall is UNCHANGED


def test_a_cell_that_is_slower_by_its_medians_has_no_tail_verdict() -> None:
    history = {"cell": History(SLOWER * 2, SLOW_TAIL * 2)}
    assert gate.judge(history, Settings(), is_over=False)["cell"].tail is None


def test_a_cell_that_improved_by_its_medians_may_have_regressed_by_its_tail() -> None:
    history = {"cell": History(FASTER * 2, SLOW_TAIL * 2)}
    judgement = gate.judge(history, Settings(), is_over=False)["cell"]
    assert (judgement.verdict, judgement.overall, judgement.used) == (IMPROVED, REGRESSED, 6)


def test_a_missing_tail_means_no_tail_verdict() -> None:
    history = {"cell": History(SAME, [*SAME[:2], NAN])}
    judgement = gate.judge(history, Settings(), is_over=False)["cell"]
    assert (judgement.verdict, judgement.tail) == (UNCHANGED, None)


def test_tails_of_unchanged_code_raise_few_false_alarms() -> None:
    drawn = np.random.default_rng(4).standard_normal((4_000, 6, gate.MOST_SETS))
    alarms = 0
    for cells in (0.2 * drawn).tolist():
        medians = [*(SAME * 5), 0.0]
        history = {str(index): History(medians, tails) for index, tails in enumerate(cells)}
        judgements = gate.judge(history, Settings(alpha=0.2), is_over=True).values()
        alarms += any(cell.overall is REGRESSED for cell in judgements)
    low, high = bounds(alarms, len(drawn))
    assert high < 0.2 * gate.TAIL_ALPHA
    assert low > 0.05 * gate.TAIL_ALPHA


def test_the_looks_share_alpha_and_have_increasing_numbers_of_sets() -> None:
    sets = [look.sets for look in gate.LOOKS]
    assert sets == sorted(set(sets))
    assert 0.9 < math.fsum(look.alpha for look in gate.LOOKS) <= 1


def test_the_levels_of_a_miss_use_most_of_the_allowed_probability() -> None:
    # A cell that is slower by exactly δ, at any noise: how often a bound is below δ at any look.
    drawn = np.random.default_rng(2).standard_normal((200_000, gate.MOST_SETS))
    passed = np.zeros(len(drawn), bool)
    for look in gate.LOOKS:
        seen = drawn[:, : look.sets]
        error = seen.std(axis=1, ddof=1) / math.sqrt(look.sets)
        passed |= seen.mean(axis=1) < -student.isf(look.miss, look.sets - 1) * error
    low, high = bounds(int(passed.sum()), len(passed))
    assert high < gate.MISS
    assert low > 0.85 * gate.MISS


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine's noise: log-ratios are normal, with some outliers."""

    sd: float
    outliers: float = 0.0
    """Share of sets that have five times the standard deviation."""

    def gates(self, gates: int, *, cells: int, slower: float = 0.0) -> Any:
        """Return log-ratios by gate, cell and set; head is slower by the share ``slower``."""
        random = np.random.default_rng(1)
        shape = (gates, cells, gate.MOST_SETS)
        scale = np.where(random.random(shape) < self.outliers, 5 * self.sd, self.sd)
        return (math.log1p(slower) + scale * random.standard_normal(shape)).tolist()


QUIET = Machine(sd=0.007)
QUIET_WITH_OUTLIERS = Machine(sd=0.007, outliers=0.03)
LESS_QUIET = Machine(sd=0.011, outliers=0.03)
LOADED = Machine(sd=0.05)
AT_THE_LIMIT = Machine(sd=0.12)  # sixteen sets are rarely further apart than MOST_RANGE
HOPELESS = Machine(sd=1.0)

ONE_OF_SIX = Settings(alpha=gate.ALPHA / 6)
"""Settings of a gate of one cell, which is then judged like a cell in a gate of six."""


def judged(gates: Any, settings: Settings) -> list[list[Judgement]]:
    """Return each gate's judgements of its cells."""
    results = []
    for cells in gates:
        history = {str(index): History(sets, sets) for index, sets in enumerate(cells)}
        results.append(list(gate.judge(history, settings, is_over=True).values()))
    return results


def with_any(results: Sequence[Sequence[Judgement]], verdict: Verdict) -> int:
    """Return the number of gates that have the verdict for any cell."""
    return sum(any(cell.verdict is verdict for cell in cells) for cells in results)


def bounds(count: int, total: int) -> tuple[float, float]:
    """Return Clopper and Pearson's (1934) 95 % interval of a rate."""
    interval = binomtest(count, total).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def test_on_a_quiet_machine_unchanged_code_is_unchanged_at_the_first_look() -> None:
    judgements = judged(QUIET.gates(10_000, cells=6), Settings())
    at_once = [
        all((cell.verdict, cell.sets) == (UNCHANGED, 3) for cell in cells) for cells in judgements
    ]
    assert bounds(sum(at_once), len(judgements))[0] > 0.95
    assert bounds(with_any(judgements, REGRESSED), len(judgements))[1] < 0.001


def test_on_a_loaded_machine_fewer_gates_than_alpha_report_a_change_of_unchanged_code() -> None:
    judgements = judged(LOADED.gates(10_000, cells=2), Settings())
    assert bounds(with_any(judgements, REGRESSED), len(judgements))[1] < gate.ALPHA
    assert bounds(with_any(judgements, IMPROVED), len(judgements))[1] < gate.ALPHA


@pytest.mark.parametrize("cells", [1, 3])
def test_alpha_holds_under_large_noise_and_is_partly_spent(cells: int) -> None:
    judgements = judged(AT_THE_LIMIT.gates(2_000, cells=cells), Settings(alpha=0.2))
    low, high = bounds(with_any(judgements, REGRESSED), len(judgements))
    assert high < 0.2
    assert low > 0.05


def test_sets_that_are_too_far_apart_show_no_change() -> None:
    judgements = judged(HOPELESS.gates(2_000, cells=1), Settings(alpha=0.2))
    changes = with_any(judgements, REGRESSED) + with_any(judgements, IMPROVED)
    assert bounds(changes, 2 * len(judgements))[1] < 0.002
    scattered = [0.6, *[0.05] * 5]  # the first is 1.7 times as far as the others
    (judgement,) = gate.judge({"cell": History(scattered, ())}, Settings(), is_over=True).values()
    assert judgement.verdict is INCONCLUSIVE
    (judgement,) = gate.judge(
        {"cell": History([0.45, 0.5] * 3, ())}, Settings(), is_over=True
    ).values()
    assert judgement.verdict is REGRESSED


@pytest.mark.parametrize(
    ("log_ratio", "verdict"), [(-0.05, IMPROVED), (-0.01, UNCHANGED), (0.01, UNCHANGED)]
)
def test_a_change_of_less_than_delta_is_none(log_ratio: float, verdict: Verdict) -> None:
    values = [log_ratio - 0.001, log_ratio + 0.001] * 3
    look = next(look for look in gate.LOOKS if look.sets == 6)
    assert look.verdict(values, delta=0.03, alpha=0.01) is verdict


def test_the_ends_of_the_ranges_are_valid_settings() -> None:
    deltas = {"cell": gate.LEAST_EFFECT}
    gate.check(Settings(alpha=gate.MOST_ALPHA, deltas=deltas, most_sets=gate.FIRST_CHANGE))


@pytest.mark.parametrize(
    ("log_ratios", "is_scattered"),
    [([], False), ([7.0], False), ([-0.2, 0.0, 0.3], False), ([-0.2, 0.0, 0.31], True)],
)
def test_sets_are_too_far_apart_if_their_range_is_over_a_half(
    log_ratios: list[float], is_scattered: bool
) -> None:
    assert gate.is_scattered(log_ratios) is is_scattered


def test_with_outliers_a_quiet_gate_takes_at_most_one_more_set_on_average() -> None:
    judgements = judged(QUIET_WITH_OUTLIERS.gates(1_000, cells=6), Settings())
    assert np.mean([max(cell.sets for cell in cells) for cells in judgements]) < 4
    assert with_any(judgements, REGRESSED) == 0
    assert bounds(with_any(judgements, INCONCLUSIVE), len(judgements))[1] < 0.01


def test_on_a_less_quiet_machine_few_gates_are_inconclusive() -> None:
    judgements = judged(LESS_QUIET.gates(1_000, cells=6), Settings())
    assert bounds(with_any(judgements, INCONCLUSIVE), len(judgements))[1] < 0.05
    assert with_any(judgements, REGRESSED) == 0


@pytest.mark.parametrize(
    ("machine", "slower", "least"),
    [(QUIET_WITH_OUTLIERS, 0.05, 0.97), (QUIET_WITH_OUTLIERS, 0.10, 0.998), (LOADED, 0.10, 0.8)],
)
def test_slower_code_is_found(machine: Machine, slower: float, least: float) -> None:
    judgements = judged(machine.gates(2_000, cells=1, slower=slower), ONE_OF_SIX)
    assert bounds(with_any(judgements, REGRESSED), len(judgements))[0] > least


@pytest.mark.parametrize(
    ("machine", "most"), [(QUIET_WITH_OUTLIERS, 0.002), (LESS_QUIET, 0.002), (LOADED, 0.04)]
)
def test_code_slower_by_5_percent_does_not_pass(machine: Machine, most: float) -> None:
    judgements = judged(machine.gates(2_000, cells=1, slower=0.05), ONE_OF_SIX)
    assert bounds(with_any(judgements, UNCHANGED), len(judgements))[1] < most


@pytest.mark.parametrize("machine", [QUIET, LOADED])
def test_code_slower_by_exactly_delta_passes_about_as_often_as_allowed(machine: Machine) -> None:
    judgements = judged(machine.gates(10_000, cells=1, slower=gate.LEAST_EFFECT), ONE_OF_SIX)
    low, high = bounds(with_any(judgements, UNCHANGED), len(judgements))
    assert high < gate.MISS
    assert low > gate.MISS / 2  # otherwise the level is not spent


@pytest.mark.parametrize("machine", [QUIET_WITH_OUTLIERS, LESS_QUIET, LOADED])
@pytest.mark.parametrize("slower", [0.0, 0.03, -0.05])
def test_later_sets_do_not_change_a_verdict(machine: Machine, slower: float) -> None:
    settings = Settings(most_sets=14)
    for early, late in machine.gates(20, cells=2, slower=slower):
        histories = {"early": History(early, early[::-1]), "late": History(late, late)}
        last = gate.judge(histories, settings, is_over=False)["early"]
        assert last.verdict is not None
        for sets in range(len(early)):
            rest = late[: len(late) - sets]
            shorter = {
                "early": History(early[:sets], early[::-1][:sets]),
                "late": History(rest, rest),
            }
            judgement = gate.judge(shorter, settings, is_over=False)["early"]
            used = max(last.sets, last.tail.sets if last.tail else 0)
            assert judgement == last if sets >= used else judgement.verdict is None
