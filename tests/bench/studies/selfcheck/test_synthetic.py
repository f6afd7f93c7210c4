from collections.abc import Sequence
from itertools import chain

import pytest

from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.records import events
from bench.records.events import Event
from bench.records.outcome import Outcome
from bench.studies.selfcheck import synthetic
from bench.studies.selfcheck.synthetic import AT_ONCE, ITERATIONS, MODES, ROUNDS, Size

# More than AT_ONCE cells in one group, which is therefore measured in waves.
ONE_GROUP = Size(cells=2 * AT_ONCE, groups=1, samples=5_000)
GROUPS = Size(cells=20, groups=5, samples=1_234)


def events_of(size: Size) -> Sequence[Event]:
    return list(chain.from_iterable(synthetic.sets(synthetic.plan_of(size), size.samples)))


@pytest.mark.parametrize("size", [ONE_GROUP, GROUPS])
def test_a_plan_has_the_requested_cells_and_groups(size: Size) -> None:
    plan = synthetic.plan_of(size)
    assert len(set(plan.cells)) == size.cells
    assert len(plan.groups) == size.groups
    assert {len(cells) for cells in plan.groups.values()} == {size.cells // size.groups}


@pytest.mark.parametrize(("cells", "groups"), [(9, 1), (20, 3), (2, 2)])
def test_cells_that_do_not_divide_into_groups_are_refused(cells: int, groups: int) -> None:
    with pytest.raises(RequestError):
        synthetic.plan_of(Size(cells=cells, groups=groups, samples=1))


@pytest.mark.parametrize("size", [ONE_GROUP, GROUPS])
def test_a_run_has_the_requested_number_of_samples(size: Size) -> None:
    visits = [event for event in events_of(size) if isinstance(event, events.Visited)]
    assert sum(len(visit.host_s) for visit in visits) == size.samples
    assert all(len(visit.host_s) == ITERATIONS for visit in visits[:-1])


def test_the_same_size_gives_the_same_events() -> None:
    assert events_of(GROUPS) == events_of(GROUPS)


def test_no_wave_has_more_workers_than_memory_holds() -> None:
    plan = synthetic.plan_of(ONE_GROUP)
    (waves,) = synthetic.waves_of(plan).values()
    assert len(waves) > 1
    assert all(len(wave.cells) <= AT_ONCE for wave in waves)
    (reference,) = plan.references.values()
    own = [cell for wave in waves for cell in wave.own]
    assert sorted(own, key=by_id) == sorted(set(plan.cells) - {reference}, key=by_id)


def test_the_events_have_the_planned_waves() -> None:
    outcome = Outcome.from_events(events_of(ONE_GROUP))
    assert {name: list(waves) for name, waves in outcome.waves.items()} == synthetic.waves_of(
        outcome.plan
    )


def test_a_set_visits_every_cell_and_the_reference_and_control_in_each_wave() -> None:
    outcome = Outcome.from_events(events_of(ONE_GROUP))
    (waves,) = outcome.waves.values()
    visits = {
        record.cell: sum(visit.set_index == 0 for visit in record.visits)
        for record in (*outcome.records(), *outcome.controls())
    }
    (reference,), (control,) = outcome.plan.references.values(), outcome.plan.controls
    for cell in outcome.plan.cells:
        wave_count = sum(cell in wave.cells for wave in waves)
        assert visits[cell] == wave_count * ROUNDS
    assert visits[control] == visits[reference] == len(waves) * ROUNDS


def test_all_modes_have_the_same_archs() -> None:
    by_mode = {
        mode: [cell.arch for cell in synthetic.plan_of(GROUPS).cells if cell.mode == mode]
        for mode in MODES
    }
    assert len({tuple(archs) for archs in by_mode.values()}) == 1


def by_id(cell: Cell) -> str:
    return cell.id
