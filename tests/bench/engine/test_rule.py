from dataclasses import replace

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine.rule import UntilPrecise
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Failure
from tests.bench import runs
from tests.bench.engine.running import plan

REFERENCE, OTHER = runs.REFERENCE_EAGER, runs.EAGER
CONTROL = waves.control(REFERENCE)
COMPILED, REFERENCE_COMPILED = runs.COMPILED, replace(REFERENCE, mode="compile")
PLAN = plan(REFERENCE, OTHER, COMPILED, REFERENCE_COMPILED, sets=2, reference_arch=runs.REFERENCE)


def wanted(set_index: int, *failed: Cell) -> set[Cell]:
    """After sets whose ratios never get precise, for nothing was measured in them."""
    found = Outcome(PLAN)
    for cell in failed:
        failure = Failure(kind="error", message="", phase="preparing", set_index=0)
        found.apply(events.Failed(cell=cell.id, failure=failure))
    return set(UntilPrecise().wanted(found, REFERENCE.group, set_index))


@pytest.mark.parametrize("set_index", [0, 1, 2, 20])
def test_sets_are_wanted_until_ratios_are_precise(set_index: int) -> None:
    assert wanted(set_index) == {*PLAN.cells, CONTROL}


def test_without_the_reference_no_more_sets_are_wanted_than_were_asked_for() -> None:
    failed = (REFERENCE, REFERENCE_COMPILED)
    assert wanted(1, *failed) >= {OTHER, COMPILED}
    assert wanted(2, *failed) == set()


def test_a_reference_of_the_same_mode_leaves_a_ratio_to_make_precise() -> None:
    assert wanted(2, REFERENCE) >= {COMPILED, REFERENCE_COMPILED}
    assert wanted(2, REFERENCE, COMPILED) == set()


def test_where_all_that_is_compared_has_failed_the_control_is_left() -> None:
    assert wanted(2, OTHER, COMPILED, REFERENCE_COMPILED) >= {REFERENCE, CONTROL}
    assert wanted(2, OTHER, COMPILED, REFERENCE_COMPILED, CONTROL) == set()


@pytest.mark.parametrize("set_index", [0, 1])
def test_the_control_of_a_reference_that_failed_is_not_wanted(set_index: int) -> None:
    assert CONTROL not in wanted(set_index, REFERENCE)
