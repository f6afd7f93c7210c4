from dataclasses import replace

import msgspec

from bench.records.record import RunRecord
from bench.report import checks
from bench.report.checks import CheckState
from bench.trust import assessment
from tests.bench import runs
from tests.bench.report.page import pages


def results(run: RunRecord) -> list[tuple[int, int, CheckState]]:
    return [
        (check.count, check.total, check.state)
        for check in checks.run_checks(run, assessment.assess(run))
    ]


def test_cells_without_figures_are_bad() -> None:
    assert results(runs.small())[0] == (5, 7, CheckState.BAD)


def test_all_checks_of_a_good_run_are_good() -> None:
    rounds = runs.SETS * runs.ROUNDS
    assert results(pages.single()) == [
        (1, 1, CheckState.GOOD),
        (1, 1, CheckState.GOOD),
        (1, 1, CheckState.GOOD),
        (0, rounds, CheckState.GOOD),
    ]


def test_few_voided_rounds_are_unsure_and_many_are_bad() -> None:
    run = pages.single()
    first, *rest = run.rounds
    few = replace(run, rounds=(replace(first, voided=True), *rest))
    assert results(few)[3] == (1, len(run.rounds), CheckState.UNSURE)
    all_voided = replace(run, rounds=tuple(replace(round_, voided=True) for round_ in run.rounds))
    assert results(all_voided)[3] == (len(run.rounds), len(run.rounds), CheckState.BAD)


def test_different_control_is_bad_and_control_with_one_set_is_unsure() -> None:
    run = pages.single()
    (control,) = run.controls
    slower = tuple(
        replace(visit, host_s=tuple(2 * sample for sample in visit.host_s))
        for visit in control.visits
    )
    assert (
        results(replace(run, controls=(replace(control, visits=slower),)))[1][2] is CheckState.BAD
    )
    one_set = tuple(visit for visit in control.visits if visit.set_index == 0)
    assert (
        results(replace(run, controls=(replace(control, visits=one_set),)))[1][2]
        is CheckState.UNSURE
    )


def test_run_without_control_checks_only_cells() -> None:
    assert results(pages.unmeasured()) == [(0, 1, CheckState.BAD)]


def test_precision_is_not_checked_if_it_was_not_requested() -> None:
    run = replace(runs.small(), plan=msgspec.structs.replace(runs.small().plan, precision=1.0))
    texts = [check.text for check in checks.run_checks(run, assessment.assess(run))]
    assert len(texts) == len(checks.run_checks(runs.small(), assessment.assess(runs.small()))) - 1
    assert not any("precision" in text for text in texts)
