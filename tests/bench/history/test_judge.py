import pytest

from bench.exits import Exit
from bench.gate.verdict import Verdict
from bench.history import judge
from bench.history.series import Series
from tests.bench.history.histories import commit, series, values


def verdicts(*every: Series, last: int = judge.LAST_RUNS) -> list[tuple[Verdict, Exit]]:
    judged = judge.judge(every, last=last)
    return [(each.verdict, judge.exit_code(judged)) for each in judged]


def test_a_recent_regression_fails() -> None:
    assert verdicts(series(values((45, 1.0), (5, 0.95)))) == [(Verdict.REGRESSED, Exit.FAILED)]


def test_an_old_regression_does_not_fail_unless_more_runs_are_asked_for() -> None:
    old = series(values((40, 1.0), (10, 0.95)))
    assert verdicts(old) == [(Verdict.UNCHANGED, Exit.FINE)]
    assert verdicts(old, last=10) == [(Verdict.REGRESSED, Exit.FAILED)]


def test_an_improvement_is_told_and_costs_nothing() -> None:
    assert verdicts(series(values((45, 1.0), (5, 1.05)))) == [(Verdict.IMPROVED, Exit.FINE)]


def test_a_regression_that_was_undone_does_not_fail() -> None:
    fixed = series(values((40, 1.0), (4, 0.9), (6, 1.0)))
    (judged,) = judge.judge([fixed], last=10)
    assert judged.verdict is Verdict.IMPROVED
    partly = series(values((40, 1.0), (4, 0.9), (4, 0.93)))
    (judged,) = judge.judge([partly], last=8)
    assert judged.verdict is Verdict.REGRESSED


def test_a_change_of_a_metric_without_a_better_direction_costs_nothing() -> None:
    (judged,) = judge.judge([series(values((45, 1.0), (5, 1.05)), better=None)])
    assert judged.verdict is Verdict.UNCHANGED
    assert "neither more nor less is better" in judged.why


def test_too_few_runs_are_inconclusive_but_a_regression_comes_first() -> None:
    short = series(values((14, 1.0)), first=36, cell="short")
    worse = series(values((45, 1.0), (5, 0.95)))
    assert verdicts(short) == [(Verdict.INCONCLUSIVE, Exit.UNDECIDED)]
    assert {code for _, code in verdicts(short, worse)} == {Exit.FAILED}
    assert judge.exit_code(()) is Exit.UNDECIDED


def test_series_that_have_ended_are_not_judged() -> None:
    before = series(values((45, 1.0), (5, 0.95)), torch="2.14.0")
    after = series(values((15, 1.0)), first=50, torch="2.15.0")
    (judged,) = judge.judge([before, after])
    assert judged.trend.series is after
    assert judge.exit_code([judged]) is Exit.FINE


def test_machines_that_take_turns_are_both_judged() -> None:
    one, other = (
        series(values((40, 1.0)), first=number, machine=str(number)) for number in range(2)
    )
    assert len(judge.judge([one, other])) == 2


def test_the_table_names_the_commits_and_puts_regressions_first() -> None:
    rows = judge.frame(
        judge.judge(
            [
                series(values((50, 1.0)), cell="same"),
                series(values((45, 1.0), (5, 0.95)), cell="worse"),
            ]
        )
    )
    assert rows["cell"].to_list() == ["worse", "same"]
    first = rows.iloc[0]
    assert (first["commit_before"], first["commit_after"]) == (commit(44), commit(45))
    assert first["ratio"] == pytest.approx(0.95, rel=0.01)
    assert first["ratio_low"] < first["ratio"] < first["ratio_high"]
