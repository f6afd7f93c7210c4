import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from bench.records.record import CellRecord, RunRecord
from bench.trust import assessment, wording
from tests.bench import runs
from tests.bench.report.rendered import markdown


def eager_group(run: RunRecord) -> assessment.Trust:
    return next(group for group in assessment.assess(run) if group.group == runs.EAGER.group)


def test_a_good_run_is_trusted() -> None:
    group = eager_group(runs.small())
    assert group.reference == "torchvision eager"
    assert group.control.estimate == pytest.approx(1)
    assert group.rounds == runs.SETS * runs.ROUNDS
    assert (group.voided_share, group.is_busy) == (0, False)
    assert group.foreign_cpus == pytest.approx(runs.FOREIGN_CPUS)


@pytest.mark.parametrize(
    ("logs", "contains_1"),
    [
        # Three sets have two degrees of freedom, so the 95 % interval reaches 4.30 standard errors,
        # and the 99 % interval 9.92. The error here is 0.01 / √3.
        ((0.01, 0.02, 0.03), True),  # 3.5 errors from 0
        ((0.02, 0.03, 0.04), True),  # 5.2 errors
        ((0.05, 0.06, 0.07), False),  # 10.4 errors
    ],
)
def test_the_control_is_judged_with_a_confidence_of_99_percent(
    logs: tuple[float, ...], contains_1: bool
) -> None:
    run = runs.small()

    def with_sets(record: CellRecord, factors: Sequence[float]) -> CellRecord:
        visits = tuple(
            replace(visit, set_index=index, host_s=tuple(factor * s for s in visit.host_s))
            for index, factor in enumerate(factors)
            for visit in record.visits
            if visit.set_index == 0
        )
        return replace(record, visits=visits)

    reference = with_sets(run.cells[0], (1.0, 1.0, 1.0))
    control = with_sets(run.controls[0], tuple(map(math.exp, logs)))
    run = replace(run, cells=(reference, *run.cells[1:]), controls=(control,))
    assert eager_group(run).control.sets == 3
    assert eager_group(run).control_contains_1 is contains_1


def test_a_group_that_did_not_start_is_not_judged() -> None:
    run = runs.small()
    control = replace(run.controls[0], visits=())
    rounds = tuple(round_ for round_ in run.rounds if round_.group != control.cell.group)
    run = replace(run, controls=(control, run.controls[1]), rounds=rounds)
    assert [group.group for group in assessment.assess(run)] == [run.controls[1].cell.group]


def test_disturbed_share_is_relative_to_all_timed_iterations() -> None:
    run = runs.small()
    assert math.isnan(eager_group(run).disturbed_share)
    assert "iterations disturbed" not in markdown(run)
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
    assert eager_group(run).disturbed_share == 0.5
    assert "iterations disturbed" in markdown(run)


@pytest.mark.parametrize(("disturbed", "of_iterations"), [(1, 4), (3, 10)])
def test_more_than_a_quarter_of_disturbed_iterations_limits_the_trust(
    disturbed: int, of_iterations: int
) -> None:
    run = runs.small()

    def with_disturbed(record: CellRecord) -> CellRecord:
        samples = tuple(0.01 for _ in range(of_iterations))
        visits = (
            replace(visit, host_s=samples[disturbed:], disturbed_s=samples[:disturbed])
            for visit in record.visits
        )
        return replace(record, visits=tuple(visits))

    run = replace(
        run,
        cells=tuple(map(with_disturbed, run.cells)),
        controls=tuple(map(with_disturbed, run.controls)),
    )
    assert eager_group(run).disturbed_share == disturbed / of_iterations
    names = {group.group: "" for group in assessment.assess(run)}
    limits = "often disturbed by other processes" in wording.verdict(run, names)
    assert limits is (disturbed / of_iterations > 0.25)


def test_a_run_is_precise_if_its_widest_ratio_is() -> None:
    run = runs.small()
    cells = tuple(record for record in run.cells if record.cell != runs.UNVISITED)
    precise = replace(run, cells=cells)
    assert eager_group(precise).is_precise
    assert not eager_group(run).is_precise  # one ratio has no interval


def test_without_a_requested_precision_none_is_reported() -> None:
    run = replace(runs.small(), plan=msgspec.structs.replace(runs.small().plan, precision=1.0))
    assert set(assessment.table(assessment.assess(run))["is_precise"]) == {"not requested"}
