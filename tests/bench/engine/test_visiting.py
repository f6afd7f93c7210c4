import pytest

from bench.engine.visiting import DROPPED, VISIT_S, iterations_for


@pytest.mark.parametrize(
    ("latency_s", "timed"),
    [(0.0, 20), (0.001, 20), (VISIT_S / 4, 4), (0.09, 2), (0.3, 1), (10.0, 1)],
)
def test_iterations_follow_from_the_latency(latency_s: float, timed: int) -> None:
    dropped = 0 if latency_s > 0.1 else DROPPED
    assert iterations_for(latency_s) == (dropped, timed)
