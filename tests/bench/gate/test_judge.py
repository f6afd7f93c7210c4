import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from bench import means
from bench.gate import judge as gate
from bench.gate.judge import Settings
from bench.gate.verdict import Judgement, Verdict
from bench.names import RequestError

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict
DELTA = math.log1p(gate.LEAST_EFFECT)
NAN = math.nan

SLOWER = [0.049, 0.050, 0.051]
FASTER = [-value for value in SLOWER]
SAME = [-0.001, 0.000, 0.001]
SHAKY = [-0.200, 0.000, 0.210]  # an interval over any δ, at every level


def judge(sets: Sequence[float], *, is_over: bool = False, **settings: Any) -> Judgement:
    """What is said of the only cell of a gate."""
    return gate.judge({"cell": sets}, Settings(**settings), is_over=is_over)["cell"]


def three(mean: float, reach: float, level: float) -> list[float]:
    """Three sets whose one-sided bounds at this level lie ``reach`` from their mean.

    Student's t has a closed form for two degrees of freedom, and their sd is the step.
    """
    student = (1 - 2 * level) / math.sqrt(2 * level * (1 - level))
    step = reach * math.sqrt(3) / student
    return [mean - step, mean, mean + step]


MISS_FIRST = gate.MISS / 2
JUST_UNDER, JUST_OVER = 1 - 1e-9, 1 + 1e-9


def alpha_first(cells: int) -> float:
    """The level of the first look, of screening or confirmation, in a gate of so many cells."""
    return math.sqrt(gate.ALPHA / cells) / 2


def test_unchanged_is_an_upper_bound_below_delta() -> None:
    below = three(0.001, (DELTA - 0.001) * JUST_UNDER, MISS_FIRST)
    above = three(0.001, (DELTA - 0.001) * JUST_OVER, MISS_FIRST)
    assert judge(below).verdict is UNCHANGED
    assert judge(above).verdict is None


def test_unchanged_may_be_faster_by_an_unclear_amount() -> None:
    assert judge([-0.09, -0.05, -0.01]).verdict is UNCHANGED


@pytest.mark.parametrize(("sign", "flag"), [(1, REGRESSED), (-1, IMPROVED)])
@pytest.mark.parametrize("cells", [1, 6, 40])
def test_a_flag_needs_a_bound_beyond_zero_at_the_level_of_one_of_the_cells(
    sign: int, flag: Verdict, cells: int
) -> None:
    others: dict[str, list[float]] = {f"failed {index}": [] for index in range(1, cells)}

    def flagged(reach: float) -> Verdict | None:
        sets = three(sign * 0.1, reach, alpha_first(cells))
        return gate.judge({"cell": sets, **others}, Settings(), is_over=False)["cell"].flagged

    assert flagged(0.1 * JUST_UNDER) is flag
    assert flagged(0.1 * JUST_OVER) is None


@pytest.mark.parametrize(("sign", "flag"), [(1, REGRESSED), (-1, IMPROVED)])
def test_a_flag_needs_an_estimate_of_delta(sign: int, flag: Verdict) -> None:
    assert judge(three(sign * DELTA * JUST_OVER, 0.001, alpha_first(1))).flagged is flag
    assert judge(three(sign * DELTA * JUST_UNDER, 0.001, alpha_first(1))).flagged is None


@pytest.mark.parametrize(("sets", "flag"), [(SLOWER, REGRESSED), (FASTER, IMPROVED)])
def test_a_flag_is_no_verdict(sets: list[float], flag: Verdict) -> None:
    found = judge(sets)
    assert (found.verdict, found.flagged, found.fresh_from) == (None, flag, 3)
    assert found.wants_set
    assert judge(sets + sets[:2]).verdict is None


@pytest.mark.parametrize(("sets", "verdict"), [(SLOWER, REGRESSED), (FASTER, IMPROVED)])
def test_fresh_sets_that_say_the_same_confirm_it(sets: list[float], verdict: Verdict) -> None:
    fresh = [1.2 * value for value in sets]
    found = judge(sets + fresh)
    assert (found.verdict, found.is_confirmed, found.sets) == (verdict, True, 6)
    assert found.interval == means.exponential(means.interval(fresh))


def test_the_confirmation_is_at_the_level_of_a_fresh_look() -> None:
    under = three(0.1, 0.1 * JUST_UNDER, alpha_first(1))
    over = three(0.1, 0.1 * JUST_OVER, alpha_first(1))
    assert judge(SLOWER + under).verdict is REGRESSED
    assert judge(SLOWER + over).verdict is None


def test_the_confirmation_needs_an_estimate_of_delta_too() -> None:
    less = [value - 0.021 for value in SLOWER]
    assert means.interval(SLOWER + less).estimate > DELTA
    assert judge(SLOWER + less).verdict is None


def test_with_an_outlier_the_confirmation_takes_a_second_look() -> None:
    first = [0.05, 0.05, 0.25]
    assert judge(SLOWER + first).verdict is None
    found = judge(SLOWER + first + [0.15, 0.15, 0.15])
    assert (found.verdict, found.sets) == (REGRESSED, 9)


def test_fresh_sets_that_say_the_opposite_confirm_nothing() -> None:
    found = judge(SLOWER + FASTER + FASTER)
    assert (found.verdict, found.sets) == (UNCHANGED, 9)  # not slower by δ, in all
    assert judge(FASTER + SLOWER + SLOWER).verdict is INCONCLUSIVE


def test_where_the_confirmation_fails_all_sets_may_still_say_unchanged() -> None:
    sets = [0.031, 0.032, 0.033] + 2 * [-0.011, -0.010, -0.009]
    assert judge(sets[:-1]).verdict is None
    found = judge(sets)
    assert (found.verdict, found.flagged, found.sets) == (UNCHANGED, REGRESSED, 9)
    assert found.interval == means.exponential(means.interval(sets))


def test_there_is_one_flag_only() -> None:
    failed = [0.031, 0.032, 0.033] + 2 * SHAKY
    found = judge(failed + 3 * SLOWER)
    assert (found.verdict, found.sets) == (INCONCLUSIVE, 9)


@pytest.mark.parametrize(
    ("sets", "verdict"),
    [(SLOWER, INCONCLUSIVE), (SLOWER + SLOWER[:2], INCONCLUSIVE), (FASTER, UNCHANGED)],
)
def test_cut_short_a_flag_is_still_no_verdict(sets: list[float], verdict: Verdict) -> None:
    found = judge(sets, is_over=True)
    assert (found.verdict, found.is_confirmed) == (verdict, False)


def test_between_looks_nothing_is_said() -> None:
    sets = [*three(0.0, DELTA * 1.05, MISS_FIRST), 0.0]
    assert judge(sets, looks=(4, 5)).verdict is UNCHANGED
    assert judge(sets, looks=(3, 5)).verdict is None
    assert judge([*sets, 0.0], looks=(3, 5)).verdict is UNCHANGED


@pytest.mark.parametrize("sets", [SAME[:2], SAME[:1], []])
def test_too_few_sets_say_nothing(sets: list[float]) -> None:
    assert judge(sets).verdict is None
    assert judge(sets, is_over=True).verdict is INCONCLUSIVE


def test_a_cell_without_sets_has_no_interval() -> None:
    found = judge([], is_over=True)
    assert (found.sets, found.flagged, found.fresh_from) == (0, None, None)
    assert math.isnan(found.interval.estimate)


# Student's t, from any textbook's table: 0.975 of three degrees of freedom.
T_3 = 3.182446


def test_cut_off_between_looks_it_is_judged_by_the_look_it_did_not_get() -> None:
    # Of four, two at a distance to either side have a sd of 2/√3 times that. A quarter of MISS.
    def over(reach: float) -> Verdict | None:
        step = reach * math.sqrt(3) / T_3
        return judge([-step, step, -step, step], is_over=True, looks=(2, 5, 8)).verdict

    assert over(DELTA * (1 - 1e-6)) is UNCHANGED
    assert over(DELTA * (1 + 1e-6)) is INCONCLUSIVE


def test_after_its_last_look_a_cell_is_inconclusive() -> None:
    sets = 4 * SHAKY
    assert judge(sets[:-1]).verdict is None
    found = judge(sets)
    assert (found.verdict, found.sets) == (INCONCLUSIVE, 12)
    assert judge(sets + 9 * SAME) == found


def test_after_the_most_sets_it_is_too_flagged_or_not() -> None:
    assert judge(2 * SHAKY, most_sets=6).verdict is INCONCLUSIVE
    assert judge([*SLOWER, *SHAKY[:2]], most_sets=5).verdict is INCONCLUSIVE
    assert judge([*SHAKY, NAN, NAN, NAN], most_sets=6).verdict is INCONCLUSIVE
    assert judge(2 * SLOWER, most_sets=5).verdict is INCONCLUSIVE


@pytest.mark.parametrize("missing", [NAN, math.inf, -math.inf])
def test_a_set_without_a_number_says_nothing(missing: float) -> None:
    sets = [SLOWER[0], missing, *SLOWER[1:], missing, *SLOWER]
    found = judge(sets)
    assert replace(found, fresh_from=3) == judge(SLOWER + SLOWER)
    assert found.fresh_from == 4
    assert judge([*SAME[:2], missing]).verdict is None


def test_an_exception_has_a_delta_of_its_own() -> None:
    settings = Settings(deltas={"noisy": 0.08})
    told = gate.judge(
        {"noisy": SLOWER, "steady": SLOWER, "slow": [2 * value for value in SLOWER]},
        settings,
        is_over=False,
    )
    assert told["noisy"].verdict is UNCHANGED
    assert told["steady"].flagged is REGRESSED
    slow = {"noisy": [2 * value for value in SLOWER]}
    assert gate.judge(slow, settings, is_over=False)["noisy"].flagged is REGRESSED


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
        ({"miss": 0}, "miss is above 0 and at most 0.5, not 0"),
        ({"miss": 0.6}, "miss is above 0 and at most 0.5, not 0.6"),
        ({"looks": ()}, "ascending, not at ()"),
        ({"looks": (1, 3)}, "2 sets or more"),
        ({"looks": (3, 3)}, "ascending, not at (3, 3)"),
        ({"confirmation": (6, 3)}, "ascending, not at (6, 3)"),
        ({"most_sets": 2}, "at most 2 sets"),
    ],
)
def test_settings_that_make_no_sense_get_a_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        judge(SAME, **settings)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("looks", [(3,), (3, 6), (3, 5, 8), (3, 5, 8, 12)])
def test_a_stage_spends_its_levels_and_no_more(looks: tuple[int, ...]) -> None:
    split = gate._split(looks, DELTA, 0.04, 0.1)
    assert math.fsum(look.alpha for look in split) == pytest.approx(0.04, rel=1e-15)
    assert math.fsum(look.miss for look in split) == pytest.approx(0.1, rel=1e-15)
    assert split[0].alpha == (0.04 if len(looks) == 1 else 0.02)


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
        history = {str(index): sets for index, sets in enumerate(cells)}
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
    told = judged(machine.gates(3_000, cells=1, slower=gate.LEAST_EFFECT), ONE_OF_SIX)
    low, high = bounds(with_any(told, UNCHANGED), len(told))
    assert high < gate.MISS
    assert low > gate.MISS / 2  # else the level is not spent


@pytest.mark.parametrize("machine", [QUIET_WITH_OUTLIERS, LESS_QUIET, LOADED])
@pytest.mark.parametrize("slower", [0.0, 0.03, -0.05])
def test_a_verdict_outlasts_all_that_is_measured_after_it(machine: Machine, slower: float) -> None:
    settings = Settings(most_sets=14)
    for early, late in machine.gates(20, cells=2, slower=slower):
        last = gate.judge({"early": early, "late": late}, settings, is_over=False)["early"]
        assert last.verdict is not None
        for sets in range(len(early)):
            shorter = {"early": early[:sets], "late": late[: len(late) - sets]}
            found = gate.judge(shorter, settings, is_over=False)["early"]
            assert found == last if sets >= last.sets else found.verdict is None
