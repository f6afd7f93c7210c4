from dataclasses import replace

import pytest

from bench.records.record import CellRecord
from bench.trust import wording
from tests.bench import runs
from tests.bench.report.rendered import markdown
from tests.bench.trust.test_assessment import eager_group


def slower(record: CellRecord, factor: float) -> CellRecord:
    visits = (
        replace(visit, host_s=tuple(sample * factor for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


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
