import random

import pytest

from bench.cells import waves
from bench.engine import visit_policy
from bench.engine.visit_policy import ALTERNATING, BLOCKS, MOST_ITERATIONS, SHORT, VisitPolicy
from bench.machine import environment
from tests.bench import runs


@pytest.mark.parametrize("way", [SHORT, BLOCKS])
def test_iterations_follow_from_the_latency(way: VisitPolicy) -> None:
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
    device: str, name: str, expected: VisitPolicy
) -> None:
    assert visit_policy.choose(device, name, versions=False, system="Linux") is expected
    assert visit_policy.choose(device, name, versions=False, system="Darwin") is BLOCKS


def test_where_versions_of_one_network_are_compared_nothing_is_dropped() -> None:
    found = visit_policy.choose("cpu", "pinned", versions=True, system="Linux")
    assert found is ALTERNATING
    assert found.dropped(0.001) == found.dropped(0.02) == found.dropped(1.0) == 0
    assert found.timed(0.02) == SHORT.timed(0.02)
    for device, name, system in (
        ("cuda:0", "pinned", "Linux"),
        ("cpu", "default", "Linux"),
        ("cpu", "pinned", "Darwin"),
    ):
        assert visit_policy.choose(device, name, versions=True, system=system) is BLOCKS


def test_the_pinned_environment_keeps_threads_from_spinning() -> None:
    assert "GOMP_SPINCOUNT" in environment.for_workers({})
    assert "GOMP_SPINCOUNT" not in environment.for_workers({}, "default")


GROUP = (runs.EAGER, runs.COMPILED, runs.REFERENCE_EAGER)
REFERENCE = runs.REFERENCE_EAGER


def orders(*, against_base: bool) -> list[list[str]]:
    wave = waves.whole(GROUP, REFERENCE, against_base=against_base)
    return [
        [
            cell.id
            for cell in visit_policy.order(
                wave.cells, random.Random(seed), against_base=against_base
            )
        ]
        for seed in range(200)
    ]


def test_head_and_base_of_a_gate_s_cell_are_visited_one_after_the_other() -> None:
    found = orders(against_base=True)
    first = set()
    for order in found:
        places = {name: place for place, name in enumerate(order)}
        assert len(places) == len(order) == 7
        for cell in (runs.EAGER, runs.COMPILED):
            assert abs(places[cell.id] - places[waves.base(cell).id]) == 1
        reference, base = places[REFERENCE.id], places[waves.base(REFERENCE).id]
        control = places[waves.control(REFERENCE).id]
        assert abs(reference - base) == 1
        assert max(abs(control - reference), abs(control - base)) == 2
        first.add(order[0])
    assert len(first) == 7  # each of them comes first in some order


def test_cells_of_one_mode_are_visited_one_after_the_other() -> None:
    for order in orders(against_base=False):
        eager = [place for place, name in enumerate(order) if "/eager/" in name]
        assert len(eager) == 3
        assert max(eager) - min(eager) == 2


def test_the_order_is_random_within_a_mode_and_of_modes() -> None:
    assert len(set(map(tuple, orders(against_base=False)))) == 2 * 6
