import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from bench.records.record import CellRecord, RunRecord
from bench.trust import assessment, wording
from tests.bench import runs
from tests.bench.report.rendered import markdown


def slower(record: CellRecord, factor: float) -> CellRecord:
    visits = (
        replace(visit, host_s=tuple(sample * factor for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


def eager_group(run: RunRecord) -> assessment.Trust:
    return next(group for group in assessment.assess(run) if group.group == runs.EAGER.group)


def test_a_good_run_is_trusted() -> None:
    group = eager_group(runs.small())
    assert group.reference == "torchvision eager"
    assert group.control.estimate == pytest.approx(1)
    assert group.rounds == runs.SETS * runs.ROUNDS
    assert (group.voided_share, group.is_busy) == (0, False)
    assert group.foreign_cpus == pytest.approx(runs.FOREIGN_CPUS)


def test_a_control_that_differs_causes_a_warning() -> None:
    run = runs.small()
    run = replace(run, controls=(slower(run.controls[0], 1.25), run.controls[1]))
    group = eager_group(run)
    assert group.control.estimate == pytest.approx(1 / 1.25)
    assert group.control_contains_1 is False
    (warning,) = wording.warnings(run)
    assert "do not trust these figures" in warning
    assert "by a factor of 0.800" in warning
    assert f"**Warning:** {warning[:20]}" in markdown(run)


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


@pytest.mark.parametrize("died_after", [0, runs.ROUNDS])
def test_a_run_with_a_failed_control_is_judged_by_its_rounds(died_after: int) -> None:
    run = runs.small()
    control = replace(
        run.controls[0], visits=run.controls[0].visits[:died_after], failure=runs.FAILURE
    )
    busy = tuple(replace(round_, voided=True) for round_ in run.rounds)
    run = replace(run, controls=(control, run.controls[1]), rounds=busy)
    group = eager_group(run)
    assert group.is_busy
    assert group.control_contains_1 is None
    warnings = [text for text in wording.warnings(run) if text.startswith(group.group)]
    assert "the machine was too busy" in warnings[0]
    assert f"has no figures: {runs.FAILURE.message}" in warnings[1]
    assert "| no control" in markdown(run)


def test_a_group_that_did_not_start_is_not_judged() -> None:
    run = runs.small()
    control = replace(run.controls[0], visits=())
    rounds = tuple(round_ for round_ in run.rounds if round_.group != control.cell.group)
    run = replace(run, controls=(control, run.controls[1]), rounds=rounds)
    assert [group.group for group in assessment.assess(run)] == [run.controls[1].cell.group]


def test_a_run_that_ended_before_its_control_says_so() -> None:
    run = runs.small()
    run = replace(run, controls=(replace(run.controls[0], visits=()), run.controls[1]))
    assert eager_group(run).why_no_control == "the run ended before it was measured"
    (warning,) = wording.warnings(run)
    assert "has no figures: the run ended before it was measured." in warning


def test_one_set_is_too_few_for_a_control() -> None:
    run = runs.small()
    control = slower(run.controls[0], 1.25)
    once = replace(control, visits=tuple(v for v in control.visits if v.set_index == 0))
    run = replace(run, controls=(once,))
    assert eager_group(run).control_contains_1 is None
    assert "too few sets" in markdown(run)
    (warning,) = wording.warnings(run)
    assert "with one set, no interval is known" in warning
    assert "by a factor of 0.800." in warning


def test_a_failed_reference_causes_a_warning() -> None:
    run = runs.small()
    failed = replace(run.cells[0], failure=runs.FAILURE)
    warnings = list(wording.warnings(replace(run, cells=(failed, *run.cells[1:]))))
    assert warnings == [
        f"{runs.EAGER.group}: nothing is compared, because the reference, torchvision eager, has "
        "no figures."
    ]


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


@pytest.mark.parametrize(
    ("disturbed", "sentence"),
    [
        (1, "a is often disturbed by other processes"),
        (2, "a and b are often disturbed by other processes"),
        (3, "3 of 4 groups are often disturbed by other processes"),
    ],
)
def test_more_than_two_groups_with_a_limit_are_counted(disturbed: int, sentence: str) -> None:
    of = eager_group(runs.small())
    groups = [
        replace(of, group=name, precision=1.0, disturbed_share=0.5 * (index < disturbed))
        for index, name in enumerate("abcd")
    ]
    assert list(wording._limits(groups, {name: name for name in "abcd"})) == [sentence]


def test_a_group_without_a_control_is_counted() -> None:
    run = runs.small()
    run = replace(run, controls=run.controls[:1])
    assert wording.verdict(run, {}) == (
        "1 of 2 groups have a control; it is unknown whether the others can be trusted."
    )


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


@pytest.mark.parametrize(
    ("voided", "of_rounds", "busy"),
    [(1, 6, False), (2, 8, False), (2, 7, True), (2, 6, True), (6, 6, True)],
)
def test_a_busy_machine_causes_a_warning(voided: int, of_rounds: int, busy: bool) -> None:
    run = runs.small()
    (first, *_) = runs.rounds(runs.EAGER)
    rounds = [
        replace(first, round_index=index, voided=index < voided, foreign_cpus=1.5)
        for index in range(of_rounds)
    ]
    run = replace(run, rounds=tuple(rounds))
    assert eager_group(run).voided_share == voided / len(rounds)
    sentences = [text for text in wording.warnings(run) if "the machine was too busy" in text]
    assert bool(sentences) is busy


def test_a_run_is_precise_if_its_widest_ratio_is() -> None:
    run = runs.small()
    cells = tuple(record for record in run.cells if record.cell != runs.UNVISITED)
    precise = replace(run, cells=cells)
    assert eager_group(precise).is_precise
    assert not eager_group(run).is_precise  # one ratio has no interval


def test_without_a_requested_precision_none_is_reported() -> None:
    run = replace(runs.small(), plan=msgspec.structs.replace(runs.small().plan, precision=1.0))
    assert set(assessment.table(assessment.assess(run))["is_precise"]) == {"not requested"}


@pytest.mark.parametrize(
    ("default", "cpus"), [(0.15, 1.25), (1.25, None), (2.0, None), (None, None)]
)
def test_load_that_was_allowed_on_purpose_causes_a_warning(
    default: float | None, cpus: float | None
) -> None:
    run = runs.small()
    rounds = [
        replace(round_, foreign_cpus=0.5 + 1.5 * (index % 2))  # their mean is 1.25
        for index, round_ in enumerate(runs.rounds(runs.EAGER))
    ]
    idle = replace(rounds[0], voided=True, foreign_cpus=9.0)
    run = runs.with_plan(run, foreign_cpus=4.0, default_foreign_cpus=default)
    run = replace(run, rounds=(*rounds, idle))
    assert eager_group(run).allowed_cpus == cpus
    warnings = [text for text in wording.warnings(run) if "--foreign-cpus" in text]
    assert warnings == (
        [
            f"{runs.EAGER.group}: other processes used 1.2 CPUs on average while this was "
            "measured, which --foreign-cpus allowed; a quiet machine gives other figures."
        ]
        if cpus
        else []
    )
    assert (f"**Warning:** {runs.EAGER.group}: other processes" in markdown(run)) is bool(cpus)
    assert "default_foreign_cpus" not in markdown(run)


def test_one_round_is_written_in_the_singular() -> None:
    run = runs.small()
    run = replace(run, rounds=(replace(runs.rounds(runs.EAGER)[0], voided=True),))
    (busy,) = (text for text in wording.warnings(run) if "too busy" in text)
    assert "100% of 1 round was voided" in busy
