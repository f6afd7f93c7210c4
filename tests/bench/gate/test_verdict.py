import pytest

from bench import means
from bench.gate.verdict import Judgement, Verdict, exit_code

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict


def judgement(verdict: Verdict | None) -> Judgement:
    return Judgement(verdict=verdict, interval=means.NO_INTERVAL, sets=0)


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
def test_a_regression_takes_precedence_over_an_undecided_cell(
    verdicts: list[Verdict | None], code: int
) -> None:
    judgements = {str(index): judgement(verdict) for index, verdict in enumerate(verdicts)}
    assert exit_code(judgements) == code


def test_only_an_open_cell_needs_another_set() -> None:
    assert judgement(None).needs_set
    assert not judgement(INCONCLUSIVE).needs_set
