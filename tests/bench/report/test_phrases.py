import math

import pytest

from bench.means import Interval
from bench.report.phrases import percent_change, ratio_text


def interval(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, sets=9)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (interval(1.021, 1.005, 1.038), "2.1 % (0.5–3.8) more latency"),
        (interval(0.94, 0.92, 0.96), "6.0 % (4.0–8.0) less latency"),
        # With one decimal, these ends would look like no difference.
        (interval(0.983, 0.9667, 0.9996), "1.70 % (0.04–3.33) less latency"),
        (interval(1.01, 1.000_004, 1.02), "1.0000 % (0.0004–2.0000) more latency"),
        # No difference is shown.
        (interval(0.99, 0.97, 1.01), "1.0 % (−1.0 to 3.0) less latency"),
        (interval(1.0, 0.9999, 1.0001), "0.0 % (0.0–0.0) more latency"),
    ],
)
def test_a_change_in_percent_shows_on_which_side_of_none_its_interval_is(
    ratio: Interval, text: str
) -> None:
    assert percent_change(ratio) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (interval(1.81, 1.79, 1.83), "1.81 (1.79–1.83)"),
        (interval(0.98, 0.96, 0.998), "0.980 (0.960–0.998)"),
        (interval(1.003, 1.0004, 1.006), "1.0030 (1.0004–1.0060)"),
        (interval(1.0, 0.998, 1.003), "1.00 (1.00–1.00)"),
        (interval(1.0, 1.0, 1.0), "1.00 (1.00–1.00)"),
        (Interval(estimate=1.2, low=math.nan, high=math.nan, sets=1), "1.20 (1 set)"),
    ],
)
def test_an_end_of_a_ratio_looks_equal_to_1_only_if_no_difference_is_shown(
    ratio: Interval, text: str
) -> None:
    assert ratio_text(ratio) == text
