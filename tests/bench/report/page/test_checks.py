from dataclasses import replace

from bench.records.record import RunRecord
from bench.report import trust
from bench.report.page import checks
from bench.report.page.checks import CheckState
from tests.bench import runs
from tests.bench.report.page import pages


def found(run: RunRecord) -> list[tuple[int, int, CheckState]]:
    return [(one.count, one.of, one.state) for one in checks.run_checks(run, trust.assess(run))]


def test_cells_without_figures_are_bad() -> None:
    assert found(runs.small())[0] == (5, 7, CheckState.BAD)


def test_a_sound_run_is_good_throughout() -> None:
    rounds = runs.SETS * runs.ROUNDS
    assert found(pages.single()) == [
        (1, 1, CheckState.GOOD),
        (1, 1, CheckState.GOOD),
        (1, 1, CheckState.GOOD),
        (0, rounds, CheckState.GOOD),
    ]


def test_a_few_voided_rounds_are_unsure_and_many_are_bad() -> None:
    run = pages.single()
    first, *others = run.rounds
    few = replace(run, rounds=(replace(first, voided=True), *others))
    assert found(few)[3] == (1, len(run.rounds), CheckState.UNSURE)
    all_voided = replace(run, rounds=tuple(replace(one, voided=True) for one in run.rounds))
    assert found(all_voided)[3] == (len(run.rounds), len(run.rounds), CheckState.BAD)


def test_a_control_that_differs_is_bad_and_one_of_a_single_set_unsure() -> None:
    run = pages.single()
    (control,) = run.controls
    slower = tuple(
        replace(visit, host_s=tuple(2 * sample for sample in visit.host_s))
        for visit in control.visits
    )
    assert found(replace(run, controls=(replace(control, visits=slower),)))[1][2] is CheckState.BAD
    once = tuple(visit for visit in control.visits if visit.set_index == 0)
    assert found(replace(run, controls=(replace(control, visits=once),)))[1][2] is CheckState.UNSURE


def test_without_a_control_only_cells_are_counted() -> None:
    assert found(pages.unmeasured()) == [(0, 1, CheckState.BAD)]


def test_precision_that_nobody_asked_for_is_not_checked() -> None:
    run = replace(runs.small(), plan={**runs.small().plan, "precision": 1.0})
    whats = [check.what for check in checks.run_checks(run, trust.assess(run))]
    assert len(whats) == len(checks.run_checks(runs.small(), trust.assess(runs.small()))) - 1
    assert not any("precise" in what for what in whats)
