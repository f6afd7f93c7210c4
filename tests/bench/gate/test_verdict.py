import pytest

from bench import means
from bench.gate.verdict import Judgement, Verdict, exit_code

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict


def judgement(verdict: Verdict | None, flagged: Verdict | None = None) -> Judgement:
    return Judgement(verdict=verdict, interval=means.NOTHING, sets=0, flagged=flagged)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([UNCHANGED, IMPROVED], 0),
        ([UNCHANGED, REGRESSED], 1),
        ([UNCHANGED, INCONCLUSIVE], 3),
        ([INCONCLUSIVE, REGRESSED, IMPROVED], 1),
        ([UNCHANGED, None], 3),
        ([], 3),
    ],
)
def test_a_regression_is_told_before_a_doubt(verdicts: list[Verdict | None], code: int) -> None:
    told = {str(index): judgement(verdict) for index, verdict in enumerate(verdicts)}
    assert exit_code(told) == code


def test_only_a_verdict_that_says_what_the_flag_did_is_confirmed() -> None:
    assert judgement(REGRESSED, flagged=REGRESSED).is_confirmed
    assert not judgement(UNCHANGED, flagged=IMPROVED).is_confirmed
    assert not judgement(None, flagged=REGRESSED).is_confirmed
    assert not judgement(None).is_confirmed


def test_an_open_cell_wants_another_set() -> None:
    assert judgement(None).wants_set
    assert not judgement(INCONCLUSIVE).wants_set
