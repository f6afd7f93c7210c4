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
    return next(found for found in trust.assess(run) if found.group == runs.EAGER.group)


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


@pytest.mark.parametrize("died_after", [0, runs.ROUNDS])
def test_a_run_whose_control_failed_is_still_judged_by_its_rounds(died_after: int) -> None:
    run = runs.small()
    control = replace(
        run.controls[0], visits=run.controls[0].visits[:died_after], failure=runs.FAILURE
    )
    busy = tuple(replace(found, voided=True) for found in run.rounds)
    run = replace(run, controls=(control, run.controls[1]), rounds=busy)
    found = of_one_group(run)
    assert found.is_busy
    assert found.control_contains_1 is None
    said = [one for one in trust.warnings(run) if one.startswith(found.group)]
    assert "the machine was too busy" in said[0]
    assert f"has none: {runs.FAILURE.message}" in said[1]
    assert "| no control" in markdown.render(run)


def test_a_group_that_never_began_is_not_judged() -> None:
    run = runs.small()
    control = replace(run.controls[0], visits=())
    rounds = tuple(found for found in run.rounds if found.group != control.cell.group)
    run = replace(run, controls=(control, run.controls[1]), rounds=rounds)
    assert [found.group for found in trust.assess(run)] == [run.controls[1].cell.group]


def test_one_set_is_too_few_for_a_control() -> None:
    run = runs.small()
    control = slower(run.controls[0], 1.25)
    once = replace(control, visits=tuple(v for v in control.visits if v.set_index == 0))
    run = replace(run, controls=(once,))
    assert of_one_group(run).control_contains_1 is None
    assert "too few sets" in markdown.render(run)
    (warning,) = trust.warnings(run)
    assert "of one set no interval is known" in warning
    assert "by a factor of 0.800." in warning


def test_a_run_whose_reference_failed_says_that_nothing_is_compared() -> None:
    run = runs.small()
    failed = replace(run.cells[0], failure=runs.FAILURE)
    said = list(trust.warnings(replace(run, cells=(failed, *run.cells[1:]))))
    assert said == [
        f"{runs.EAGER.group}: nothing is compared: torchvision eager, which ratios are to, has no "
        "figures."
    ]


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


def test_precision_is_the_widest_ratio_s() -> None:
    run = runs.small()
    cells = tuple(record for record in run.cells if record.cell != runs.UNVISITED)
    precise = replace(run, cells=cells)
    assert of_one_group(precise).is_precise
    assert not of_one_group(run).is_precise  # one has no interval at all


def test_where_no_precision_was_asked_for_none_is_claimed() -> None:
    run = replace(runs.small(), plan={**runs.small().plan, "precision": 1.0})
    assert set(trust.table(trust.assess(run))["is_precise"]) == {"not asked for"}
