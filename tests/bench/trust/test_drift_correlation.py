"""The synthetic machine is slow in some sets, and slows compiled code less than eager code."""

import math
import random
from dataclasses import replace

import pandas as pd
import pytest

from bench.records.record import CellRecord, RunRecord, Visit
from bench.trust import drift_correlation
from tests.bench import runs
from tests.bench.report import rungs

SETS, NOISE = 8, 0.005
STATES = (1.0, 1.15, 1.02, 1.18, 1.0, 1.12, 1.16, 1.01)  # slowness of the machine per set


def measured(record: CellRecord, latency_s: float, power: float, *, seed: int = 0) -> CellRecord:
    """Return a cell that the machine slows by its state to the power ``power``."""
    rng = random.Random(f"{record.cell.id}{seed or ''}")
    visits = tuple(
        Visit(
            set_index=index,
            round_index=number,
            host_s=(latency_s * state**power * math.exp(rng.gauss(0, NOISE)),),
        )
        for index, state in enumerate(STATES)
        for number in range(3)
    )
    return replace(record, visits=visits)


def run(power: float, *, seed: int = 0) -> RunRecord:
    of_modes = rungs.ladder(("eager", "compile"))
    return replace(
        of_modes,
        cells=tuple(
            measured(record, 0.03, 1.0, seed=seed)
            if record.cell.mode == "eager"
            else measured(record, 0.015, power, seed=seed)
            for record in of_modes.cells
        ),
        controls=tuple(measured(record, 0.03, 1.0, seed=seed) for record in of_modes.controls),
    )


def test_ratios_that_correlate_with_the_machine_are_named_with_both_values() -> None:
    (sentence,) = drift_correlation.sentences(run(0.5))
    assert "torchvision in compile 2.1" in sentence  # 30 ms / 15 ms times the root of the state
    assert " and 2.0" in sentence
    assert "googlenet in eager" not in sentence
    assert "The latency of torchvision in eager was 34." in sentence


def test_a_cell_that_has_only_the_faster_sets_does_not_disturb_the_result() -> None:
    complete = run(0.5)
    fast = [index for index, state in enumerate(STATES) if state < 1.1]
    cells = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index in fast))
        if (record.cell.arch, record.cell.mode) == ("googlenet-3x3", "compile")
        else record
        for record in complete.cells
    )
    (sentence,) = drift_correlation.sentences(replace(complete, cells=cells))
    assert "torchvision in compile 2.1" in sentence


def test_noise_of_the_reference_processes_is_not_a_state_of_the_machine() -> None:
    """The reference and its control in a set are forked from one process and share its noise."""
    steady = run(1.0)
    noise = [1.0, 1.08, 0.95, 1.1, 0.97, 1.05, 0.92, 1.0]

    def changed(record: CellRecord) -> CellRecord:
        visits = tuple(
            replace(visit, host_s=tuple(noise[visit.set_index] * sample for sample in visit.host_s))
            for visit in record.visits
        )
        return replace(record, visits=visits)

    cells = tuple(
        changed(record) if record.cell == rungs.cell("torchvision") else record
        for record in steady.cells
    )
    controls = tuple(map(changed, steady.controls))
    assert list(drift_correlation.sentences(replace(steady, cells=cells, controls=controls))) == []


def test_drift_that_slows_all_cells_alike_is_not_reported() -> None:
    assert list(drift_correlation.sentences(run(1.0))) == []


def test_one_unaffected_group_in_twenty_is_a_false_alarm() -> None:
    """All ratios of a group together have this level, not each of them."""
    alarms = sum(
        len(list(drift_correlation.sentences(run(1.0, seed=seed)))) for seed in range(1, 41)
    )
    assert alarms <= 6  # of 40; at most 2 are expected, and 16 if each ratio had the level


@pytest.mark.parametrize(("sets", "count"), [(4, 0), (5, 1)])
def test_too_few_sets_give_no_result(sets: int, count: int) -> None:
    few = run(0.2)
    cut = tuple(
        replace(record, visits=tuple(v for v in record.visits if v.set_index < sets))
        for record in few.cells
    )
    assert len(list(drift_correlation.sentences(replace(few, cells=cut)))) == count


@pytest.mark.parametrize("controls", [(), runs.small().controls[1:]])
def test_without_a_control_there_is_no_result(controls: tuple[CellRecord, ...]) -> None:
    assert list(drift_correlation.sentences(replace(run(0.5), controls=controls))) == []


def test_the_state_of_the_machine_is_the_median_of_the_other_cells() -> None:
    slowness = pd.DataFrame(
        {"a": [9.0, -9.0], "b": [8.0, -8.0], "c": [0.1, 0.4], "d": [0.2, 0.5], "e": [0.3, 0.6]}
    )
    assert drift_correlation._state(slowness, ["a", "b"]) == {0: 0.2, 1: 0.5}
