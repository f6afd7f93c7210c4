import pytest

from bench import means
from bench.gate.verdict import Judgement, Verdict, exit_code

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict


def judgement(verdict: Verdict | None) -> Judgement:
    return Judgement(verdict=verdict, interval=means.NOTHING, sets=0)


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


def test_an_open_cell_wants_another_set() -> None:
    assert judgement(None).wants_set
    assert not judgement(INCONCLUSIVE).wants_set
