import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from bench import means


def interpolated(samples: Sequence[float], percent: float) -> float:
    """Interpolate between the two order statistics around rank (n - 1) * percent / 100."""
    ordered = sorted(samples)
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("percent", [0, 10, 50, 90, 99, 100])
@pytest.mark.parametrize("samples", [[3.0], [4.0, 1.0], [5.0, 1.0, 4.0, 2.0, 8.0, 7.0, 1.5]])
def test_percentile_interpolates_between_order_statistics(
    samples: list[float], percent: float
) -> None:
    assert means.percentile(samples, percent) == pytest.approx(interpolated(samples, percent))


def test_percentile_without_samples_is_nan() -> None:
    assert math.isnan(means.percentile([], 50))


# Quantiles of Student's t by degrees of freedom, from a textbook table.
T_95 = {1: 12.7062, 2: 4.30265, 3: 3.18245, 5: 2.57058}
T_99 = {2: 9.92484}


def test_the_interval_is_a_t_interval() -> None:
    interval = means.interval([1.0, 2.0, 3.0])
    reach = T_95[2] * 1.0 / math.sqrt(3)  # the standard deviation is 1
    assert (interval.estimate, interval.sets, interval.trimmed) == (2.0, 3, False)
    assert (interval.low, interval.high) == pytest.approx((2 - reach, 2 + reach), rel=1e-5)
    wider = means.interval([1.0, 2.0, 3.0], 0.99)
    assert wider.high - 2 == pytest.approx(T_99[2] / math.sqrt(3), rel=1e-5)


def test_without_sets_nothing_is_known() -> None:
    assert math.isnan(means.interval([]).estimate)
    assert means.interval([]).sets == 0


def test_one_set_has_no_interval() -> None:
    interval = means.interval([2.0])
    assert (interval.estimate, interval.sets) == (2.0, 1)
    assert math.isnan(interval.low)
    assert not interval.contains(2.0)
    assert math.isnan(interval.half_width)


def test_the_interval_of_a_ratio_may_be_unlimited() -> None:
    wide = means.exponential(means.interval([0.0, 3.0], 0.9999))
    assert (wide.low, wide.high) == (0.0, math.inf)
    assert wide.estimate == pytest.approx(math.exp(1.5))


def test_with_an_outlier_the_interval_is_that_of_a_trimmed_mean() -> None:
    # One of eight values is trimmed at each end, which leaves six. For the winsorized variance, the
    # two trimmed values are replaced by their neighbours.
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]
    assert means.has_outlier(values)
    winsorized = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0]
    mean = sum(winsorized) / 8
    variance = sum((value - mean) ** 2 for value in winsorized) / 7
    reach = T_95[5] * math.sqrt(variance) / ((6 / 8) * math.sqrt(8))
    interval = means.interval(values)
    assert interval.trimmed
    assert interval.estimate == pytest.approx(3.5)
    assert (interval.low, interval.high) == pytest.approx((3.5 - reach, 3.5 + reach), rel=1e-4)


@pytest.mark.parametrize(("sets", "is_trimmed"), [(4, False), (7, False), (8, True)])
def test_too_few_sets_are_not_trimmed(sets: int, is_trimmed: bool) -> None:
    values = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98][: sets - 1]
    assert means.interval([*values, 100.0]).trimmed is is_trimmed


def test_an_outlier_is_over_eight_scaled_deviations_from_the_median() -> None:
    # The median is 0 and the median of the distances 1, so the limit is 8 × 1.4826 = 11.8608.
    values = [-2.0, -1.0, -1.0, 0.0, 1.0, 1.0]
    assert not means.has_outlier([*values, 11.8])
    assert means.has_outlier([*values, 11.9])
    assert means.has_outlier([*(-value for value in values), -11.9])


@pytest.mark.parametrize("sets", [8, 10, 12, 16])
def test_with_trimming_a_99_percent_interval_rarely_misses_the_truth(sets: int) -> None:
    drawn = np.random.default_rng(3).normal(size=(40_000, sets))
    missed = sum(not means.interval(values, 0.99).contains(0.0) for values in drawn)
    assert missed / len(drawn) < 0.0125


def test_an_outlying_set_widens_an_interval_by_less_than_a_factor_of_two() -> None:
    healthy = [0.99, 1.0, 1.01, 0.98, 1.02, 1.0, 0.99, 1.01]
    outlying = means.interval([*healthy[:-1], 1.5])
    assert outlying.trimmed
    assert outlying.half_width < 2 * means.interval(healthy).half_width


@pytest.mark.parametrize(
    ("value", "is_inside"), [(0.5, True), (2.0, True), (0.49, False), (2.01, False)]
)
def test_an_interval_contains_its_bounds(value: float, is_inside: bool) -> None:
    assert means.Interval(estimate=1.0, low=0.5, high=2.0, sets=3).contains(value) is is_inside


def test_a_difference_has_the_error_and_the_freedom_of_welch() -> None:
    before = means.Mean(estimate=5.0, error=3.0, freedom=2.0, sets=3)
    after = means.Mean(estimate=7.5, error=4.0, freedom=5.0, sets=6, trimmed=True)
    result = means.difference(before, after)
    assert (result.estimate, result.error, result.sets, result.trimmed) == (2.5, 5.0, 3, True)
    assert result.freedom == pytest.approx(25.0**2 / (9.0**2 / 2 + 16.0**2 / 5))
    exact = means.difference(replace(before, error=0.0), replace(after, error=0.0))
    assert (exact.error, exact.freedom) == (0.0, 7.0)


def test_the_half_width_is_a_factor() -> None:
    interval = means.Interval(estimate=1.0, low=1 / 1.02, high=1.02, sets=3)
    assert interval.half_width == pytest.approx(0.02)


DRAWS = 10_000
ROUND_SD, ROUNDS = 0.03, 8


def medians(random: np.random.Generator, sets: int, set_sd: float, *shape: int) -> Any:
    """Return set medians of log-ratios with true value 0, with noise between sets and rounds."""
    rounds = random.normal(0, ROUND_SD, (*shape, sets, ROUNDS))
    return random.normal(0, set_sd, (*shape, sets)) + np.median(rounds, axis=-1)


@pytest.mark.parametrize("sets", [3, 8])
@pytest.mark.parametrize("set_sd", [0.005, 0.02])
def test_a_95_percent_interval_contains_the_truth_in_95_of_100_cases(
    sets: int, set_sd: float
) -> None:
    drawn = medians(np.random.default_rng(1), sets, set_sd, DRAWS)
    covered = sum(means.interval(values).contains(0.0) for values in drawn)
    assert 0.93 <= covered / DRAWS <= 0.97


@pytest.mark.parametrize("set_sd", [0.005, 0.015])
def test_adding_sets_until_the_interval_is_precise_keeps_the_coverage(set_sd: float) -> None:
    least, most, ratios, precision = 3, 8, 3, 0.02
    random = np.random.default_rng(2)
    covered = 0
    draws = DRAWS // ratios
    for drawn in medians(random, most, set_sd, draws, ratios):
        for sets in range(least, most + 1):
            intervals = [means.interval(values[:sets]) for values in drawn]
            if max(interval.high - interval.low for interval in intervals) <= 2 * precision:
                break
        covered += sum(interval.contains(0.0) for interval in intervals)
    assert 0.93 <= covered / (draws * ratios) <= 0.97


def test_the_level_of_a_correlation_is_the_p_value_of_a_pearson_test() -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(2, 9))
    y = y + 0.6 * x
    levels = [
        means.correlation_level(dict(enumerate(a)), dict(enumerate(b)), least=5)
        for a, b in ((x, y), (y, x), (x, -y))
    ]
    assert levels == pytest.approx([pearsonr(x, y).pvalue] * 3)


def test_a_correlation_needs_enough_sets_and_values_that_vary() -> None:
    rising = {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    assert means.correlation_level(rising, rising, least=5) == 1
    assert means.correlation_level(rising, dict.fromkeys(rising, 7.0), least=3) == 1
    assert means.correlation_level(rising, rising, least=4) < 1e-9
