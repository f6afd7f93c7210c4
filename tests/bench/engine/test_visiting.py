import pytest

from bench.engine.visiting import VISIT_S, timed_iterations


@pytest.mark.parametrize(
    ("latency_s", "timed"),
    [(0.0, 20), (0.001, 20), (VISIT_S / 4, 4), (0.09, 2), (0.3, 1), (10.0, 1)],
)
def test_iterations_follow_from_the_latency(latency_s: float, timed: int) -> None:
    assert timed_iterations(latency_s) == timed
