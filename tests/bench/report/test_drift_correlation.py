"""A machine that is slow in some sets, and slows compiled code less than it slows eager's."""

import math
import random
from dataclasses import replace

import pytest

from bench.records.record import CellRecord, RunRecord, Visit
from bench.report import drift_correlation
from tests.bench import runs
from tests.bench.report import rungs

SETS, NOISE = 8, 0.005
STATES = (1.0, 1.15, 1.02, 1.18, 1.0, 1.12, 1.16, 1.01)  # of the machine, set by set


def measured(record: CellRecord, latency_s: float, power: float) -> CellRecord:
    """A cell that the machine's state slows by itself to some power."""
    drawn = random.Random(record.cell.id)
    visits = tuple(
        Visit(
            set_index=index,
            round_index=number,
            host_s=(latency_s * state**power * math.exp(drawn.gauss(0, NOISE)),),
        )
        for index, state in enumerate(STATES)
        for number in range(3)
    )
    return replace(record, visits=visits)


def run(power: float) -> RunRecord:
    of_modes = rungs.ladder(("eager", "compile"))
    return replace(
        of_modes,
        cells=tuple(
            measured(record, 0.03, 1.0)
            if record.cell.mode == "eager"
            else measured(record, 0.015, power)
            for record in of_modes.cells
        ),
        controls=tuple(measured(record, 0.03, 1.0) for record in of_modes.controls),
    )


def test_ratios_that_go_with_the_machine_are_named_with_both_values() -> None:
    (said,) = drift_correlation.sentences(run(0.5))
    assert "torchvision in compile 2.1" in said  # 30 ms to 15, and the state's root besides
    assert " and 2.0" in said
    assert "googlenet in eager" not in said
    assert "torchvision in eager took 34." in said


def test_a_cell_that_has_only_the_quicker_sets_spoils_nothing() -> None:
    whole = run(0.5)
    quick = [index for index, state in enumerate(STATES) if state < 1.1]
    cells = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index in quick))
        if (record.cell.arch, record.cell.mode) == ("googlenet-3x3", "compile")
        else record
        for record in whole.cells
    )
    (said,) = drift_correlation.sentences(replace(whole, cells=cells))
    assert "torchvision in compile 2.1" in said


def test_what_the_reference_s_processes_did_is_no_state_of_the_machine() -> None:
    """Of each set's reference and control, which are forked from one process."""
    steady = run(1.0)
    odd = [1.0, 1.08, 0.95, 1.1, 0.97, 1.05, 0.92, 1.0]

    def changed(record: CellRecord) -> CellRecord:
        visits = tuple(
            replace(visit, host_s=tuple(odd[visit.set_index] * one for one in visit.host_s))
            for visit in record.visits
        )
        return replace(record, visits=visits)

    cells = tuple(
        changed(record) if record.cell == rungs.cell("torchvision") else record
        for record in steady.cells
    )
    controls = tuple(map(changed, steady.controls))
    assert list(drift_correlation.sentences(replace(steady, cells=cells, controls=controls))) == []


def test_drift_that_slows_all_cells_alike_is_none() -> None:
    assert list(drift_correlation.sentences(run(1.0))) == []


def test_too_few_sets_tell_nothing() -> None:
    few = run(0.5)
    cut = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index < 4))
        for record in few.cells
    )
    assert list(drift_correlation.sentences(replace(few, cells=cut))) == []


@pytest.mark.parametrize("controls", [(), runs.small().controls[1:]])
def test_without_a_control_there_is_no_reference(controls: tuple[CellRecord, ...]) -> None:
    assert list(drift_correlation.sentences(replace(run(0.5), controls=controls))) == []
