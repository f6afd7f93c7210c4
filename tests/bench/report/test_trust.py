import math
from dataclasses import replace

import pytest

from bench.records.record import CellRecord, RunRecord
from bench.report import markdown, trust
from tests.bench import runs


def slower(record: CellRecord, by: float) -> CellRecord:
    visits = (
        replace(visit, host_s=tuple(sample * by for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


def of_one_group(run: RunRecord) -> trust.Trust:
    return next(found for found in trust.of(run) if found.group == runs.EAGER.group)


def test_a_good_run_says_so() -> None:
    found = of_one_group(runs.small())
    assert found.reference == "torchvision eager"
    assert found.control.estimate == pytest.approx(1)
    assert found.rounds == runs.SETS * runs.ROUNDS
    assert (found.voided_share, found.is_busy) == (0, False)
    assert found.foreign_cpus == pytest.approx(runs.FOREIGN_CPUS)


def test_a_control_that_differs_marks_the_run() -> None:
    run = runs.small()
    run = replace(run, controls=(slower(run.controls[0], 1.25), run.controls[1]))
    found = of_one_group(run)
    assert found.control.estimate == pytest.approx(1 / 1.25)
    assert found.control_contains_1 is False
    (warning,) = trust.warnings(run)
    assert "do not trust these figures" in warning
    assert "by a factor of 0.800" in warning
    assert f"**Warning:** {warning[:20]}" in markdown.render(run)


def test_one_set_is_too_few_for_a_control() -> None:
    run = runs.small()
    control = run.controls[0]
    once = replace(control, visits=tuple(v for v in control.visits if v.set_index == 0))
    assert of_one_group(replace(run, controls=(once,))).control_contains_1 is None
    assert "too few sets" in markdown.render(replace(run, controls=(once,)))


def test_disturbed_iterations_are_a_share_of_those_timed() -> None:
    run = runs.small()
    assert math.isnan(of_one_group(run).disturbed_share)
    assert "disturbed" not in markdown.render(run)
    half = tuple(
        replace(
            record,
            visits=tuple(replace(visit, disturbed_s=visit.host_s) for visit in record.visits),
        )
        for record in run.cells
    )
    voided = tuple(replace(visit, voided=True) for visit in run.controls[0].visits)
    controls = (replace(run.controls[0], visits=voided), *run.controls[1:])
    run = replace(run, cells=half, controls=controls)
    assert of_one_group(run).disturbed_share == 0.5
    assert "iterations disturbed" in markdown.render(run)


@pytest.mark.parametrize(("voided", "busy"), [(1, False), (2, True), (6, True)])
def test_a_busy_machine_marks_the_run(voided: int, busy: bool) -> None:
    run = runs.small()
    rounds = [
        replace(found, voided=index < voided, foreign_cpus=1.5)
        for index, found in enumerate(runs.rounds(runs.EAGER))
    ]
    run = replace(run, rounds=tuple(rounds))
    assert of_one_group(run).voided_share == voided / len(rounds)
    sentences = [one for one in trust.warnings(run) if "the machine was too busy" in one]
    assert bool(sentences) is busy


@pytest.mark.parametrize(
    ("counted", "sentence"),
    [
        ("recompiled_graphs", "compiled 2 more graphs while it was measured."),
        ("recompiled_in_warm_up", "compiled 2 more graphs while it was warmed up."),
        ("cudagraph_skips", "Inductor cannot replay 2 of its graphs as CUDA graphs."),
    ],
)
def test_what_a_worker_counted_is_noted_and_not_said_twice(counted: str, sentence: str) -> None:
    run = runs.small()
    setups = (runs.setup(0), {**runs.setup(1), counted: 2})
    cells = [replace(record, setups=setups) for record in run.cells[:1]]
    noted = f"{cells[0].cell.id}: {sentence}"
    assert noted in trust.notes(replace(run, cells=tuple(cells)))
    failed = replace(cells[0], failure=replace(runs.FAILURE, kind="recompiled"))
    assert noted not in trust.notes(replace(run, cells=(failed,)))


def test_precision_is_the_widest_ratio_s() -> None:
    run = runs.small()
    cells = tuple(record for record in run.cells if record.cell != runs.UNVISITED)
    precise = replace(run, cells=cells)
    assert of_one_group(precise).is_precise
    assert not of_one_group(run).is_precise  # one has no interval at all


def test_where_no_precision_was_asked_for_none_is_claimed() -> None:
    run = replace(runs.small(), plan={**runs.small().plan, "precision": 1.0})
    assert set(trust.table(trust.of(run))["is_precise"]) == {"not asked for"}
