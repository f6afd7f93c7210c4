from collections.abc import Mapping

import pytest

from bench.api import best_request
from bench.api.best import DEFAULTS
from bench.best import decision, narrowing
from bench.best.candidate import Candidate
from bench.best.decision import Decision
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.means import Interval
from tests.bench.best.tournaments import Machine

EAGER = "eager"


def cell(mode: str) -> Cell:
    return Cell(arch="mine", mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


def decided(speeds: Mapping[str, float], *, sets: int = 5, is_final: bool = True) -> Decision:
    """Return the decision of a run in which the modes have these speeds."""
    cells = tuple(map(cell, speeds))
    plan = Plan(
        cells=cells,
        sets=sets,
        rounds=3,
        precision=1.0,
        extra_s=0.0,
        budget_s=None,
        seed=0,
        reference_arch="mine",
    )
    run = Machine(lambda each: speeds[each.mode]).measure(None, plan)
    candidates = narrowing.measured([Candidate(cell=each) for each in cells], run, 1)
    (result,) = decision.decide(candidates, run, is_final=is_final, notes=()).decisions
    return result


@pytest.mark.parametrize(
    ("speeds", "winner"),
    [
        ({EAGER: 1.0}, EAGER),
        ({EAGER: 1.0, "compile": 2.0}, "compile"),
        ({EAGER: 1.0, "compile": 0.5}, EAGER),
        ({EAGER: 1.0, "compile": 2.0, "compile+channels_last": 2.4}, "compile+channels_last"),
        # Equally fast: the one with fewer changes.
        ({EAGER: 1.0, "compile": 2.0, "compile+channels_last": 2.0005}, "compile"),
        ({EAGER: 1.0, "compile": 1.0005}, EAGER),
    ],
)
def test_the_fastest_wins_and_of_equals_the_simplest(speeds: dict[str, float], winner: str) -> None:
    found = decided(speeds)
    assert found.winner is not None
    assert (found.winner.cell.mode, found.is_decided) == (winner, True)
    assert found.sentences[0].startswith(f"Best at batch 1: {winner}")


def test_the_figure_of_a_close_race_names_both() -> None:
    text = " ".join(
        decided({EAGER: 1.0, "compile": 2.0, "compile+channels_last": 2.0005}).sentences
    )
    assert (
        "the next, compile+channels_last: the two are not shown to differ; it is simpler." in text
    )


@pytest.mark.parametrize(("sets", "is_final"), [(1, True), (5, False)])
def test_without_intervals_or_a_final_run_nothing_is_decided(sets: int, is_final: bool) -> None:
    found = decided({EAGER: 1.0, "compile": 2.0}, sets=sets, is_final=is_final)
    assert found.winner is not None
    assert not found.is_decided
    assert found.sentences[0].startswith("Not decided")


def test_intervals_are_wider_the_more_finalists_there_are() -> None:
    two = decided({EAGER: 1.0, "compile": 2.0})
    three = decided({EAGER: 1.0, "compile": 2.0, "channels_last": 0.5})
    widths = []
    for found in (two, three):
        (text,) = [each for each in found.sentences if "times as fast as eager" in each]
        low, high = text.partition("(")[2].partition(")")[0].split("–")
        widths.append(float(high) - float(low))
    assert 0 < widths[0] < widths[1]


def test_the_final_run_has_enough_sets_for_such_intervals() -> None:
    assert DEFAULTS.sets == best_request.SETS >= 5


def test_candidates_without_time_have_not_failed() -> None:
    skipped = narrowing.unmeasured([Candidate(cell=cell(EAGER))], 1, "no time")
    (found,) = decision.decide(skipped, None, is_final=False, notes=()).decisions
    assert (found.winner, found.is_decided) == (None, False)
    assert found.sentences == ("At batch 1 nothing wins: too little was measured.",)
    failed = [Candidate(cell=cell(EAGER)).drop(1, "it failed: no memory")]
    (found,) = decision.decide(failed, None, is_final=False, notes=()).decisions
    assert found.is_decided
    assert found.sentences == ("At batch 1 nothing wins: every candidate failed.",)


@pytest.mark.parametrize(
    ("low", "high", "winner"),
    [
        (0.99, 1.04, EAGER),
        (0.99, 1.05, EAGER),
        (1.0, 1.05, EAGER),
        (0.99, 1.06, "compile"),
        (0.99, 1.09, "compile"),
        (1.001, 1.04, "compile"),
    ],
)
def test_the_simplest_wins_only_if_the_others_are_not_shown_to_be_faster(
    low: float, high: float, winner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratio = Interval(estimate=1.01, low=low, high=high, sets=3)  # of compile over eager
    inverse = Interval(estimate=1 / 1.01, low=1 / high, high=1 / low, sets=3)
    monkeypatch.setattr(
        decision._Comparison,
        "ratio",
        lambda _, first, __: ratio if first.cell.mode == "compile" else inverse,
    )
    found = decided({EAGER: 1.0, "compile": 1.01})
    assert found.winner is not None
    assert found.winner.cell.mode == winner
    assert found.is_decided
