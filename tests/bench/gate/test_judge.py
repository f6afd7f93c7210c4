import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from bench import means
from bench.gate import judge as gate
from bench.gate.judge import History, Settings
from bench.gate.verdict import Judgement, Verdict
from bench.names import RequestError

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict
DELTA = math.log1p(gate.LEAST_EFFECT)
NAN = math.nan

SLOWER = [0.049, 0.050, 0.051]
FASTER = [-value for value in SLOWER]
SAME = [-0.001, 0.000, 0.001]
SHAKY = [-0.200, 0.000, 0.210]  # an interval over any δ, at every level

MISS = {look.sets: look.miss for look in gate.LOOKS}
JUST_UNDER, JUST_OVER = 1 - 1e-9, 1 + 1e-9


def judge(sets: Sequence[float], *, is_over: bool = False, **settings: Any) -> Judgement:
    """What is said of the only cell of a gate whose tails are as its medians."""
    history = {"cell": History(sets, sets)}
    return gate.judge(history, Settings(**settings), is_over=is_over)["cell"]


def judge_tails(tails: Sequence[float], *, is_over: bool = False) -> Judgement:
    """What is said of the only cell of a gate, whose medians are the same on both sides."""
    medians = [SAME[index % 3] for index in range(len(tails))]
    history = {"cell": History(medians, tails)}
    return gate.judge(history, Settings(), is_over=is_over)["cell"]


def spread(mean: float, reach: float, level: float, sets: int) -> list[float]:
    """Sets whose one-sided bounds at this level lie ``reach`` from their mean."""
    steps = np.linspace(-1, 1, sets)
    error = float(np.std(steps, ddof=1)) / math.sqrt(sets)
    scale = reach / (float(student.isf(level, sets - 1)) * error)
    return [mean + scale * float(step) for step in steps]


@pytest.mark.parametrize("look", gate.LOOKS)
def test_unchanged_is_an_upper_bound_below_delta(look: gate.Look) -> None:
    room = DELTA - 0.001
    below, above = (
        spread(0.001, room * by, look.miss, look.sets) for by in (JUST_UNDER, JUST_OVER)
    )
    assert look.says(below, DELTA, gate.ALPHA) is UNCHANGED
    assert look.says(above, DELTA, gate.ALPHA) is None
    if look.sets == gate.FIRST_LOOK:
        assert judge(below).verdict is UNCHANGED
        assert judge(above).verdict is None


def test_unchanged_may_be_faster_by_an_unclear_amount() -> None:
    assert judge([-0.05, -0.025, 0.0]).verdict is UNCHANGED
    assert judge(2 * [-0.09, -0.05, -0.01]).verdict is UNCHANGED


def test_a_cell_that_may_be_faster_by_delta_waits_for_the_look_that_can_say_so() -> None:
    assert judge(FASTER).verdict is None
    assert judge(FASTER, is_over=True).verdict is UNCHANGED
    assert judge(FASTER + FASTER).verdict is IMPROVED


@pytest.mark.parametrize(("sign", "verdict"), [(1, REGRESSED), (-1, IMPROVED)])
@pytest.mark.parametrize("look", [look for look in gate.LOOKS if look.alpha])
def test_a_change_needs_a_bound_beyond_zero(sign: int, verdict: Verdict, look: gate.Look) -> None:
    def said(reach: float) -> Verdict | None:
        return look.says(spread(sign * 0.1, reach, 0.01 * look.alpha, look.sets), DELTA, 0.01)

    assert said(0.1 * JUST_UNDER) is verdict
    assert said(0.1 * JUST_OVER) is not verdict


@pytest.mark.parametrize("cells", [1, 6, 40])
def test_each_cell_has_its_share_of_alpha(cells: int) -> None:
    others = {f"failed {index}": History((), ()) for index in range(1, cells)}
    share = (1 - gate.TAIL_ALPHA) * next(look.alpha for look in gate.LOOKS if look.sets == 6)
    level = gate.ALPHA / cells * share

    def said(reach: float) -> Verdict | None:
        sets = spread(0.1, reach, level, 6)
        history = {"cell": History(sets, sets), **others}
        return gate.judge(history, Settings(), is_over=False)["cell"].verdict

    assert said(0.1 * JUST_UNDER) is REGRESSED
    assert said(0.1 * JUST_OVER) is None


@pytest.mark.parametrize(("sign", "verdict"), [(1, REGRESSED), (-1, IMPROVED)])
def test_a_change_needs_an_estimate_of_delta(sign: int, verdict: Verdict) -> None:
    def said(estimate: float) -> Verdict | None:
        return judge([sign * (estimate + value) for value in (0.01, -0.01, 0.0) * 2]).verdict

    assert said(DELTA * JUST_OVER) is verdict
    assert said(DELTA * JUST_UNDER) is not verdict


def test_a_change_is_named_from_six_sets_on() -> None:
    assert judge((SLOWER + SLOWER)[:5]).verdict is None
    found = judge(SLOWER + SLOWER)
    assert (found.verdict, found.sets) == (REGRESSED, 6)
    assert found.interval == means.exponential(means.interval(SLOWER + SLOWER))


@pytest.mark.parametrize(
    ("sets", "verdict"),
    [(SLOWER, INCONCLUSIVE), (SLOWER + SLOWER[:2], INCONCLUSIVE), (FASTER, UNCHANGED)],
)
def test_cut_short_a_cell_is_no_change(sets: list[float], verdict: Verdict) -> None:
    assert judge(sets, is_over=True).verdict is verdict


def test_between_looks_nothing_is_said() -> None:
    sets = 2 * [0.03, -0.03, 0.0]
    assert judge(sets).verdict is None
    assert judge([*sets, 0.0]).verdict is None
    assert judge([*sets, 0.0], is_over=True).verdict is UNCHANGED
    assert judge([*sets, 0.0, 0.0]).verdict is UNCHANGED


@pytest.mark.parametrize("sets", [SAME[:2], SAME[:1], []])
def test_too_few_sets_say_nothing(sets: list[float]) -> None:
    assert judge(sets).verdict is None
    assert judge(sets, is_over=True).verdict is INCONCLUSIVE


def test_a_cell_without_sets_has_no_interval() -> None:
    found = judge([], is_over=True)
    assert found.sets == 0
    assert math.isnan(found.interval.estimate)


def test_cut_off_between_looks_it_is_judged_by_the_look_it_did_not_get() -> None:
    def over(reach: float) -> Verdict | None:
        sets = spread(0.0, reach, MISS[8], 7)
        outer_first = sorted(sets, key=abs, reverse=True)
        return judge(outer_first, is_over=True).verdict

    assert over(DELTA * JUST_UNDER) is UNCHANGED
    assert over(DELTA * JUST_OVER) is INCONCLUSIVE


def test_after_its_last_look_a_cell_is_inconclusive() -> None:
    sets = [*(5 * SHAKY), SHAKY[0]]
    assert judge(sets[:-1]).verdict is None
    found = judge(sets)
    assert (found.verdict, found.sets) == (INCONCLUSIVE, 16)
    assert judge(sets + 9 * SAME) == found


def test_after_the_most_sets_it_is_inconclusive() -> None:
    assert judge(2 * SHAKY, most_sets=6).verdict is INCONCLUSIVE
    assert judge([*SHAKY, NAN, NAN, NAN], most_sets=6).verdict is INCONCLUSIVE


@pytest.mark.parametrize("missing", [NAN, math.inf, -math.inf])
def test_a_set_without_a_number_says_nothing(missing: float) -> None:
    sets = [SLOWER[0], missing, *SLOWER[1:], missing, *SLOWER]
    assert judge(sets) == judge(SLOWER + SLOWER)
    assert judge([*SAME[:2], missing]).verdict is None


def test_an_exception_has_a_delta_of_its_own() -> None:
    settings = Settings(deltas={"noisy": 0.08})
    slower = History(2 * SLOWER, 2 * SLOWER)
    told = gate.judge({"noisy": slower, "steady": slower}, settings, is_over=False)
    assert told["noisy"].verdict is UNCHANGED
    assert told["steady"].verdict is REGRESSED
    slow = {"noisy": History(2 * [2 * value for value in SLOWER], ())}
    assert gate.judge(slow, settings, is_over=False)["noisy"].verdict is REGRESSED


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"delta": 0}, "between 0 and 1, not 0"),
        ({"delta": 3}, "between 0 and 1, not 3"),
        ({"delta": NAN}, "between 0 and 1, not nan"),
        ({"deltas": {"cell": 0.01}}, "of cell is a share from 0.03 to 1, not 0.01"),
        ({"deltas": {"cell": 5}}, "of cell is a share from 0.03 to 1, not 5"),
        ({"deltas": {"sell": 0.05}}, "'sell', which is no cell here"),
        ({"alpha": 0}, "alpha is above 0 and at most 0.25, not 0"),
        ({"alpha": 0.3}, "alpha is above 0 and at most 0.25, not 0.3"),
        ({"most_sets": 5}, "choose a number from 6 to 16, not 5"),
        ({"most_sets": 17}, "choose a number from 6 to 16, not 17"),
    ],
)
def test_settings_that_make_no_sense_get_a_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        judge(SAME, **settings)
    assert sentence in str(caught.value)


SLOW_TAIL = [0.299, 0.300, 0.301]
UNCLEAR_TAIL = [0.05, 0.30, 0.20]
"""Slower, it seems, and nothing is sure."""


def test_a_tail_that_is_as_it_was_takes_no_set_more() -> None:
    found = judge_tails(SAME)
    assert (found.verdict, found.overall, found.sets) == (UNCHANGED, UNCHANGED, 3)
    assert found.tail is not None
    assert (found.tail.verdict, found.tail.sets) == (UNCHANGED, 3)


@pytest.mark.parametrize("tails", [SHAKY, [-0.3, 0.1, 0.35]])
def test_a_tail_that_is_unclear_and_does_not_look_slower_takes_no_set_more(
    tails: list[float],
) -> None:
    found = judge_tails(tails)
    assert (found.overall, found.sets) == (UNCHANGED, 3)
    assert found.tail is not None
    assert found.tail.verdict is None


def test_a_slower_tail_is_a_regression_from_six_sets_on() -> None:
    for sets in range(3, 6):
        assert judge_tails((SLOW_TAIL * 2)[:sets]).verdict is None
    found = judge_tails(SLOW_TAIL * 2)
    assert (found.verdict, found.overall, found.sets) == (UNCHANGED, REGRESSED, 3)
    assert found.tail is not None
    assert found.tail.interval == means.exponential(means.interval(SLOW_TAIL * 2))


def test_a_tail_that_looked_slower_at_first_ends_where_it_does_not_any_more() -> None:
    assert judge_tails(UNCLEAR_TAIL).verdict is None
    found = judge_tails([*UNCLEAR_TAIL, -0.2])
    assert found.overall is UNCHANGED
    assert found.tail is not None
    assert (found.tail.verdict, found.tail.sets) == (None, 4)


def test_a_tail_that_looks_slower_to_the_end_is_inconclusive() -> None:
    cut_off = judge_tails(UNCLEAR_TAIL, is_over=True)
    assert (cut_off.verdict, cut_off.overall) == (UNCHANGED, INCONCLUSIVE)
    tails = [0.13 + 0.12 * (-1) ** index for index in range(16)]
    assert judge_tails(tails[:15]).verdict is None
    assert judge_tails(tails).overall is INCONCLUSIVE


def test_a_tail_has_its_share_of_alpha() -> None:
    level = gate.ALPHA * gate.TAIL_ALPHA * next(k.alpha for k in gate.LOOKS if k.sets == 6)
    for reach, verdict in ((0.3 * JUST_UNDER, REGRESSED), (0.3 * JUST_OVER, None)):
        assert judge_tails(spread(0.3, reach, level, 6)).overall is verdict


def test_a_tail_needs_an_estimate_of_its_own_delta() -> None:
    assert judge_tails([0.094, 0.095, 0.095] * 2).overall is UNCHANGED
    assert judge_tails([0.096, 0.097, 0.097] * 2).overall is REGRESSED
    waived = Settings(deltas={"cell": 0.2})
    history = {"cell": History(SAME * 2, [0.12, 0.121, 0.122] * 2)}
    assert gate.judge(history, waived, is_over=False)["cell"].overall is UNCHANGED


def test_a_cell_that_is_slower_by_its_medians_has_no_verdict_of_its_tail() -> None:
    history = {"cell": History(SLOWER * 2, SLOW_TAIL * 2)}
    assert gate.judge(history, Settings(), is_over=False)["cell"].tail is None


def test_a_cell_that_improved_by_its_medians_may_have_regressed_by_its_tail() -> None:
    history = {"cell": History(FASTER * 2, SLOW_TAIL * 2)}
    found = gate.judge(history, Settings(), is_over=False)["cell"]
    assert (found.verdict, found.overall, found.used) == (IMPROVED, REGRESSED, 6)


def test_without_all_tails_there_is_no_verdict_of_them() -> None:
    history = {"cell": History(SAME, [*SAME[:2], NAN])}
    found = gate.judge(history, Settings(), is_over=False)["cell"]
    assert (found.verdict, found.tail) == (UNCHANGED, None)


def test_tails_of_unchanged_code_raise_no_more_alarms_than_they_may() -> None:
    drawn = np.random.default_rng(4).standard_normal((4_000, 6, gate.MOST_SETS))
    alarms = 0
    for cells in (0.2 * drawn).tolist():
        medians = [*(SAME * 5), 0.0]
        history = {str(index): History(medians, tails) for index, tails in enumerate(cells)}
        found = gate.judge(history, Settings(alpha=0.2), is_over=True).values()
        alarms += any(cell.overall is REGRESSED for cell in found)
    low, high = bounds(alarms, len(drawn))
    assert high < 0.2 * gate.TAIL_ALPHA
    assert low > 0.05 * gate.TAIL_ALPHA


def test_the_looks_share_alpha_and_go_up() -> None:
    sets = [look.sets for look in gate.LOOKS]
    assert sets == sorted(set(sets))
    assert 0.9 < math.fsum(look.alpha for look in gate.LOOKS) <= 1


def test_the_levels_of_a_miss_are_together_as_large_as_they_may_be() -> None:
    # With a cell slower by just δ, whatever its noise: how often a bound is below δ at any look.
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
    """How a cell's log-ratios scatter on it: normal, with some outliers."""

    sd: float
    outliers: float = 0.0
    """The share of sets that have five times the standard deviation."""

    def gates(self, gates: int, *, cells: int, slower: float = 0.0) -> Any:
        """The sets of each cell of these gates; head is slower by this share."""
        random = np.random.default_rng(1)
        shape = (gates, cells, gate.MOST_SETS)
        scale = np.where(random.random(shape) < self.outliers, 5 * self.sd, self.sd)
        return (math.log1p(slower) + scale * random.standard_normal(shape)).tolist()


QUIET = Machine(sd=0.007)
QUIET_WITH_OUTLIERS = Machine(sd=0.007, outliers=0.03)
LESS_QUIET = Machine(sd=0.011, outliers=0.03)
LOADED = Machine(sd=0.05)
HOPELESS = Machine(sd=1.0)

ONE_OF_SIX = Settings(alpha=gate.ALPHA / 6)
"""Of a gate of one cell: it is then judged as each cell of a gate of six."""


def judged(gates: Any, settings: Settings) -> list[list[Judgement]]:
    """What each gate says of its cells."""
    told = []
    for cells in gates:
        history = {str(index): History(sets, sets) for index, sets in enumerate(cells)}
        told.append(list(gate.judge(history, settings, is_over=True).values()))
    return told


def with_any(told: Sequence[Sequence[Judgement]], verdict: Verdict) -> int:
    """The number of gates that say it of any cell."""
    return sum(any(cell.verdict is verdict for cell in cells) for cells in told)


def bounds(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's (1934) 95 % interval of a rate."""
    found = binomtest(count, of).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def test_on_a_quiet_machine_unchanged_code_is_told_so_at_the_first_look() -> None:
    told = judged(QUIET.gates(10_000, cells=6), Settings())
    at_once = [all((c.verdict, c.sets) == (UNCHANGED, 3) for c in cells) for cells in told]
    assert bounds(sum(at_once), len(told))[0] > 0.95
    assert bounds(with_any(told, REGRESSED), len(told))[1] < 0.001


def test_on_a_loaded_machine_unchanged_code_is_slower_in_fewer_gates_than_alpha() -> None:
    told = judged(LOADED.gates(10_000, cells=2), Settings())
    assert bounds(with_any(told, REGRESSED), len(told))[1] < gate.ALPHA
    assert bounds(with_any(told, IMPROVED), len(told))[1] < gate.ALPHA


@pytest.mark.parametrize("cells", [1, 3])
def test_alpha_holds_however_large_the_noise_and_is_not_all_given_away(cells: int) -> None:
    told = judged(HOPELESS.gates(2_000, cells=cells), Settings(alpha=0.2))
    low, high = bounds(with_any(told, REGRESSED), len(told))
    assert high < 0.2
    assert low > 0.05


def test_with_outliers_a_quiet_gate_takes_a_set_more_at_most_on_average() -> None:
    told = judged(QUIET_WITH_OUTLIERS.gates(1_000, cells=6), Settings())
    assert np.mean([max(cell.sets for cell in cells) for cells in told]) < 4
    assert with_any(told, REGRESSED) == 0
    assert bounds(with_any(told, INCONCLUSIVE), len(told))[1] < 0.01


def test_on_a_less_quiet_machine_few_gates_are_inconclusive() -> None:
    told = judged(LESS_QUIET.gates(1_000, cells=6), Settings())
    assert bounds(with_any(told, INCONCLUSIVE), len(told))[1] < 0.05
    assert with_any(told, REGRESSED) == 0


@pytest.mark.parametrize(
    ("machine", "slower", "least"),
    [(QUIET_WITH_OUTLIERS, 0.05, 0.97), (QUIET_WITH_OUTLIERS, 0.10, 0.998), (LOADED, 0.10, 0.8)],
)
def test_slower_code_is_found(machine: Machine, slower: float, least: float) -> None:
    told = judged(machine.gates(2_000, cells=1, slower=slower), ONE_OF_SIX)
    assert bounds(with_any(told, REGRESSED), len(told))[0] > least


@pytest.mark.parametrize(
    ("machine", "most"), [(QUIET_WITH_OUTLIERS, 0.002), (LESS_QUIET, 0.002), (LOADED, 0.04)]
)
def test_code_slower_by_5_percent_does_not_pass(machine: Machine, most: float) -> None:
    told = judged(machine.gates(2_000, cells=1, slower=0.05), ONE_OF_SIX)
    assert bounds(with_any(told, UNCHANGED), len(told))[1] < most


@pytest.mark.parametrize("machine", [QUIET, LOADED])
def test_code_slower_by_just_delta_passes_as_often_as_it_may(machine: Machine) -> None:
    told = judged(machine.gates(10_000, cells=1, slower=gate.LEAST_EFFECT), ONE_OF_SIX)
    low, high = bounds(with_any(told, UNCHANGED), len(told))
    assert high < gate.MISS
    assert low > gate.MISS / 2  # else the level is not spent


@pytest.mark.parametrize("machine", [QUIET_WITH_OUTLIERS, LESS_QUIET, LOADED])
@pytest.mark.parametrize("slower", [0.0, 0.03, -0.05])
def test_a_verdict_outlasts_all_that_is_measured_after_it(machine: Machine, slower: float) -> None:
    settings = Settings(most_sets=14)
    for early, late in machine.gates(20, cells=2, slower=slower):
        whole = {"early": History(early, early[::-1]), "late": History(late, late)}
        last = gate.judge(whole, settings, is_over=False)["early"]
        assert last.verdict is not None
        for sets in range(len(early)):
            rest = late[: len(late) - sets]
            shorter = {
                "early": History(early[:sets], early[::-1][:sets]),
                "late": History(rest, rest),
            }
            found = gate.judge(shorter, settings, is_over=False)["early"]
            used = max(last.sets, last.tail.sets if last.tail else 0)
            assert found == last if sets >= used else found.verdict is None
