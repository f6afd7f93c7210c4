import random

import pytest

from bench.cells import waves
from bench.engine.local import visit_policy
from bench.engine.local.visit_policy import ALTERNATING, BLOCKS, MAX_ITERATIONS, SHORT, VisitPolicy
from bench.machine import pinned
from tests.bench import runs


@pytest.mark.parametrize("policy", [SHORT, BLOCKS])
def test_the_number_of_iterations_depends_on_the_latency(policy: VisitPolicy) -> None:
    assert policy.timed(0.0) == policy.timed(1e-3 * policy.visit_s) == MAX_ITERATIONS
    assert policy.timed(policy.visit_s / 4) == 4
    assert policy.timed(0.55 * policy.visit_s) == 2
    assert policy.timed(2 * policy.visit_s) == policy.timed(10.0) == 1


def test_the_first_iteration_is_dropped_for_fast_networks() -> None:
    assert SHORT.dropped(0.02) == BLOCKS.dropped(0.02) == BLOCKS.dropped(1.0) == 1
    assert SHORT.dropped(0.3) == 0


def test_the_expected_time_of_a_visit_is_that_of_its_iterations() -> None:
    assert SHORT.expected_s(0.02, dropped=1) == pytest.approx(2 * 0.02)
    assert SHORT.expected_s(0.3, dropped=0) == 0.3
    assert BLOCKS.expected_s(0.08, dropped=1) == pytest.approx(3 * 0.08)


@pytest.mark.parametrize(
    ("device", "name", "expected"),
    [("cpu", "pinned", SHORT), ("cpu", "default", BLOCKS), ("cuda:0", "pinned", BLOCKS)],
)
def test_visits_are_short_if_threads_do_not_spin(
    device: str, name: str, expected: VisitPolicy
) -> None:
    assert visit_policy.choose(device, name, versions=False, system="Linux") is expected
    assert visit_policy.choose(device, name, versions=False, system="Darwin") is BLOCKS


def test_nothing_is_dropped_if_versions_of_one_network_are_compared() -> None:
    chosen = visit_policy.choose("cpu", "pinned", versions=True, system="Linux")
    assert chosen is ALTERNATING
    assert chosen.dropped(0.001) == chosen.dropped(0.02) == chosen.dropped(1.0) == 0
    assert chosen.timed(0.02) == SHORT.timed(0.02)
    for device, name, system in (
        ("cuda:0", "pinned", "Linux"),
        ("cpu", "default", "Linux"),
        ("cpu", "pinned", "Darwin"),
    ):
        assert visit_policy.choose(device, name, versions=True, system=system) is BLOCKS


def test_the_pinned_environment_stops_threads_from_spinning() -> None:
    assert "GOMP_SPINCOUNT" in pinned.for_workers({})
    assert "GOMP_SPINCOUNT" not in pinned.for_workers({}, "default")


GROUP = (runs.EAGER, runs.COMPILED, runs.REFERENCE_EAGER)
REFERENCE = runs.REFERENCE_EAGER


def orders(*, against_base: bool) -> list[list[str]]:
    wave = waves.single_wave(GROUP, REFERENCE, against_base=against_base)
    return [
        [
            cell.id
            for cell in visit_policy.order(
                wave.cells, random.Random(seed), against_base=against_base
            )
        ]
        for seed in range(200)
    ]


def test_head_and_base_of_a_cell_in_a_gate_are_visited_one_after_the_other() -> None:
    drawn = orders(against_base=True)
    first = set()
    for order in drawn:
        places = {name: place for place, name in enumerate(order)}
        assert len(places) == len(order) == 7
        for cell in (runs.EAGER, runs.COMPILED):
            assert abs(places[cell.id] - places[waves.base(cell).id]) == 1
        reference, base = places[REFERENCE.id], places[waves.base(REFERENCE).id]
        control = places[waves.control(REFERENCE).id]
        assert abs(reference - base) == 1
        assert max(abs(control - reference), abs(control - base)) == 2
        first.add(order[0])
    assert len(first) == 7  # each cell comes first in some order


def test_cells_of_one_mode_are_visited_one_after_the_other() -> None:
    for order in orders(against_base=False):
        eager = [place for place, name in enumerate(order) if "/eager/" in name]
        assert len(eager) == 3
        assert max(eager) - min(eager) == 2


def test_the_order_of_modes_and_of_cells_within_a_mode_is_random() -> None:
    assert len(set(map(tuple, orders(against_base=False)))) == 2 * 6
