import math
import random
from itertools import pairwise

import pytest

from bench import optional
from bench.errors import RequestError
from bench.history import changes, scan
from bench.history.changes import Direction
from bench.metrics.metric import Better

SD = 0.005  # of the logarithm of a run's ratio, as measured (reports/history-changes.md)


def levels(*parts: tuple[int, float], sd: float = SD, seed: int = 1) -> list[float]:
    """Return a series of (number of values, level) parts with noise."""
    generator = random.Random(seed)
    return [
        level * math.exp(generator.gauss(0, sd)) for count, level in parts for _ in range(count)
    ]


def indices(values: list[float]) -> list[int]:
    return [change.index for change in changes.find(values)]


def test_a_slowdown_is_found_with_its_place_ratio_and_direction() -> None:
    (change,) = changes.find(levels((20, 1.0), (15, 0.95)), better=Better.MORE)
    assert (change.index, change.last_before) == (20, 19)
    assert change.direction is Direction.REGRESSION
    assert change.ratio.contains(0.95)
    assert change.ratio.high < 0.96
    assert change.p_value == 1 / 500


@pytest.mark.parametrize(
    ("after", "better", "direction"),
    [
        (1.05, Better.MORE, Direction.IMPROVEMENT),
        (1.05, Better.LESS, Direction.REGRESSION),
        (0.95, Better.LESS, Direction.IMPROVEMENT),
        (0.95, None, Direction.CHANGE),
    ],
)
def test_the_direction_follows_from_what_is_better(
    after: float, better: Better | None, direction: Direction
) -> None:
    (change,) = changes.find(levels((20, 1.0), (15, after)), better=better)
    assert change.direction is direction


@pytest.mark.parametrize("after", [0.95, 1.05])
def test_three_runs_after_forty_five_are_enough_for_five_percent(after: float) -> None:
    assert indices(levels((45, 1.0), (3, after))) == [45]


def test_a_value_near_the_change_does_not_move_its_place() -> None:
    values = levels((45, 1.0), (5, 1.1))
    values[44] = 1.0 + 3 * SD
    assert indices(values) == [45]


def test_two_runs_are_no_level() -> None:
    assert indices(levels((45, 1.0), (2, 1.3))) == []


@pytest.mark.parametrize("place", [0, 1, 25, 48, 49])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_an_outlier_is_no_change(place: int, factor: float) -> None:
    values = levels((50, 1.0))
    values[place] *= factor
    assert indices(values) == []


def test_an_outlier_does_not_hide_a_change() -> None:
    values = levels((25, 1.0), (25, 1.05))
    values[10] *= 3
    assert indices(values) == [25]


def test_a_regression_that_was_fixed_is_two_changes() -> None:
    found = changes.find(levels((20, 1.0), (8, 0.95), (22, 1.0)), better=Better.MORE)
    assert [(change.index, change.direction) for change in found] == [
        (20, Direction.REGRESSION),
        (28, Direction.IMPROVEMENT),
    ]


def test_levels_reach_to_the_next_change() -> None:
    found = changes.find(levels((20, 1.0), (20, 1.1), (20, 1.21), (20, 1.0)))
    assert [change.index for change in found] == [20, 40, 60]
    assert [change.ratio.estimate for change in found] == pytest.approx(
        [1.1, 1.1, 1 / 1.21], rel=0.005
    )


@pytest.mark.parametrize("value", [1.0, 0.0123, 4e9])
def test_a_constant_series_has_no_change(value: float) -> None:
    assert changes.find([value] * 50) == ()


@pytest.mark.parametrize("place", [10, 47, 49])
def test_one_other_value_in_a_constant_series_is_no_change(place: int) -> None:
    values = [1.0] * 50
    values[place] = 2.0
    assert changes.find(values) == ()


def test_exact_counts_that_change_once_are_a_change_with_an_exact_ratio() -> None:
    (change,) = changes.find([1000.0] * 12 + [1001.0] * 12)
    assert change.index == 12
    bounds = (change.ratio.low, change.ratio.estimate, change.ratio.high)
    assert bounds == pytest.approx((1.001, 1.001, 1.001))


def test_a_short_series_has_no_change_whatever_its_values() -> None:
    least = changes.least_values()
    assert changes.find([]) == ()
    assert changes.find([1.0] * 5 + [2.0] * (least - 6)) == ()
    assert indices([1.0] * 5 + [2.0] * 6) == [5]


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_the_shortest_series_can_just_reach_the_level(level: float) -> None:
    least = changes.least_values(level)
    clearest = [2 / math.comb(count, count // 2) for count in (least - 1, least)]
    assert clearest[0] > level >= clearest[1]


def test_missing_values_are_left_out_and_indices_are_those_of_the_series() -> None:
    values: list[float | None] = [*levels((20, 1.0), (20, 1.05))]
    values[3] = math.nan
    values[19] = None
    values[20] = math.inf
    (change,) = changes.find(values)
    assert (change.last_before, change.index) == (18, 21)
    assert changes.find([None] * 50) == ()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_value_that_has_no_logarithm_is_refused_with_its_index(value: float) -> None:
    values: list[float | None] = [None, 1.0, value, 1.0]
    with pytest.raises(RequestError, match=f"value 2 of the series is {value:g}"):
        changes.find(values)


def test_a_drift_is_reported_as_changes_in_its_direction() -> None:
    values = [1.002**index for index in range(100)]
    found = changes.find(values, better=Better.LESS)
    assert found
    assert {change.direction for change in found} == {Direction.REGRESSION}
    assert all(first.index + 3 <= second.index for first, second in pairwise(found))


def test_the_result_depends_on_nothing_but_the_arguments() -> None:
    values = levels((30, 1.0), (30, 1.01), sd=0.01)
    assert changes.find(values, seed=3) == changes.find(values, seed=3)
    reversed_ratio = [1 / value for value in values]
    assert [change.index for change in changes.find(reversed_ratio)] == indices(values)
    scaled = [7.5 * value for value in values]
    assert [change.index for change in changes.find(scaled)] == indices(values)


def test_unchanged_series_raise_alarms_at_the_level() -> None:
    level, count = 0.1, 200
    alarms = sum(
        bool(changes.find(levels((30, 1.0), seed=seed), level=level)) for seed in range(count)
    )
    # 20 are expected; a binomial count is above 36 once in 10,000 times.
    assert 4 <= alarms <= 36


def test_a_library_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optional, "_is_installed", lambda module: module != "ruptures")
    with pytest.raises(RequestError, match=r"needs ruptures.*googlenet-bench\[history\]"):
        changes.find(levels((20, 1.0), (20, 1.1)))


@pytest.mark.parametrize(("p_value", "count"), [(0.01, 1), (0.011, 0)])
def test_a_change_is_accepted_up_to_the_level(
    p_value: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = levels((20, 1.0), (15, 0.95))
    found = iter([p_value, 1.0])  # of the change, and of the strongest candidate besides it
    monkeypatch.setattr(scan, "p_value", lambda *_, **__: next(found))
    assert [change.p_value for change in changes.find(series, level=0.01)] == [p_value] * count
