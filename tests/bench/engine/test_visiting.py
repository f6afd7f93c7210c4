import pytest

from bench.engine.visiting import VISIT_S, iterations_for


@pytest.mark.parametrize(
    ("latency_s", "timed"),
    [(0.0, 20), (0.001, 20), (VISIT_S / 4, 4), (0.09, 2), (0.3, 1), (10.0, 1)],
)
def test_iterations_follow_from_the_latency_and_the_first_is_dropped(
    latency_s: float, timed: int
) -> None:
    assert iterations_for(latency_s) == (1, timed)
