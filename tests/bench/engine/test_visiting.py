import pytest

from bench.engine import visiting
from bench.engine.visiting import BLOCKS, MOST_ITERATIONS, SHORT, Visiting
from bench.machine import environment


@pytest.mark.parametrize("way", [SHORT, BLOCKS])
def test_iterations_follow_from_the_latency(way: Visiting) -> None:
    assert way.timed(0.0) == way.timed(1e-3 * way.visit_s) == MOST_ITERATIONS
    assert way.timed(way.visit_s / 4) == 4
    assert way.timed(0.55 * way.visit_s) == 2
    assert way.timed(2 * way.visit_s) == way.timed(10.0) == 1


def test_the_first_iteration_is_dropped_where_it_costs_a_share_that_counts() -> None:
    assert SHORT.dropped(0.02) == BLOCKS.dropped(0.02) == BLOCKS.dropped(1.0) == 1
    assert SHORT.dropped(0.3) == 0


def test_a_visit_should_take_what_its_iterations_take() -> None:
    assert SHORT.expected_s(0.02, dropped=1) == pytest.approx(2 * 0.02)
    assert SHORT.expected_s(0.3, dropped=0) == 0.3
    assert BLOCKS.expected_s(0.08, dropped=1) == pytest.approx(3 * 0.08)


@pytest.mark.parametrize(
    ("device", "name", "expected"),
    [("cpu", "pinned", SHORT), ("cpu", "default", BLOCKS), ("cuda:0", "pinned", BLOCKS)],
)
def test_visits_are_short_where_threads_do_not_spin(
    device: str, name: str, expected: Visiting
) -> None:
    assert visiting.of(device, name, "Linux") is expected
    assert visiting.of(device, name, "Darwin") is BLOCKS


def test_the_pinned_environment_keeps_threads_from_spinning() -> None:
    assert "GOMP_SPINCOUNT" in environment.for_workers({})
    assert "GOMP_SPINCOUNT" not in environment.for_workers({}, "default")
