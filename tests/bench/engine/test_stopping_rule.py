from dataclasses import replace

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine.stopping_rule import PlannedSets, UntilPrecise
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Failure
from tests.bench import runs
from tests.bench.engine.running import plan
from tests.bench.records.test_outcome import ended, visited

REFERENCE, OTHER = runs.REFERENCE_EAGER, runs.EAGER
CONTROL = waves.control(REFERENCE)
COMPILED, REFERENCE_COMPILED = runs.COMPILED, replace(REFERENCE, mode="compile")
PLAN = plan(REFERENCE, OTHER, COMPILED, REFERENCE_COMPILED, sets=2, reference_arch=runs.REFERENCE)


def cells_to_measure(set_index: int, *failed: Cell) -> set[Cell]:
    """Return the cells for a set after sets without visits, so that no ratio is precise."""
    outcome = Outcome(PLAN)
    for cell in failed:
        failure = Failure(kind="error", message="", phase="preparing", set_index=0)
        outcome.apply(events.Failed(cell=cell.id, failure=failure))
    return set(UntilPrecise().cells_to_measure(outcome, REFERENCE.group, set_index))


@pytest.mark.parametrize("set_index", [0, 1, 2, 20])
def test_sets_are_added_until_ratios_are_precise(set_index: int) -> None:
    assert cells_to_measure(set_index) == {*PLAN.cells, CONTROL}


def test_only_the_planned_sets_are_measured_if_all_references_failed() -> None:
    failed = (REFERENCE, REFERENCE_COMPILED)
    assert cells_to_measure(1, *failed) >= {OTHER, COMPILED}
    assert cells_to_measure(2, *failed) == set()


def test_a_reference_of_the_same_mode_is_enough_to_add_sets() -> None:
    assert cells_to_measure(2, REFERENCE) >= {COMPILED, REFERENCE_COMPILED}
    assert cells_to_measure(2, REFERENCE, COMPILED) == set()


def test_the_control_alone_is_enough_to_add_sets() -> None:
    assert cells_to_measure(2, OTHER, COMPILED, REFERENCE_COMPILED) >= {REFERENCE, CONTROL}
    assert cells_to_measure(2, OTHER, COMPILED, REFERENCE_COMPILED, CONTROL) == set()


@pytest.mark.parametrize("set_index", [0, 1])
def test_the_control_is_not_measured_if_the_reference_failed(set_index: int) -> None:
    assert CONTROL not in cells_to_measure(set_index, REFERENCE)


@pytest.mark.parametrize(("set_index", "cells"), [(0, PLAN.cells), (1, PLAN.cells), (2, ())])
def test_planned_sets_have_no_control_and_no_set_more(
    set_index: int, cells: tuple[Cell, ...]
) -> None:
    rule = PlannedSets()
    assert set(rule.cells_to_measure(Outcome(PLAN), REFERENCE.group, set_index)) == set(cells)


def measured(set_index: int, *cells: Cell, is_complete: bool = True) -> list[events.Event]:
    """Return the events of a set with one round, in which every latency is the same."""
    group = REFERENCE.group
    began: list[events.Event] = [
        events.WaveBegan(group, set_index, 0),
        *(visited(cell.id, set_index, 0, 0.5) for cell in cells),
    ]
    if not is_complete:
        return began
    return [*began, ended(group, set_index, 0), events.WaveEnded(group, set_index, 0)]


def test_a_cell_that_was_tried_again_gets_the_sets_that_it_lacks() -> None:
    others = (REFERENCE, REFERENCE_COMPILED, COMPILED, CONTROL)
    outcome = Outcome(replace(PLAN, precision=1.0))
    died = Failure(kind="died", message="gone", phase="measuring", set_index=0)
    happened = [
        *measured(0, *others),
        events.Failed(cell=OTHER.id, failure=died),
        *measured(1, *others),
        events.Resumed(),
    ]
    for event in happened:
        outcome.apply(event)
    lacking = {OTHER, REFERENCE, CONTROL}
    for set_index in (2, 3):
        assert set(UntilPrecise().cells_to_measure(outcome, REFERENCE.group, set_index)) == lacking
        for event in measured(set_index, *lacking, is_complete=False):
            outcome.apply(event)  # an incomplete set does not count
        assert set(UntilPrecise().cells_to_measure(outcome, REFERENCE.group, set_index)) == lacking
        for event in measured(set_index, *lacking):
            outcome.apply(event)
    assert set(UntilPrecise().cells_to_measure(outcome, REFERENCE.group, 4)) == set()
