import math

import numpy as np
import pytest

from bench.history import scan
from bench.history.scan import LEAST_VALUES


@pytest.mark.parametrize("length", [6, 7, 10, 50, 333])
def test_windows_cover_the_segment_and_both_parts_are_long_enough(length: int) -> None:
    windows = scan.windows([0, length])
    assert (windows.start.min(), windows.end.max()) == (0, length)
    assert (windows.split - windows.start).min() == LEAST_VALUES
    assert (windows.end - windows.split).min() == LEAST_VALUES
    assert set(windows.split) == set(range(LEAST_VALUES, length - LEAST_VALUES + 1))


def test_no_window_crosses_a_change_and_short_segments_have_none() -> None:
    windows = scan.windows([0, 20, 25, 40])
    for start, end in zip(windows.start, windows.end, strict=True):
        assert end <= 20 or start >= 25


def test_the_statistic_is_the_difference_of_means_over_its_standard_error() -> None:
    scores = np.array([0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0])
    windows = scan.windows([0, 7]).at([4])
    whole = (windows.start == 0) & (windows.end == 7)
    expected = 2.0 / math.sqrt(1 / 4 + 1 / 3)
    assert windows.statistics(scores)[whole] == pytest.approx([expected])
    assert windows.statistics(-scores)[whole] == pytest.approx([-expected])


def test_the_p_value_is_that_of_counting_the_permutations() -> None:
    # Of the 252 ways to arrange five zeros and five ones, two separate them.
    scores = np.array([0.0] * 5 + [1.0] * 5)
    clearest = math.sqrt(5 / 2)
    p = scan.p_value(
        scores,
        [0, 10],
        clearest,
        level=1.0,
        permutations=20_000,
        random=np.random.default_rng(1),
    )
    assert p == pytest.approx(2 / 252, rel=0.3)


def test_a_short_segment_is_compared_with_the_noise_of_the_whole_series() -> None:
    # Of eight values alone, 2 in 70 permutations separate the four largest.
    random = np.random.default_rng(1)
    scores = np.concatenate([random.standard_normal(40), [-4.0] * 4, [4.0] * 4])
    at_split = scan.windows([0, 40, 48]).at([44])
    largest = float(at_split.statistics(scores).max())
    p = scan.p_value(scores, [0, 40, 48], largest, level=0.01, permutations=999, random=random)
    assert p == 1 / 1000


def test_the_search_stops_when_the_level_is_out_of_reach() -> None:
    scores = np.random.default_rng(1).standard_normal(50)
    p = scan.p_value(
        scores,
        [0, 50],
        0.0,
        level=0.01,
        permutations=9999,
        random=np.random.default_rng(1),
    )
    assert 0.01 < p < 1.0
